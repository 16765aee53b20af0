//! An index that is dropped or built anew while nobody can use its table.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::has;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "index-drop-not-concurrent",
    aliases: &["require-concurrent-index-deletion"],
    severity: Severity::Warning,
    condition: "DROP INDEX or REINDEX without CONCURRENTLY on an index that is in use.",
    effect: "It takes a lock for which it waits behind every open query of the table, and everybody else waits behind it",
    remedy: "Write DROP INDEX CONCURRENTLY or REINDEX (CONCURRENTLY), alone in a file of its own",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::DROP_INDEX, Is::REINDEX];
    let statements = file.foreseen.statements.iter().filter(|one| kinds.contains(&one.node.kind()));
    statements
        .filter(|statement| !has(&statement.node, Is::CONCURRENTLY_KW))
        .filter_map(|statement| Some((statement, statement.named.iter().find(|named| !named.new)?)))
        .map(|(statement, named)| {
            let verb = if statement.node.kind() == Is::DROP_INDEX { "dropped" } else { "built anew" };
            let what = format!("{} is {verb} without CONCURRENTLY", named.name);
            file.hit(&statement.node, &named.name, what)
        })
        .collect()
}
