//! A lock that a file takes by name.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-locked",
    aliases: &[],
    severity: Severity::Warning,
    condition: "LOCK TABLE takes a lock on a table in use that stops reads or writes.",
    effect: "People wait until the file is through",
    remedy: "Take it out: each statement takes the lock that it needs. Where rows must not change in between, lock in SHARE UPDATE EXCLUSIVE, or lock rows",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter().filter(|one| one.node.kind() == Is::LOCK);
    statements
        .filter_map(|statement| {
            let lock = see::in_use(statement).find(|lock| see::holds_up(lock))?;
            let table = see::shown(&lock.relation);
            let what = format!("{} of {table} wait until the file is through", see::waits(lock));
            Some(file.hit(&statement.node, table, what))
        })
        .collect()
}
