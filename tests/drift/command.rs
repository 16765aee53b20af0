//! The command: what it looks at, what it prints, how it exits.

use crate::cluster::{Cluster, PASSWORD};
use crate::support::own_project;
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::db::session::Session;
use chartchek_db::migrate;
use chartchek_db::server::{Regime, stand_in};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn url(server: &Cluster, role: &str) -> String {
    format!("postgresql://{role}:{PASSWORD}@127.0.0.1:{}/postgres?sslmode=disable", server.port)
}

async fn session(server: &Cluster, role: &str) -> Session {
    connect(&Conninfo::resolve(Some(&url(server, role)), |_| None).unwrap()).await.unwrap()
}

/// A migrated database on a server of its own.
async fn migrated(regime: Regime) -> Cluster {
    let server = Cluster::start();
    let superuser = session(&server, "postgres").await;
    stand_in::install(&superuser, regime, Some(PASSWORD)).await.unwrap();
    let mut migrator = session(&server, "migrator").await;
    migrate::apply_all(&mut migrator, &own_project().0).await.unwrap();
    server
}

fn run(project: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").envs(environment.iter().copied());
    let output = command.arg("drift").args(args).arg("--project").arg(project).output().unwrap();
    for stream in [&output.stdout, &output.stderr] {
        assert!(!String::from_utf8_lossy(stream).contains(PASSWORD), "the password is shown");
    }
    output
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", String::from_utf8_lossy(&output.stderr)))
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["migrations", "policies"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for entry in fs::read_dir(here().join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    folder
}

#[tokio::test]
async fn a_clean_target_has_none_and_a_spoilt_one_is_described() {
    for regime in Regime::ALL {
        let server = migrated(*regime).await;
        let target = url(&server, "migrator");
        for engine in ["local", "embedded"] {
            let args = ["--database-url", &target, "--format", "json", "--engine", engine];
            let output = run(here(), &args, &[]);
            let found = report(&output);
            assert_eq!(output.status.code(), Some(0), "{}", found["findings"]);
            assert_eq!(found["command"], "drift");
            assert_eq!(found["environment"]["regime"], regime.word());
            assert_eq!(found["summary"]["findings"], 0);
        }
        let superuser = session(&server, "postgres").await;
        superuser.batch("CREATE POLICY everyone ON public.documents USING (true)").await.unwrap();
        let output = run(here(), &["--target"], &[("DATABASE_URL", &target)]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in [
            "drift: target postgres on 127.0.0.1",
            "policy everyone on public.documents is not from the migrations",
            "found: AS PERMISSIVE FOR ALL TO PUBLIC USING (true)",
            "DROP POLICY everyone ON public.documents;",
            "1 finding: target postgres on 127.0.0.1",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

/// What is pending is no drift; what was edited after it was applied is.
#[tokio::test]
async fn pending_and_changed_migrations_are_told_apart() {
    let server = migrated(Regime::Explicit).await;
    let target = url(&server, "migrator");
    let project = copy();
    fs::write(project.path().join("migrations/V900__more.sql"), "CREATE TABLE public.more (id int);").unwrap();
    let args = ["--database-url", &target, "--format", "json"];
    let output = run(project.path(), &args, &[]);
    let found = report(&output);
    assert_eq!(output.status.code(), Some(0), "{}", found["findings"]);
    let not_tried = found["not_tried"].as_array().unwrap();
    assert!(not_tried.iter().any(|item| item["what"].as_str().unwrap().contains("V900__more.sql")), "{not_tried:?}");

    let file = project.path().join("migrations/V002__enums.sql");
    fs::write(&file, format!("{}-- edited\n", fs::read_to_string(&file).unwrap())).unwrap();
    let output = run(project.path(), &args, &[]);
    let found = report(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(found["findings"].as_array().unwrap().len(), 1, "{}", found["findings"]);
    assert!(found["findings"][0]["what"].as_str().unwrap().contains("V002__enums.sql is changed"));
}

/// A secret in a role's settings is neither compared nor shown.
#[tokio::test]
async fn a_secret_setting_is_not_shown() {
    let server = migrated(Regime::Explicit).await;
    let superuser = session(&server, "postgres").await;
    superuser
        .batch("ALTER ROLE authenticator SET pgrst.jwt_secret = 'secret-word'; ALTER DATABASE postgres SET app.settings.jwt_secret = 'secret-word'")
        .await
        .unwrap();
    for format in ["human", "json"] {
        let output = run(here(), &["--database-url", &url(&server, "migrator"), "--format", format], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("secret-word"));
    }
}

#[test]
fn a_target_is_named_or_nothing_is_compared() {
    let unreachable = "postgresql://nobody:x@127.0.0.1:1/x?sslmode=disable";
    for (args, environment, code) in [
        (vec![], vec![], 2),
        (vec![], vec![("DATABASE_URL", unreachable)], 2),
        (vec!["--target"], vec![("DATABASE_URL", "")], 2),
        (vec!["--database-url", ""], vec![], 2),
        (vec!["--target"], vec![("DATABASE_URL", unreachable)], 4),
        (vec!["--database-url", unreachable], vec![], 4),
        (vec!["--target", "--engine", "hologram"], vec![], 2),
    ] {
        let output = run(here(), &args, &environment);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?} {environment:?}: {error}");
        assert!(error.starts_with("error"), "{error}");
    }
}
