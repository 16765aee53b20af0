//! Conditions on a wrong column, a wrong parent or nothing at all, for each command: the rows of the worlds show them.

use crate::project::Project;
use serde_json::Value;
use std::fmt::Write;

/// What policies ask instead of `user_id = auth.uid()`.
const WRONG: [&str; 10] = [
    "title = title",
    "user_id = user_id",
    "created_by = auth.uid()",
    "author = auth.uid()::text",
    "user_id = created_by",
    "email = auth.jwt() ->> 'email'",
    "auth.uid() = ANY (shared)",
    "folder_id IN (SELECT f.id FROM folders f WHERE f.user_id = auth.uid())",
    // The names bind inside: whose the note is, nobody asks.
    "EXISTS (SELECT FROM folders f WHERE f.id = folder_id AND f.user_id = auth.uid() AND user_id = user_id)",
    "status = 'public' AND is_listed",
];

const FOLDERS: &str =
    "CREATE TABLE folders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, name text);
     ALTER TABLE folders ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON folders TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON folders TO authenticated;";

const OWN: &str = "user = { own = [\"select\", \"insert\", \"update\", \"delete\"] }";

/// A table for each condition, with a policy that `clause` makes of it beside the owner's.
fn verify(clause: impl Fn(&str) -> String) -> (i32, Value) {
    let mut sql = FOLDERS.to_owned();
    let mut contract = format!("[tables.folders]\nowner = \"user_id\"\n{OWN}\n");
    for (number, condition) in WRONG.iter().enumerate() {
        write!(
            sql,
            "CREATE TABLE notes_{number} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, title text,
                 created_by uuid, author text, email text, shared uuid[], status text, is_listed boolean NOT NULL DEFAULT false,
                 folder_id uuid REFERENCES folders ON DELETE SET NULL);
             ALTER TABLE notes_{number} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes_{number} TO authenticated USING (user_id = auth.uid());
             CREATE POLICY more ON notes_{number} {};
             GRANT SELECT, INSERT, UPDATE, DELETE ON notes_{number} TO authenticated;",
            clause(condition)
        )
        .unwrap();
        writeln!(contract, "[tables.notes_{number}]\nowner = \"user_id\"\n{OWN}").unwrap();
    }
    Project::foreign(&sql, &contract).verify(&["--engine", "local", "--only", "/user/"])
}

/// Each table's fault is a leak of that command, and the tables beside are not blamed.
fn each_is_found(command: &str, clause: impl Fn(&str) -> String) {
    let (code, report) = verify(clause);
    assert_eq!(code, 1, "{}", report["summary"]);
    let leaks = |table: &str| {
        let attempts = report["attempts"].as_array().unwrap().iter();
        let leaks = attempts.filter(|attempt| attempt["table"] == table && attempt["verdict"] == "leak");
        leaks.filter(|attempt| attempt["command"] == command).count()
    };
    let missed: Vec<&str> = (0..WRONG.len()).filter(|n| leaks(&format!("notes_{n}")) == 0).map(|n| WRONG[n]).collect();
    assert!(missed.is_empty(), "{command}: not noticed: {missed:#?}");
    assert_eq!(leaks("folders"), 0);
}

#[test]
fn rows_seen_by_a_wrong_column() {
    each_is_found("select", |condition| format!("FOR SELECT TO authenticated USING ({condition})"));
}

#[test]
fn rows_added_by_a_wrong_column() {
    each_is_found("insert", |condition| format!("FOR INSERT TO authenticated WITH CHECK ({condition})"));
}

#[test]
fn rows_changed_by_a_wrong_column() {
    each_is_found("update", |condition| format!("FOR UPDATE TO authenticated USING ({condition})"));
}

#[test]
fn rows_given_away_by_a_wrong_column() {
    each_is_found("update", |condition| {
        format!("FOR UPDATE TO authenticated USING (user_id = auth.uid()) WITH CHECK ({condition})")
    });
}

/// The row may be taken only with what the check asks for beside.
#[test]
fn rows_taken_together_with_a_label() {
    let (code, report) = verify(|condition| {
        format!("FOR UPDATE TO authenticated USING (true) WITH CHECK (user_id = auth.uid() AND {condition})")
    });
    assert_eq!(code, 1, "{}", report["summary"]);
    for (number, wrong) in WRONG.iter().enumerate() {
        let attempts = report["attempts"].as_array().unwrap().iter();
        let mut leaks = attempts.filter(|attempt| {
            attempt["table"] == format!("notes_{number}")
                && attempt["verdict"] == "leak"
                && attempt["command"] == "update"
        });
        assert!(leaks.next().is_some(), "not noticed: {}", wrong);
    }
}

#[test]
fn rows_deleted_by_a_wrong_column() {
    each_is_found("delete", |condition| format!("FOR DELETE TO authenticated USING ({condition})"));
}

/// The same conditions beside the owner's let nobody in.
#[test]
fn conditions_beside_the_owners_are_silent() {
    let (code, report) =
        verify(|condition| format!("FOR ALL TO authenticated USING (user_id = auth.uid() AND ({condition}))"));
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    assert_eq!(report["summary"]["held"], report["summary"]["attempts"], "{}", report["summary"]);
}
