//! NOT NULL that is held against all rows while nobody can read or write.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{child, has};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "not-null-scans",
    aliases: &["adding-not-nullable-field"],
    severity: Severity::Warning,
    condition: "A column of a table in use becomes NOT NULL, and no valid CHECK shows that it holds no null.",
    effect: "Nobody can read or write the table until all rows are looked at",
    remedy: "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT in a later file, then SET NOT NULL, which finds the CHECK and looks at nothing; then drop the CHECK",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::altered(file)
        .filter(|(statement, table, action)| {
            let sets = match action.kind() {
                Is::ALTER_COLUMN => child(action, Is::SET_NOT_NULL).is_some(),
                Is::ADD_CONSTRAINT => {
                    child(action, Is::NOT_NULL_CONSTRAINT).is_some_and(|one| !has(&one, Is::NOT_VALID))
                }
                _ => false,
            };
            sets && see::touches_all(statement, table)
        })
        .map(|(_, table, action)| {
            let object = format!("{}.{}", table.name, see::column_of(&action));
            file.hit(&action, object, format!("{} is locked while every row is looked at for nulls", table.name))
        })
        .collect()
}
