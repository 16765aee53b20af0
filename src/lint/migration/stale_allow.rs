//! Comments that allow what nothing needs.

use super::{File, Hit};
use crate::lint::{Kind, Lint, Severity};

pub(super) const LINT: Lint = Lint {
    name: "stale-allow",
    aliases: &[],
    severity: Severity::Warning,
    condition: "A comment allows a lint that finds nothing there.",
    effect: "It reads as if something were wrong that is not, and would let the next fault pass",
    remedy: "Take the comment out: what it allowed is mended",
    see: Kind::Migration(check),
};

/// The comments themselves are looked at when all lints are through.
fn check(_: &File<'_>) -> Vec<Hit> {
    Vec::new()
}
