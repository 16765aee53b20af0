//! Lints: what can be seen without trying, of the catalogue and of migration files.

pub mod catalogue;
pub mod migration;

use catalogue::catalogue;

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

impl Severity {
    /// The word in headers, docs and output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What a lint looks at.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// The catalogue, through one query; see [`catalogue`].
    Catalogue(catalogue::Query),
    /// A migration file; see [`migration`].
    Migration(migration::Check),
}

/// A lint. Its name is that of its file, of its folder in `fixtures/lint/` and of the check that its findings carry.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Kebab-case.
    pub name: &'static str,
    /// What other linters call it: splinter's ids, squawk's names.
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

/// Every lint of the catalogue, with splinter's ids for it. A new one is its file, `lint/catalogue/<name>.sql`, and a
/// line here.
pub const CATALOGUE: &[&Lint] = catalogue! {
    // Row security, and what policies say.
    "rls-disabled" ["0013_rls_disabled_in_public"],
    "rls-not-forced" [],
    "policy-call-per-row" ["0003_auth_rls_initplan"],
};

/// Every lint of migration files.
pub const MIGRATION: &[&Lint] = migration::LINTS;

/// All lints.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    CATALOGUE.iter().chain(MIGRATION).copied()
}

/// The lint of that name or alias.
pub fn find(name: &str) -> Option<&'static Lint> {
    all().find(|lint| lint.name == name || lint.aliases.contains(&name))
}
