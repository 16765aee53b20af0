//! What stood on a table that another takes the place of.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    name: "lost-by-rebuild",
    aliases: &[],
    severity: Severity::Error,
    condition: "A table takes the name of another within one file, and triggers, policies or foreign keys of the old one are not on the new one.",
    effect: "What held the old table does not hold the new one: triggers stay on the table that was renamed, and so do the foreign keys of other tables",
    remedy: "Make on the new table all that stood on the old one, and point the foreign keys of other tables at it, in the same file",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let rebuilt = file.foreseen.rebuilt.iter();
    rebuilt
        .map(|rebuilt| Hit {
            span: rebuilt.at.clone(),
            object: rebuilt.table.to_string(),
            what: format!("{} is another table from here on, without {}", rebuilt.table, rebuilt.lost.join(", ")),
        })
        .collect()
}
