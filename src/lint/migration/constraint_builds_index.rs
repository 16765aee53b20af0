//! A constraint whose index is built while nobody can read or write.

use super::{File, Hit, see};
use crate::lint::{Kind, Lint, Severity};
use crate::migrate::tree::has;
use squawk_syntax::SyntaxKind as Is;

pub(super) const LINT: Lint = Lint {
    name: "constraint-builds-index",
    aliases: &["disallowed-unique-constraint"],
    severity: Severity::Warning,
    condition: "UNIQUE, PRIMARY KEY or EXCLUDE is added to a table that is in use, and builds its index at once.",
    effect: "Nobody can read or write the table until the index is built",
    remedy: "Build it with CREATE UNIQUE INDEX CONCURRENTLY in one file, and in a later one ADD CONSTRAINT … USING INDEX",
    see: Kind::Migration(check),
};

fn check(file: &File<'_>) -> Vec<Hit> {
    let kinds = [Is::UNIQUE_CONSTRAINT, Is::PRIMARY_KEY_CONSTRAINT, Is::EXCLUDE_CONSTRAINT];
    see::added_constraints(file)
        .filter(|(.., constraint)| kinds.contains(&constraint.kind()) && !has(constraint, Is::USING_INDEX_NAME))
        .map(|(_, table, constraint)| {
            file.hit(&constraint, &table.name, format!("{} is locked while this builds an index", table.name))
        })
        .collect()
}
