//! `contract check` and `contract draft`, as people run them.

#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;

use cluster::Cluster;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary with nothing of the environment that could choose a database.
fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG").args(args).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A copy of the project whose contract is changed.
fn project(change: impl Fn(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["migrations", "policies"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().join("policies/access.toml");
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    folder
}

#[test]
fn a_contract_that_fits_is_clean_embedded() {
    let folder = project(|text| text);
    let output = run(&["contract", "check", "--engine", "embedded", "--project", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("9 tables promised"), "{}", told(&output));
}

#[test]
fn a_contract_that_does_not_fit_is_told_local() {
    let forgotten = project(|text| {
        let start = text.find("[tables.user_assistants]").unwrap();
        let end = start + text[start..].find("\n\n").unwrap();
        format!("{}{}", &text[..start], &text[end..])
    });
    let output = run(&["contract", "check", "--engine", "local", "--project", forgotten.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("uncovered-table: user_assistants"), "{}", told(&output));

    let misspelt = project(|text| text.replace("[tables.user_assistants]", "[tables.user_asistants]"));
    let output = run(&["contract", "check", "--engine", "local", "--project", misspelt.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("access.toml:"), "{}", told(&output));
}

/// A schema of other shapes: an owner by name, a child, a link of two parents, a profile whose key is the account, a
/// public table, a view, a name that needs quotes.
const FOREIGN: &str = r#"
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated, service_role;
    CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users (id), name text);
    CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    CREATE TABLE "odd name" (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), note_id uuid NOT NULL REFERENCES notes (id) ON DELETE CASCADE);
    CREATE TABLE links (note_id uuid REFERENCES notes (id) ON DELETE CASCADE, profile_id uuid REFERENCES profiles (id) ON DELETE CASCADE, PRIMARY KEY (note_id, profile_id));
    CREATE TABLE plans (id integer PRIMARY KEY, name text);
    CREATE VIEW cheap WITH (security_invoker = on) AS SELECT * FROM plans;
    ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    ALTER TABLE "odd name" ENABLE ROW LEVEL SECURITY;
    ALTER TABLE links ENABLE ROW LEVEL SECURITY;
    ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON profiles FOR SELECT TO authenticated USING (id = (SELECT auth.uid()));
    CREATE POLICY n ON notes TO authenticated USING (user_id = (SELECT auth.uid()));
    CREATE POLICY o ON "odd name" FOR SELECT TO authenticated USING (EXISTS (SELECT 1 FROM notes n WHERE n.id = note_id AND n.user_id = (SELECT auth.uid())));
    CREATE POLICY l ON links FOR SELECT TO authenticated USING (profile_id = (SELECT auth.uid()) AND EXISTS (SELECT 1 FROM notes n WHERE n.id = note_id AND n.user_id = (SELECT auth.uid())));
    CREATE POLICY s ON plans FOR SELECT USING (true);
    GRANT SELECT ON profiles, notes, "odd name", links TO authenticated;
    GRANT SELECT ON plans TO anon, authenticated;
    GRANT INSERT, UPDATE, DELETE ON notes TO authenticated;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;
"#;

#[test]
fn a_drafted_contract_is_one_that_the_database_holds_local() {
    let cluster = Cluster::start();
    let up = run(&["dev", "up", "--database-url", &cluster.url(), "--stand-in-only"]);
    assert_eq!(up.status.code(), Some(0), "{}", told(&up));
    cluster.sql_as("migrator", FOREIGN);
    let url = cluster.url_as("migrator");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("migrations")).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    let file = folder.path().join("policies/access.toml");
    let write = file.to_str().unwrap();
    let output = run(&["contract", "draft", "--database-url", &url, "--write", write]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = fs::read_to_string(&file).unwrap();
    for part in [
        "# A DRAFT",
        "owner = \"id\"\nuser = { own = [\"select\"] }",
        "owner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }",
        "[tables.\"odd name\"]\nowner = \"note_id -> notes.id\"",
        "owner = { all = [\"note_id -> notes.id\", \"profile_id -> profiles.id\"] }",
        "owner = \"none\"\nanon = { all = [\"select\"] }\nuser = { all = [\"select\"] }",
        "table  = \"cheap\"",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // It is never overwritten.
    let again = run(&["contract", "draft", "--database-url", &url, "--write", write]);
    assert_eq!(again.status.code(), Some(2), "{}", told(&again));
    assert_eq!(text, fs::read_to_string(&file).unwrap());

    let project = folder.path().to_str().unwrap();
    let output = run(&["contract", "check", "--database-url", &url, "--project", project]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let output = run(&["verify-rls", "--database-url", &url, "--project", project]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}
