//! A table that is read from end to end while people wait.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::child;
use crate::model::plan::TableLock;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-scanned",
    aliases: &[],
    severity: Severity::Warning,
    condition: "All of a table in use is read under a lock that stops reads or writes: ATTACH PARTITION, a domain's new constraint, an index in another guise.",
    effect: "People wait until all rows are read",
    remedy: "Show first, with a valid CHECK, that there is nothing to look for: ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later file",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let own = [Is::CREATE_INDEX, Is::REINDEX];
    let statements = file.foreseen.statements.iter().filter(|one| !own.contains(&one.node.kind()));
    statements
        .filter_map(|statement| {
            let scanned = |lock: &&TableLock| lock.scan.is_some() && lock.rewrite.is_none() && see::holds_up(lock);
            let lock = see::in_use(statement).find(scanned)?;
            // The other subcommands that read all have lints of their own.
            if statement.node.kind() == Is::ALTER_TABLE {
                child(&statement.node, Is::ATTACH_PARTITION)?;
            }
            let table = see::shown(&lock.relation);
            let what = format!("{} of {table} wait while all of it is read", see::waits(lock));
            Some(file.hit(&statement.node, table, what))
        })
        .collect()
}
