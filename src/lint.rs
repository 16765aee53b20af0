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
    /// The catalogue, through one query; see [`mod@catalogue`].
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
    "policy-without-rls" ["0007_policy_exists_rls_disabled"],
    "rls-without-policy" ["0008_rls_enabled_no_policy"],
    "policies-only-restrictive" [],
    "policy-always-true" ["0024_permissive_rls_policy", "0024_rls_policy_always_true"],
    "policy-without-role" [],
    "policy-without-check" [],
    "policy-sublink-uncorrelated" [],
    "policy-null-user" ["0030_rls_policy_null_auth_disjunct"],
    "policy-reads-user-metadata" ["0015_rls_references_user_metadata"],
    "policy-reads-client-input" [],
    "policy-admits-anonymous-sign-ins" [
        "0011_auth_allow_anonymous_sign_ins",
        "0012_auth_allow_anonymous_sign_ins"
    ],
    "policy-volatile-function" [],
    "policy-definer-function" [],
    "policy-call-per-row" ["0003_auth_rls_initplan"],
    "policy-column-without-index" [],
    "permissive-policies-overlap" ["0006_multiple_permissive_policies"],
    // Rights.
    "grant-beyond-rls" [],
    "grant-to-public" [],
    "grant-option" [],
    "default-privilege" [],
    "schema-create" [],
    "client-owns-object" [],
    "client-role-bypasses-rls" [],
    "sequence-right" [],
    // Around the tables.
    "view-without-security-invoker" ["0010_security_definer_view"],
    "auth-users-exposed" ["0002_auth_users_exposed"],
    "materialized-view-exposed" ["0016_materialized_view_in_api"],
    "foreign-table-exposed" ["0017_foreign_table_in_api"],
    "user-mapping" [],
    "history-within-reach" [],
    "queue-exposed" ["0019_insecure_queue_exposed_in_api"],
    "sensitive-column-exposed" ["0023_sensitive_columns_exposed"],
    "publication-all-tables" [],
    "publication-full-row" [],
    "rule-on-table" [],
    // Functions.
    "function-search-path-mutable" ["0011_function_search_path_mutable"],
    "definer-function-search-path" [],
    "definer-function-executable" [
        "0028_anon_security_definer_function_executable",
        "0029_authenticated_security_definer_function_executable"
    ],
    "function-executable-by-public" [],
    "dynamic-sql-function" [],
    "leakproof-function" [],
    // Keys, indexes, upkeep.
    "foreign-key-without-index" ["0001_unindexed_foreign_keys"],
    "foreign-key-to-auth" ["0021_fkey_to_auth_unique"],
    "table-without-primary-key" ["0004_no_primary_key"],
    "index-unused" ["0005_unused_index"],
    "index-duplicate" ["0009_duplicate_index"],
    "index-invalid" ["0030_invalid_index"],
    "autovacuum-disabled" ["0030_autovacuum_disabled"],
    "extension-in-exposed-schema" ["0014_extension_in_public"],
    "extension-outdated" ["0022_extension_versions_outdated"],
    "reg-type-column" ["0018_unsupported_reg_types"],
    // This project's conventions.
    "timestamp-without-trigger" [],
    "name-needs-quotes" [],
};

/// What splinter checks and no lint here does, and why.
pub const NOT_TAKEN: &[(&str, &str)] = &[
    (
        "0020_table_bloat",
        "an estimate of a running server's upkeep, not of a schema; `autovacuum-disabled` finds the cause",
    ),
    ("0025_pg17_deprecated_extensions", "the platform's list for one upgrade, which it shows itself"),
    ("0025_public_bucket_allows_listing", "tried instead of read: the probe `storage` lists buckets as each actor"),
    (
        "0026_pg_graphql_anon_table_exposed",
        "GraphQL gives what the grants give, and `verify-rls` holds these to the contract",
    ),
    ("0027_pg_graphql_authenticated_table_exposed", "likewise"),
    ("0030_unused_replication_slot", "a running server's upkeep, not of a schema"),
    ("0031_unused_replication_slot", "likewise"),
];

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
