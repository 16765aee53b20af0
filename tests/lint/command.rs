//! The command: what it looks at, what it prints, how it exits.

use crate::support::{self, Server};
use chartchek_db::contract::{parse, project};
use chartchek_db::migrate;
use chartchek_db::server::{Regime, stand_in};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command.args(args).arg("--project").arg(support::project()).output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", String::from_utf8_lossy(&output.stderr)))
}

fn checks(report: &Value, list: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap().to_owned()).collect()
}

fn own_schema_passes(engine: &str) {
    for regime in ["explicit", "legacy"] {
        let output = run(&["lint", "--engine", engine, "--regime", regime, "--format", "json"]);
        let report = report(&output);
        assert_eq!(output.status.code(), Some(0), "{report:#}");
        assert_eq!(report["command"], "lint");
        assert_eq!(checks(&report, "beyond"), Vec::<String>::new(), "{report:#}");
    }
}

#[test]
fn the_own_schema_passes_local() {
    own_schema_passes("local");
}

#[test]
fn the_own_schema_passes_embedded() {
    own_schema_passes("embedded");
}

/// On a target: the exit code says what was found, the report names object and mending statement, and nothing is
/// written.
#[tokio::test]
async fn a_target_is_looked_at_and_left_as_it_is() {
    let server = Server::start().await;
    let superuser = server.connect("postgres", "postgres").await;
    stand_in::install(&superuser, Regime::Explicit, None).await.unwrap();
    let mut migrator = server.connect("migrator", "postgres").await;
    let own = project::find(Some(support::project()), false).unwrap();
    assert!(parse::parse(&own.contract).is_ok());
    migrate::apply_all(&mut migrator, &own).await.unwrap();
    let url = server.url_as("migrator");
    let clean = run(&["lint", "--database-url", &url]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stdout));
    migrator.batch("ALTER TABLE public.resources NO FORCE ROW LEVEL SECURITY").await.unwrap();
    let worth_knowing = run(&["lint", "--database-url", &url]);
    assert_eq!(worth_knowing.status.code(), Some(0));
    assert_eq!(run(&["lint", "--database-url", &url, "--strict"]).status.code(), Some(1));
    migrator.batch("ALTER TABLE public.documents DISABLE ROW LEVEL SECURITY").await.unwrap();
    let found = run(&["lint", "--database-url", &url, "--format", "json"]);
    assert_eq!(found.status.code(), Some(1));
    let found = report(&found);
    assert!(checks(&found, "findings").contains(&"rls-disabled".to_owned()), "{found:#}");
    let finding = found["findings"].as_array().unwrap().iter().find(|one| one["check"] == "rls-disabled").unwrap();
    assert_eq!(finding["object"], "documents");
    assert_eq!(finding["statement"], "ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;");
    let people = String::from_utf8(run(&["lint", "--database-url", &url]).stdout).unwrap();
    assert!(people.contains("rls-disabled: row security is off on documents"), "{people}");
    let both = run(&["lint", "--engine", "local", "--database-url", &url]);
    assert_eq!(both.status.code(), Some(2), "one or the other");
}

/// A finding that the contract accepts stands apart with its reason; an entry that accepts nothing is a finding.
#[test]
fn a_finding_is_accepted_with_a_reason_and_a_stale_entry_is_found_embedded() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["migrations", "policies"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for file in fs::read_dir(support::project().join(part)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
        }
    }
    let lint = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
        command.args(["lint", "--engine", "embedded", "--format", "json", "--project"]).arg(folder.path());
        command.env_remove("DATABASE_URL").output().unwrap()
    };
    let entry = "\n[[accept]]\nlint = \"autovacuum-disabled\"\nwhere = \"resources\"\nreason = \"vacuumed by night\"\n";
    let contract = folder.path().join("policies/access.toml");
    fs::write(&contract, format!("{}{entry}", fs::read_to_string(&contract).unwrap())).unwrap();
    let stale = lint();
    assert_eq!(stale.status.code(), Some(1));
    assert_eq!(checks(&report(&stale), "findings"), ["stale-accept"]);
    fs::write(
        folder.path().join("migrations/V008__off.sql"),
        "ALTER TABLE public.resources SET (autovacuum_enabled = false);\n",
    )
    .unwrap();
    let accepted = lint();
    let found = report(&accepted);
    assert_eq!(accepted.status.code(), Some(0), "{found:#}");
    assert_eq!(found["accepted"][0]["id"], "autovacuum-disabled/resources");
    assert_eq!(found["accepted"][0]["reason"], "vacuumed by night");
}
