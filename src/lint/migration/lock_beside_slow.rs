//! A lock that is held for as long as something slow takes.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "lock-beside-slow",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A statement takes a lock that stops reads or writes of a table in use, and a later one in the same file works through a whole table.",
    effect: "A file is one transaction: the lock stays until the slow statement and the whole file are through",
    remedy: "Put the slow statement into a file of its own",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = &file.foreseen.statements;
    let last_slow = statements.iter().rposition(|one| see::slow(one).is_some());
    let Some((last, what)) = last_slow.and_then(|at| Some((at, see::slow(&statements[at])?))) else {
        return Vec::new();
    };
    // What is slow itself has a lint of its own, and so have policies.
    let policies = [Is::CREATE_POLICY, Is::ALTER_POLICY, Is::DROP_POLICY];
    let before =
        statements[..last].iter().filter(|one| see::slow(one).is_none() && !policies.contains(&one.node.kind()));
    let held = before.filter_map(|one| Some((one, see::in_use(one).find(|lock| see::holds_up(lock))?))).next();
    held.map(|(statement, lock)| {
        let table = see::shown(&lock.relation);
        let line = file.line(&statements[last].span);
        let waits = see::waits(lock);
        file.hit(&statement.node, &table, format!("{waits} of {table} wait from here on while line {line} {what}"))
    })
    .into_iter()
    .collect()
}
