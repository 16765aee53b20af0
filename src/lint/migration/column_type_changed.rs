//! A type that rewrites its table.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::child;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "column-type-changed",
    aliases: &["changing-column-type"],
    severity: Severity::Warning,
    condition: "A column of a table in use gets a type for which its rows are written anew, or checked again.",
    effect: "Nobody can read or write the table until every row and every index of the column is written anew, and clients that expect the old type fail",
    remedy: "Add a column of the new type, write to both, fill it in small steps outside of migrations, then let the old one go",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::altered(file)
        .filter(|(statement, table, action)| {
            child(action, Is::SET_TYPE).is_some() && see::touches_all(statement, table)
        })
        .map(|(_, table, action)| {
            let object = format!("{}.{}", table.name, see::column_of(&action));
            file.hit(&action, object, format!("{} is locked while its rows are written anew or checked", table.name))
        })
        .collect()
}
