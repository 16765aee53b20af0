//! An index that is built while nobody can write.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::has;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "index-not-concurrent",
    aliases: &["require-concurrent-index-creation"],
    severity: Severity::Warning,
    condition: "CREATE INDEX without CONCURRENTLY on a table that is in use.",
    effect: "Nobody can write to the table until the index is built",
    remedy: "Write CREATE INDEX CONCURRENTLY, alone in a file of its own",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let statements = file.foreseen.statements.iter();
    let built = statements.filter(|one| one.node.kind() == Is::CREATE_INDEX && !has(&one.node, Is::CONCURRENTLY_KW));
    built
        .filter_map(|statement| Some((statement, statement.named.first().filter(|table| !table.new)?)))
        .map(|(statement, table)| {
            let what = format!("writes to {} wait until the index is built", table.name);
            file.hit(&statement.node, &table.name, what)
        })
        .collect()
}
