//! A column that no row of the table can have.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::child;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "not-null-without-default",
    aliases: &["adding-required-field"],
    severity: Severity::Error,
    condition: "A column that is NOT NULL and has no default is added to a table that is in use.",
    effect: "It fails (23502) on the first row that the table holds, and works only where the table is empty, as on a test database",
    remedy: "Give it a DEFAULT, or add it without NOT NULL, fill it, and set NOT NULL in a later file",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let filled = [Is::DEFAULT_CONSTRAINT, Is::GENERATED_CONSTRAINT];
    see::altered(file)
        .filter(|(statement, _, action)| {
            action.kind() == Is::ADD_COLUMN
                && (child(action, Is::NOT_NULL_CONSTRAINT).is_some() || child(action, Is::PRIMARY_KEY_CONSTRAINT).is_some())
                && action.children().all(|part| !filled.contains(&part.kind()))
                // A serial fills itself.
                && see::in_use(statement).all(|lock| lock.rewrite.is_none())
        })
        .map(|(_, table, action)| {
            let object = format!("{}.{}", table.name, see::column_of(&action));
            file.hit(&action, object, "no row that is there already has a value for it")
        })
        .collect()
}
