//! A table that is dropped with its rows.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-dropped",
    aliases: &["ban-drop-table"],
    severity: Severity::Error,
    condition: "DROP TABLE on a table that the file did not make.",
    effect: "Its rows are gone, and so are its policies, grants and triggers",
    remedy: "Let a release go by in which nothing uses it, keep a copy of the rows, then allow this lint over the statement and say why",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::DROP_TABLE, Is::DROP_FOREIGN_TABLE];
    let statements = file.foreseen.statements.iter().filter(|one| kinds.contains(&one.node.kind()));
    let tables = statements.flat_map(|statement| statement.named.iter().filter(|table| !table.new));
    tables.map(|table| file.hit(&table.node, &table.name, format!("{} is dropped with its rows", table.name))).collect()
}
