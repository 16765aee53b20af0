//! Rows that a migration writes.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    name: "data-in-migration",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A migration writes rows of a table that it did not make: INSERT, UPDATE, DELETE, MERGE, COPY, TRUNCATE.",
    effect: "The rows stay locked until the file is through, the migrator bypasses the policies that would have refused, and a health record in a migration stands in git for good",
    remedy: "Fill tables in small steps outside of migrations; where the application cannot do without the rows, allow this lint over the statement and say why",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter();
    statements
        .filter_map(|statement| Some((statement, see::written(statement)?)))
        .map(|(statement, table)| {
            file.hit(&statement.node, &table.name, format!("rows of {} are written by a migration", table.name))
        })
        .collect()
}
