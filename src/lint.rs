//! Lints: what can be seen without trying, of the catalogue and of migration files.

pub mod migration;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Rows are within reach of who should not have them, or a migration breaks something.
    Error,
    /// A hole once one more thing goes wrong, or a cost that grows.
    Warning,
    /// Worth knowing: fails only with `--strict`.
    Info,
}

/// What a lint looks at.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A migration file; see [`migration`].
    Migration(migration::Check),
}

/// A lint. Its name is that of its file, of its folder in `fixtures/lint/` and of the check that its findings carry.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Kebab-case.
    pub name: &'static str,
    /// What other linters call it: splinter's ids.
    pub aliases: &'static [&'static str],
    /// How bad it is.
    pub severity: Severity,
    /// When it fires, in one sentence.
    pub condition: &'static str,
    /// What follows from it.
    pub effect: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// What it looks at.
    pub see: Kind,
}

/// Every lint of migration files.
pub const MIGRATION: &[&Lint] = migration::LINTS;
