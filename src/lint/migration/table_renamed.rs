//! A table that is not found under its name any more.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "table-renamed",
    aliases: &["renaming-table"],
    severity: Severity::Warning,
    condition: "A table or view in use gets another name or schema, and the file makes nothing in its place.",
    effect: "Servers of the present release that use the old name fail from that moment on, and so do functions, whose bodies are text",
    remedy: "Leave a view with security_invoker under the old name until nothing uses it",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let actions = [Is::TABLE_RENAME_TO, Is::VIEW_RENAME_TO, Is::SET_SCHEMA];
    let kinds = [Is::ALTER_TABLE, Is::ALTER_VIEW, Is::ALTER_MATERIALIZED_VIEW, Is::ALTER_FOREIGN_TABLE];
    let statements = file.foreseen.statements.iter().filter(|one| kinds.contains(&one.node.kind()));
    statements
        .filter_map(|statement| {
            let table = statement.named.first().filter(|table| !table.new)?;
            let action = statement.node.children().find(|child| actions.contains(&child.kind()))?;
            let what = format!("{} is not found under its name from here on", table.name);
            (!see::makes(file, &table.name.name, &statement.node)).then(|| file.hit(&action, &table.name, what))
        })
        .collect()
}
