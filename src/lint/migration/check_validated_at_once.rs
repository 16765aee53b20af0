//! A CHECK that is held against all rows while nobody can read or write.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::has;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "check-validated-at-once",
    aliases: &["constraint-missing-not-valid"],
    severity: Severity::Warning,
    condition: "A CHECK is added to a table that is in use, and every row is held against it at once.",
    effect: "Nobody can read or write the table until all rows are checked",
    remedy: "Add it NOT VALID, and VALIDATE CONSTRAINT in a later file: that holds up nobody",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::added_constraints(file)
        .filter(|(statement, table, constraint)| {
            constraint.kind() == Is::CHECK_CONSTRAINT
                && !has(constraint, Is::NOT_VALID)
                && see::touches_all(statement, table)
        })
        .map(|(_, table, constraint)| {
            file.hit(&constraint, &table.name, format!("{} is locked while every row is checked", table.name))
        })
        .collect()
}
