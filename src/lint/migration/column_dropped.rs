//! A column that is dropped with its values.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "column-dropped",
    aliases: &["ban-drop-column"],
    severity: Severity::Warning,
    condition: "DROP COLUMN on a table that is in use.",
    effect: "Its values are gone; servers of the present release that name it fail from that moment on",
    remedy: "Release code first that does not name the column, then drop it, allow this lint over the statement and say why",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    see::altered(file)
        .filter(|(.., action)| action.kind() == Is::DROP_COLUMN)
        .map(|(_, table, action)| {
            let object = format!("{}.{}", table.name, see::column_of(&action));
            let what = format!("{object} is dropped with its values");
            file.hit(&action, object, what)
        })
        .collect()
}
