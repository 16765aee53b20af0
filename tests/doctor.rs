//! `doctor`, on real servers: what their releases are known for, and what it does with that.

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use support::Server;

fn run(server: &Server, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").env("DATABASE_URL", server.url("postgres"));
    command.arg("doctor").args(args).output().unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The faults that the JSON report names, each with what is to be done.
fn faults(server: &Server) -> Vec<(String, String)> {
    let report: Value = serde_json::from_str(&told(&run(server, &["--format", "json"]))).unwrap();
    assert_eq!(report["command"], "doctor");
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
    let word = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    let faults = report["beyond"].as_array().unwrap();
    faults.iter().map(|fault| (word(fault, "object"), word(fault, "remedy"))).collect()
}

/// Of a further major: each fault that its release is known for, with a release of the same major that mends it.
async fn of_major(major: u32, test: &str) {
    let Some(bin) = support::further(major, test) else { return };
    let server = Server::start_in(Some(&bin)).await;
    let minor = minor(&bin);
    let faults = faults(&server);
    // The first releases without the newest and the oldest of those that every major from 16 to 18 had.
    for (name, firsts) in [("CVE-2026-120154", [16, 12, 7]), ("CVE-2026-14666", [15, 11, 6])] {
        let first = firsts[usize::try_from(major - 16).unwrap()];
        let told = faults.iter().find(|(fault, _)| fault == name);
        assert_eq!(told.is_some(), minor < first, "{name}: {faults:?}");
        if let Some((_, remedy)) = told {
            assert!(remedy.contains(&format!("{major}.{first} ")), "{remedy}");
        }
    }
    let strict = run(&server, &["--strict"]);
    assert_eq!(strict.status.code(), Some(i32::from(!faults.is_empty())), "{}", told(&strict));
    assert_eq!(run(&server, &[]).status.code(), Some(0));
}

fn minor(bin: &Path) -> u32 {
    let output = Command::new(bin.join("postgres")).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // postgres (PostgreSQL) 16.14 (Debian …)
    let version = text.split_whitespace().nth(2).unwrap();
    version.split_once('.').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn the_faults_of_a_release_of_16_local() {
    of_major(16, "the_faults_of_a_release_of_16_local").await;
}

#[tokio::test]
async fn the_faults_of_a_release_of_17_local() {
    of_major(17, "the_faults_of_a_release_of_17_local").await;
}

#[tokio::test]
async fn the_faults_of_a_release_of_18_local() {
    of_major(18, "the_faults_of_a_release_of_18_local").await;
}

#[tokio::test]
async fn views_from_before_their_mending_are_found_whatever_the_release_local() {
    let server = Server::start().await;
    let name = "CVE-2024-4317";
    let before = faults(&server);
    assert!(before.iter().all(|(fault, _)| fault != name), "{before:?}");
    let text = told(&run(&server, &[]));
    assert!(before.is_empty() == text.contains("none of the faults in row-level security"), "{text}");
    assert!(!text.contains(support::PASSWORD));

    // As an old cluster has it: without the condition that asks whose the statistics are.
    let superuser = server.connect("postgres", "postgres").await;
    superuser
        .batch(
            "SET allow_system_table_mods = on;
             DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW pg_catalog.pg_stats_ext AS '
                || regexp_replace(pg_get_viewdef('pg_stats_ext'::regclass), 'pg_has_role\\([^)]*\\)', 'true'); END $$",
        )
        .await
        .unwrap();
    superuser.close().await;
    let after = faults(&server);
    let found = after.iter().find(|(fault, _)| fault == name);
    assert!(found.is_some_and(|(_, remedy)| remedy.contains("fix-CVE-2024-4317.sql")), "{after:?}");
    let output = run(&server, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(told(&output).contains(" only with --strict"), "{}", told(&output));
    assert_eq!(run(&server, &["--strict"]).status.code(), Some(1));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_no_clean_one_local() {
    let server = Server::start().await;
    let url = server.url("postgres");
    drop(server);
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    let output = command.args(["doctor", "--database-url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
}
