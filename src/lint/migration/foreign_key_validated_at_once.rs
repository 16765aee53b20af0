//! A foreign key that is held against all rows while nobody can write.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::has;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "foreign-key-validated-at-once",
    aliases: &["adding-foreign-key-constraint"],
    severity: Severity::Warning,
    condition: "A foreign key is added to a table that is in use, and every row is looked up at once.",
    effect: "Nobody can write to either table until all rows are looked up",
    remedy: "Add it NOT VALID, and VALIDATE CONSTRAINT in a later file: that holds up nobody",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::FOREIGN_KEY_CONSTRAINT, Is::REFERENCES_CONSTRAINT];
    see::added_constraints(file)
        .filter(|(statement, table, constraint)| {
            kinds.contains(&constraint.kind()) && !has(constraint, Is::NOT_VALID) && see::touches_all(statement, table)
        })
        .map(|(_, table, constraint)| {
            let what =
                format!("writes to {} and to the table it refers to wait while every row is looked up", table.name);
            file.hit(&constraint, &table.name, what)
        })
        .collect()
}
