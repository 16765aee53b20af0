//! CASCADE, which drops what it does not name.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::text;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "cascade",
    aliases: &["ban-truncate-cascade"],
    severity: Severity::Error,
    condition: "Something is dropped with CASCADE, or TRUNCATE cascades.",
    effect: "It takes along whatever depends on it, policies, views and foreign keys among it, without naming any of them",
    remedy: "Drop by name, in order, what is to go; without CASCADE PostgreSQL lists what is in the way",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let own = [Is::DROP_COLUMN, Is::DROP_CONSTRAINT];
    let statements = file.foreseen.statements.iter();
    let in_use = statements.filter(|one| one.named.is_empty() || one.named.iter().any(|named| !named.new));
    let nodes = in_use.flat_map(|one| {
        let actions = one.node.children().filter(move |action| own.contains(&action.kind()));
        std::iter::once(one.node.clone()).chain(actions)
    });
    nodes
        .filter(see::cascades)
        .map(|node| file.hit(&node, text(&node), "CASCADE takes along what depends on it, unnamed"))
        .collect()
}
