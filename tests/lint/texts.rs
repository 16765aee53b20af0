//! What lints say of themselves: `explain`, `docs/lints.md`, and that nothing of splinter's is forgotten.

use crate::support;
use chartchek_db::lint::{self, CATALOGUE, NOT_TAKEN, all};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

/// Splinter's lints, by the names of its files in every version that is known.
const SPLINTER: &[&str] = &[
    "0001_unindexed_foreign_keys",
    "0002_auth_users_exposed",
    "0003_auth_rls_initplan",
    "0004_no_primary_key",
    "0005_unused_index",
    "0006_multiple_permissive_policies",
    "0007_policy_exists_rls_disabled",
    "0008_rls_enabled_no_policy",
    "0009_duplicate_index",
    "0010_security_definer_view",
    "0011_auth_allow_anonymous_sign_ins",
    "0011_function_search_path_mutable",
    "0012_auth_allow_anonymous_sign_ins",
    "0013_rls_disabled_in_public",
    "0014_extension_in_public",
    "0015_rls_references_user_metadata",
    "0016_materialized_view_in_api",
    "0017_foreign_table_in_api",
    "0018_unsupported_reg_types",
    "0019_insecure_queue_exposed_in_api",
    "0020_table_bloat",
    "0021_fkey_to_auth_unique",
    "0022_extension_versions_outdated",
    "0023_sensitive_columns_exposed",
    "0024_permissive_rls_policy",
    "0024_rls_policy_always_true",
    "0025_pg17_deprecated_extensions",
    "0025_public_bucket_allows_listing",
    "0026_pg_graphql_anon_table_exposed",
    "0027_pg_graphql_authenticated_table_exposed",
    "0028_anon_security_definer_function_executable",
    "0029_authenticated_security_definer_function_executable",
    "0030_autovacuum_disabled",
    "0030_invalid_index",
    "0030_rls_policy_null_auth_disjunct",
    "0030_unused_replication_slot",
    "0031_unused_replication_slot",
];

fn explain(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chartchek-db")).arg("explain").args(args).output().unwrap()
}

#[test]
fn each_of_splinters_lints_has_its_counterpart_or_a_reason() {
    let taken = CATALOGUE.iter().flat_map(|lint| lint.aliases.iter().copied());
    let known: Vec<&str> = taken.chain(NOT_TAKEN.iter().map(|(id, _)| *id)).collect();
    let once: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(once.len(), known.len(), "an id stands twice");
    assert_eq!(once, SPLINTER.iter().copied().collect());
    assert_eq!(lint::find("0009_duplicate_index").unwrap().name, "index-duplicate");
}

#[test]
fn everything_is_explained_with_its_examples() {
    for lint in all() {
        let text = String::from_utf8(explain(&[lint.name]).stdout).unwrap();
        for part in [lint.condition, lint.effect, lint.remedy, "\nbad:\n", "\ngood:\n"] {
            assert!(text.contains(part), "{}: {text}", lint.name);
        }
    }
    for probe in chartchek_db::verify::probes() {
        let text = String::from_utf8(explain(&[probe.name]).stdout).unwrap();
        assert!(text.contains(probe.about) && text.contains("\nhole:\n"), "{}: {text}", probe.name);
    }
    let unknown = explain(&["rls-disable"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("rls-disabled"), "it is suggested");
}

#[test]
fn the_document_is_what_the_lints_say() {
    let text = String::from_utf8(explain(&["--lints"]).stdout).unwrap();
    let kept = fs::read_to_string(support::project().join("docs/lints.md")).unwrap_or_default();
    assert!(kept == text, "docs/lints.md is out of date: run `make docs-lints`");
}
