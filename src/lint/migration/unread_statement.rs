//! Statements that no lint has read.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    name: "unread-statement",
    aliases: &[],
    severity: Severity::Error,
    condition: "A statement is written in a way that the reader of SQL here does not understand.",
    effect: "No lint has looked at what it does",
    remedy: "Where PostgreSQL takes it, allow this lint over the statement and say that somebody has read it; else mend it",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let unread = file.foreseen.statements.iter().filter(|statement| !statement.understood);
    unread.map(|statement| file.hit(&statement.node, "", "this statement was not understood")).collect()
}
