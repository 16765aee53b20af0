//! Lints of migration files: each finds its bad example exactly once and nothing in its good one; what is allowed, and
//! where a finding points.

mod support;

use chartchek_db::contract::project::{self, Project};
use chartchek_db::lint::migration::{self, LINTS};
use chartchek_db::migrate;
use chartchek_db::model::failure::Failure;
use chartchek_db::model::finding::Finding;
use chartchek_db::model::source::SourceFile;
use chartchek_db::server::{Regime, stand_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::Server;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lint")
}

fn read(path: &str) -> String {
    fs::read_to_string(fixtures().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What lints find in the last of these files, which are versions 1 and so on.
fn lint(files: &[&str]) -> Result<Vec<Finding>, Failure> {
    let sources = files.iter().enumerate();
    let sources = sources.map(|(at, text)| SourceFile::new(format!("migrations/V{:03}__x.sql", at + 1), *text));
    let contract = SourceFile::new("policies/access.toml", "");
    let project = Project {
        root: None,
        migrations: sources.collect(),
        contract,
        seed: None,
        policies: Vec::new(),
        rows: Vec::new(),
    };
    let loaded = migrate::load(&project)?;
    let found = migration::run(&loaded, &["public".to_owned()], &["anon".to_owned(), "authenticated".to_owned()])?;
    let last = format!("migrations/V{:03}__x.sql", files.len());
    let found = found.into_iter().map(|(_, finding)| finding);
    Ok(found.filter(|finding| finding.place.as_ref().is_some_and(|place| place.file.path == last)).collect())
}

/// What lints find in a file that runs after the examples' base.
fn after_base(text: &str) -> Result<Vec<Finding>, Failure> {
    lint(&[&read("migration-base.sql"), text])
}

/// The names and places of findings.
fn names(found: &[Finding]) -> Vec<String> {
    found.iter().map(|one| format!("{} {}", one.check, one.place.as_ref().unwrap().location())).collect()
}

#[test]
fn each_lint_finds_its_bad_example_once_and_nothing_in_its_good_one() {
    assert_eq!(names(&lint(&[&read("migration-base.sql")]).unwrap()), Vec::<String>::new(), "the base");
    let mut wrong = Vec::new();
    for known in LINTS {
        let bad = after_base(&read(&format!("{}/bad.sql", known.name))).unwrap();
        if bad.len() != 1 || bad[0].check != known.name {
            wrong.push(format!("{}/bad.sql: {:?}", known.name, names(&bad)));
        }
        let good = after_base(&read(&format!("{}/good.sql", known.name))).unwrap();
        if !good.is_empty() {
            wrong.push(format!("{}/good.sql: {:?}", known.name, good.iter().map(|one| &one.what).collect::<Vec<_>>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An example that PostgreSQL refuses would show nothing.
#[tokio::test]
async fn every_example_is_sql_that_runs() {
    let server = Server::start().await;
    let session = server.connect("postgres", "postgres").await;
    stand_in::install(&session, Regime::Explicit, None).await.unwrap();
    session.batch(&read("migration-base.sql")).await.unwrap();
    let mut wrong = Vec::new();
    for known in LINTS {
        for example in ["bad", "good"] {
            let name = format!("{}/{example}.sql", known.name);
            // What nobody can read is no SQL.
            if name == "unread-statement/bad.sql" {
                continue;
            }
            let text = read(&name);
            // Those run outside of a transaction; what they make and drop no other example names.
            let alone = text.contains("CONCURRENTLY ");
            let ran = if alone { session.batch(&text).await } else { session.batch(&format!("BEGIN; {text}")).await };
            if let Err(error) = ran {
                wrong.push(format!("{name}: {}", error.into_failure("does not run")));
            }
            if !alone {
                session.batch("ROLLBACK").await.unwrap();
            }
        }
    }
    session.close().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_file_makes_itself_is_nobodys_yet() {
    let made = "CREATE TABLE private.t (a int, b text);\n";
    for harmless in [
        "CREATE INDEX t_a ON private.t (a);",
        "ALTER TABLE private.t ADD CONSTRAINT t_a UNIQUE (a), ADD CHECK (a > 0);",
        "ALTER TABLE private.t ALTER a SET NOT NULL, ALTER a TYPE text;",
        "ALTER TABLE private.t ADD COLUMN c uuid DEFAULT gen_random_uuid();",
        "ALTER TABLE private.t RENAME COLUMN a TO c; ALTER TABLE private.t DROP COLUMN b; DROP TABLE private.t CASCADE;",
        "INSERT INTO private.t VALUES (1, ''); UPDATE private.t SET a = 2; TRUNCATE private.t;",
        "LOCK TABLE private.t; ALTER TABLE private.t RENAME TO u;",
    ] {
        assert_eq!(names(&after_base(&format!("{made}{harmless}")).unwrap()), Vec::<String>::new(), "{harmless}");
        let later = lint(&[&read("migration-base.sql"), made, harmless]).unwrap();
        assert!(!later.is_empty(), "in a later file: {harmless}");
    }
}

#[test]
fn an_allow_holds_for_the_statement_below_it_or_for_the_whole_file() {
    let drops = "ALTER TABLE public.notes DROP COLUMN pages;\nALTER TABLE public.notes DROP COLUMN body;\n";
    let allow = "-- chartchek-db: allow column-dropped, because nothing reads them\n";
    assert_eq!(after_base(drops).unwrap().len(), 2);
    for (text, left) in [
        (format!("{allow}{drops}"), vec!["column-dropped migrations/V002__x.sql:3:26"]),
        (format!("{allow}-- more about it\n{drops}"), vec!["column-dropped migrations/V002__x.sql:4:26"]),
        (format!("{allow}\n{drops}"), vec![]),
        (format!("-- Columns go.\n{allow}\n-- Now.\n{drops}"), vec![]),
        (format!("\u{feff}{allow}\n{drops}").replace('\n', "\r\n"), vec![]),
        (format!("SELECT 1;\n{allow}{drops}"), vec!["column-dropped migrations/V002__x.sql:4:26"]),
        (
            format!("-- chartchek-db: allow table-dropped, because of nothing\n\n{drops}"),
            vec![
                "stale-allow migrations/V002__x.sql:1:1",
                "column-dropped migrations/V002__x.sql:3:26",
                "column-dropped migrations/V002__x.sql:4:26",
            ],
        ),
        (
            format!("SELECT '{}';\n{drops}", allow.trim()),
            vec!["column-dropped migrations/V002__x.sql:2:26", "column-dropped migrations/V002__x.sql:3:26"],
        ),
    ] {
        assert_eq!(names(&after_base(&text).unwrap()), left, "{text}");
    }
}

#[test]
fn an_allow_that_says_too_little_is_refused_with_its_place() {
    let drop = "ALTER TABLE public.notes DROP COLUMN pages;";
    for (comment, what) in [
        ("allow column-dropped", "column-dropped is allowed without a reason"),
        ("allow column-dropped,", "column-dropped is allowed without a reason"),
        ("allow column-dropped, because", "column-dropped is allowed without a reason"),
        ("allow column-dropped, because  ", "column-dropped is allowed without a reason"),
        (
            "allow column-dropped because it goes",
            "there is no lint of migration files called column-dropped because it goes",
        ),
        ("allow colum-dropped, because it goes", "there is no lint of migration files called colum-dropped"),
        ("ignore column-dropped, because it goes", "a comment for chartchek-db does not say what it allows"),
    ] {
        let failure = after_base(&format!("SELECT 1;\n  -- chartchek-db: {comment}\n{drop}")).unwrap_err();
        assert_eq!(failure.to_string(), format!("migrations/V002__x.sql:2:3: {what}"));
        assert!(!failure.helps().is_empty());
    }
    let allow = "-- chartchek-db: allow column-dropped, because it goes";
    for text in [
        format!("{drop}\n{allow}"),
        format!("SELECT 1;\n{allow}\n\n{drop}"),
        format!("ALTER TABLE public.notes\n{allow}\nDROP COLUMN pages;"),
    ] {
        let failure = after_base(&text).unwrap_err();
        assert!(failure.what().contains("stands over no statement"), "{text}: {failure}");
    }
}

#[test]
fn findings_point_at_what_they_mean() {
    let text =
        "-- Größe ä\nSELECT 'é'; ALTER TABLE public.notes\n    ADD COLUMN größe int, /* é */ DROP COLUMN pages;\n";
    for (text, location) in [
        (text.to_owned(), "migrations/V002__x.sql:3:35"),
        (text.replace('\n', "\r\n"), "migrations/V002__x.sql:3:35"),
        (format!("\u{feff}{text}"), "migrations/V002__x.sql:3:35"),
    ] {
        let found = after_base(&text).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        let place = found[0].place.as_ref().unwrap();
        assert_eq!(place.location(), location);
        assert_eq!(&place.file.text[place.span.clone()], "DROP COLUMN pages");
    }
}

#[test]
fn a_file_that_migrate_refuses_is_an_error_with_its_place() {
    let failure = after_base("SELECT 1;\nSELECT 'open").unwrap_err();
    assert_eq!(failure.to_string(), "migrations/V002__x.sql:2:8: a string, comment or quoted name is never closed");
    let failure = after_base("SELECT 1; COMMIT;").unwrap_err();
    assert_eq!(failure.to_string(), "migrations/V002__x.sql:1:11: a statement stands in a migration that must not");
}

#[test]
fn definer_functions_are_held_against_their_whole_path() {
    let function = |options: &str| {
        format!("CREATE FUNCTION private.f() RETURNS int LANGUAGE sql SECURITY DEFINER {options} AS 'SELECT 1';")
    };
    for closed in
        ["SET search_path = ''", "SET search_path TO public, pg_temp", "SET \"search_path\" TO 'private', 'pg_temp'"]
    {
        assert_eq!(names(&after_base(&function(closed)).unwrap()), Vec::<String>::new(), "{closed}");
    }
    for open in
        ["", "SET search_path = pg_temp, public", "SET search_path = pg_catalog", "SET search_path FROM CURRENT"]
    {
        assert_eq!(
            names(&after_base(&function(open)).unwrap()),
            ["definer-path-open migrations/V002__x.sql:1:1"],
            "{open}"
        );
    }
    let mended = format!("{}ALTER FUNCTION private.f() SET search_path = '';", function(""));
    assert_eq!(names(&after_base(&mended).unwrap()), Vec::<String>::new());
}

#[test]
fn chartcheks_own_migrations_are_clean() {
    let project = project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), false).unwrap();
    let files = migrate::load(&project).unwrap();
    let clients = ["anon", "authenticated"].map(str::to_owned);
    let found = migration::run(&files, &["public".to_owned()], &clients).unwrap();
    let found: Vec<Finding> = found.into_iter().map(|(_, finding)| finding).collect();
    assert_eq!(names(&found), Vec::<String>::new());
}

#[test]
fn a_file_cut_anywhere_is_no_panic() {
    for known in LINTS {
        for example in ["bad", "good"] {
            let text = read(&format!("{}/{example}.sql", known.name));
            for end in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
                let _either = lint(&[&text[..end]]);
            }
        }
    }
}

/// The command: no database, the line with a caret, the exit code.
#[test]
fn the_command_shows_the_line_and_exits_with_findings() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("policies/access.toml", &fs::read_to_string(support::project().join("policies/access.toml")).unwrap());
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
        // Nothing that could choose a database, and no program to start one with.
        command.env_clear().args(["lint", "--files", "--project"]).arg(folder.path()).output().unwrap()
    };
    put("migrations/V001__base.sql", &read("migration-base.sql"));
    let clean = run();
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    put("migrations/V002__x.sql", "-- é\n  LOCK TABLE public.notes;\n");
    let found = run();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.contains("table-locked: reads and writes of notes wait until the file is through"), "{text}");
    assert!(text.contains("V002__x.sql:2:3"), "{text}");
    assert!(text.contains("2 |   LOCK TABLE public.notes;\n  |   ^^^^^^^^^^^^^^^^^^^^^^^"), "{text}");
    put("migrations/V003__x.sql", "SELECT 'open");
    let refused = run();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8(refused.stderr).unwrap().contains("V003__x.sql:1:8"));
}
