//! A default that rewrites its table.

use super::{File, Hit, see};
use crate::db::quote;
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "volatile-default",
    aliases: &["adding-field-with-default", "adding-serial-primary-key-field"],
    severity: Severity::Warning,
    condition: "A column is added to a table in use whose value must be computed for each row: a volatile default, a serial, an identity, a stored expression.",
    effect: "Nobody can read or write the table until every row is written anew",
    remedy: "Add the column without a default, SET DEFAULT for new rows, and fill the old ones in small steps outside of migrations",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::altered(file)
        .filter(|(_, _, action)| action.kind() == Is::ADD_COLUMN)
        .filter_map(|(statement, table, action)| {
            let relation = quote::table(&table.name);
            let why = see::in_use(statement).find(|lock| lock.relation == relation)?.rewrite.clone()?;
            let object = format!("{}.{}", table.name, see::column_of(&action));
            Some(file.hit(&action, object, format!("{} is locked while it is written anew: {why}", table.name)))
        })
        .collect()
}
