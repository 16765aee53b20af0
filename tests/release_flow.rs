//! The way of a release on a plain PostgreSQL: refused before it looks like Supabase, migrated once by whoever comes
//! first, verified, and left alone.

#[path = "support/cluster.rs"]
mod cluster;

use cluster::Cluster;
use std::process::{Command, Output};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_plain_postgresql_is_refused_until_dev_up_then_there_is_nothing_to_do() {
    let server = Cluster::start();
    let before = server.dump();
    for _ in 0..2 {
        let refused = run(&["migrate", "--database-url", &server.url()]);
        assert_eq!(refused.status.code(), Some(6), "{}", text(&refused));
        assert!(text(&refused).contains("schema auth with its table users is missing"), "{}", text(&refused));
        assert!(text(&refused).contains("dev up --stand-in-only"), "{}", text(&refused));
        assert!(!text(&refused).contains(cluster::PASSWORD));
    }
    assert_eq!(before, server.dump(), "something was left behind");

    let up = run(&["dev", "up", "--database-url", &server.url()]);
    assert!(up.status.success(), "{}", text(&up));
    let migrator = String::from_utf8(up.stdout).unwrap().trim().to_owned();
    for url in [migrator.as_str(), &server.url()] {
        let again = run(&["migrate", "--database-url", url]);
        assert_eq!(again.status.code(), Some(0), "{}", text(&again));
        assert!(text(&again).contains("nothing to do"), "{}", text(&again));
    }
    let verified = run(&["verify-rls", "--database-url", &migrator]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let drift = run(&["drift", "--database-url", &migrator]);
    assert_eq!(drift.status.code(), Some(0), "{}", text(&drift));
}

#[test]
fn eight_at_once_on_an_empty_database_apply_each_file_once() {
    let server = Cluster::start();
    let up = run(&["dev", "up", "--stand-in-only", "--database-url", &server.url()]);
    assert!(up.status.success(), "{}", text(&up));
    let migrator = String::from_utf8(up.stdout).unwrap().trim().to_owned();
    let eight: Vec<_> = (0..8)
        .map(|_| {
            let mut command = command(&["migrate", "--database-url", &migrator]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut applied = 0;
    for child in eight {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        applied += text(&output).matches("  applied  V00").count();
    }
    assert_eq!(applied, 7, "each file is applied by one of them");
    let history = server.sql("SELECT count(*) || ' ' || count(DISTINCT version) FROM chartchek_meta.refinery_schema_history");
    assert_eq!(history.trim(), "7 7");
    let owner = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'chartchek_meta')";
    assert_eq!(server.sql(owner).trim(), "migrator", "everything runs as the migrator, who is no superuser");
    assert_eq!(server.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'migrator'").trim(), "f");
}
