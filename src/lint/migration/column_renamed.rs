//! A column that is not found under its name any more.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::{child, name};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "column-renamed",
    aliases: &["renaming-column"],
    severity: Severity::Warning,
    condition: "A column of a table in use gets another name.",
    effect: "Servers of the present release that use the old name fail from that moment on, and so do functions, whose bodies are text",
    remedy: "Add a column of the new name, write to both until nothing uses the old one, then drop that",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::altered(file)
        .filter(|(.., action)| action.kind() == Is::RENAME_COLUMN)
        .map(|(_, table, action)| {
            let column = name(child(&action, Is::COLUMN_NAME_REF));
            let what = format!("{}.{column} is not found under its name from here on", table.name);
            file.hit(&action, format!("{}.{column}", table.name), what)
        })
        .collect()
}
