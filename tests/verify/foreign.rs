//! verify-rls on schemas of other shapes: sound ones hold, and a fault in each is noticed.

use crate::project::{Project, count, verdict};
use serde_json::Value;

const ALL: &str = r#"{ own = ["select", "insert", "update", "delete"] }"#;

fn run(sql: &str, tables: &str) -> (i32, Value) {
    Project::foreign(sql, &tables.replace("ALL", ALL)).verify(&["--engine", "local"])
}

fn holds(sql: &str, tables: &str) {
    let (code, report) = run(sql, tables);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    assert_eq!(count(&report, "held"), count(&report, "attempts"));
}

fn leaks(sql: &str, tables: &str, attempts: &[&str]) {
    let (code, report) = run(sql, tables);
    assert_eq!(code, 1, "not noticed: {sql}\n{}", report["summary"]);
    for id in attempts {
        assert_eq!(verdict(&report, id), "leak", "{id} on {sql}");
    }
}

#[test]
fn rows_are_made_where_nobody_is_promised_any() {
    leaks(
        "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON notes USING (true);
         GRANT SELECT, UPDATE, DELETE ON notes TO authenticated;",
        "[tables.notes]\nowner = \"user_id\"",
        &["notes/user/other/select/all", "notes/user/other/update/bare", "notes/user/other/delete/bare"],
    );
}

/// The child comes first in the contract, and no foreign key says that its parent goes before.
#[test]
fn a_parent_without_a_foreign_key() {
    leaks(
        "CREATE TABLE threads (id uuid PRIMARY KEY, user_id uuid NOT NULL);
         CREATE TABLE notes (id uuid PRIMARY KEY, thread_id uuid NOT NULL, body text);
         ALTER TABLE threads ENABLE ROW LEVEL SECURITY;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON threads USING (user_id = auth.uid());
         CREATE POLICY s ON notes FOR SELECT USING (true);
         CREATE POLICY d ON notes FOR DELETE USING (thread_id IN (SELECT id FROM threads WHERE user_id = auth.uid()));
         GRANT SELECT, INSERT, UPDATE, DELETE ON threads TO authenticated;
         GRANT SELECT, DELETE ON notes TO authenticated;",
        "[tables.notes]\nowner = \"thread_id -> threads.id\"\nuser = { own = [\"select\", \"delete\"] }
         [tables.threads]\nowner = \"user_id\"\nuser = ALL",
        &["notes/user/other/select/all"],
    );
}

const KEYLESS: &str = "CREATE TABLE status (user_id uuid NOT NULL, status text NOT NULL);
     ALTER TABLE status ENABLE ROW LEVEL SECURITY;
     CREATE POLICY s ON status FOR SELECT USING (user_id = auth.uid());
     CREATE POLICY i ON status FOR INSERT WITH CHECK (user_id = auth.uid());
     CREATE POLICY u ON status FOR UPDATE USING (user_id = auth.uid());
     CREATE POLICY d ON status FOR DELETE USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON status TO authenticated;";
const KEYLESS_CONTRACT: &str = "[tables.status]\nowner = \"user_id\"\nuser = ALL";

/// A column of the table's own name is not taken for the row.
#[test]
fn a_table_without_a_key() {
    holds(KEYLESS, KEYLESS_CONTRACT);
    leaks(
        &format!(
            "{KEYLESS} ALTER POLICY u ON status WITH CHECK (true); CREATE POLICY x ON status FOR SELECT USING (true);"
        ),
        KEYLESS_CONTRACT,
        &["status/user/own/update/transfer", "status/user/other/select/all@equal"],
    );
}

#[test]
fn three_owners_of_which_two_are_asked() {
    leaks(
        "CREATE TABLE links (id uuid PRIMARY KEY, a uuid NOT NULL, b uuid NOT NULL, c uuid NOT NULL, body text);
         ALTER TABLE links ENABLE ROW LEVEL SECURITY;
         CREATE POLICY s ON links FOR SELECT USING (auth.uid() = a AND auth.uid() = b);
         GRANT SELECT ON links TO authenticated;",
        "[tables.links]\nowner = { all = [\"a\", \"b\", \"c\"] }\nuser = { own = [\"select\"] }",
        &["links/user/mixed/select/all"],
    );
}

#[test]
fn an_owner_by_any_of_two_columns() {
    holds(
        "CREATE TABLE mail (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), a uuid NOT NULL, b uuid, body text);
         ALTER TABLE mail ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON mail USING (auth.uid() IN (a, b));
         GRANT SELECT, INSERT, UPDATE, DELETE ON mail TO authenticated;",
        "[tables.mail]\nowner = { any = [\"a\", \"b\"] }\nuser = ALL",
    );
}

/// Nothing but keys: no form can write a plain column.
#[test]
fn a_grant_to_update_a_table_of_keys() {
    let sql = "CREATE TABLE likes (user_id uuid, post_id uuid, PRIMARY KEY (user_id, post_id));
         ALTER TABLE likes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON likes TO authenticated USING (user_id = auth.uid());
         GRANT SELECT, INSERT, UPDATE, DELETE ON likes TO authenticated;";
    let contract = "[tables.likes]\nowner = \"user_id\"\nuser = ALL";
    holds(sql, contract);
    leaks(
        &format!("{sql} CREATE POLICY x ON likes FOR UPDATE TO anon USING (true); GRANT UPDATE ON likes TO anon;"),
        contract,
        &["likes/anon/other/update/rights"],
    );
}

/// The rows of an account refer to different ones of a table that all share.
#[test]
fn a_key_of_owner_and_shared_row() {
    holds(
        "CREATE TABLE posts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text);
         CREATE TABLE likes (user_id uuid, post_id uuid REFERENCES posts ON DELETE CASCADE, PRIMARY KEY (user_id, post_id));
         ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
         ALTER TABLE likes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON posts FOR SELECT USING (true);
         CREATE POLICY p ON likes USING (user_id = auth.uid());
         GRANT SELECT ON posts TO authenticated;
         GRANT SELECT, INSERT, UPDATE, DELETE ON likes TO authenticated;",
        "[tables.posts]\nowner = \"none\"\nuser = { all = [\"select\"] }\n[tables.likes]\nowner = \"user_id\"\nuser = ALL",
    );
}

/// What is promised and could not be tried does not pass: who owns what stands in a table that nothing refers to.
#[test]
fn a_promise_of_rows_that_are_not_there() {
    let (code, report) = run(
        "CREATE SCHEMA private;
         CREATE TABLE private.authors (note_id uuid, user_id uuid);
         CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), body text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON notes FOR SELECT USING (false);
         GRANT SELECT ON notes TO authenticated;",
        "[tables.notes]\nowner_sql = \"exists (select 1 from private.authors a where a.note_id = row.id and a.user_id = :uid::uuid)\"\nuser = { own = [\"select\"] }",
    );
    assert_eq!(code, 3, "{}", report["summary"]);
    assert_eq!(report["not_run"][0]["what"], "notes/user/own");
}

#[test]
fn names_that_must_be_quoted_and_types_of_all_kinds() {
    holds(
        r#"CREATE TYPE mood AS ENUM ('a b', 'c"d');
           CREATE DOMAIN amount AS int CHECK (value > 0);
           CREATE TABLE "a""b; drop table c" (
               "I d" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "User" uuid NOT NULL, m mood, ms mood[],
               n amount, r int4range, g int GENERATED ALWAYS AS (1) STORED);
           ALTER TABLE "a""b; drop table c" ENABLE ROW LEVEL SECURITY;
           CREATE POLICY p ON "a""b; drop table c" USING ("User" = auth.uid());
           REVOKE ALL ON SEQUENCE "a""b; drop table c_I d_seq" FROM anon, authenticated;
           GRANT SELECT, INSERT, UPDATE, DELETE ON "a""b; drop table c" TO authenticated;"#,
        r#"[tables."a\"b; drop table c"]
           owner = "\"User\""
           user = ALL"#,
    );
}

const PROFILES: &str = "CREATE TABLE profiles (id uuid PRIMARY KEY REFERENCES auth.users (id), name text);
     ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
     GRANT SELECT, INSERT, UPDATE, DELETE ON profiles TO authenticated;";

/// An account has one row, under its own id.
#[test]
fn a_table_of_profiles() {
    let tables = "[tables.profiles]\nowner = \"id\"\nuser = ALL";
    holds(&format!("{PROFILES} CREATE POLICY p ON profiles USING (id = auth.uid());"), tables);
    leaks(
        &format!("{PROFILES} CREATE POLICY p ON profiles USING (id = auth.uid()) WITH CHECK (true);"),
        tables,
        &["profiles/user/other/insert/plain", "profiles/user/own/update/transfer-bare"],
    );
    leaks(
        &format!(
            "{PROFILES} CREATE POLICY p ON profiles USING (id = auth.uid());
             CREATE POLICY u ON profiles FOR UPDATE USING (true) WITH CHECK (true);"
        ),
        tables,
        &["profiles/user/other/update/bare"],
    );
}
