//! What the parts of policies were seen as: true, false and null, by whom; a part that is never false is a finding.

use crate::project::Project;
use serde_json::Value;

/// A table of notes with an owner's policy of that condition.
fn notes(condition: &str) -> String {
    format!(
        "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text,
             is_locked boolean, expires_at timestamptz, rank integer NOT NULL DEFAULT 1 CHECK (rank > 0));
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes TO authenticated USING ({condition});
         GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;"
    )
}

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }\n";

fn verify(condition: &str, engine: &str) -> (i32, Value) {
    Project::foreign(&notes(condition), CONTRACT).verify(&["--engine", engine])
}

/// The objects of the findings of this check.
fn never_false(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let of_check = findings.filter(|finding| finding["check"] == "predicate-coverage");
    of_check.map(|finding| finding["object"].as_str().unwrap().to_owned()).collect()
}

fn part<'a>(report: &'a Value, text: &str) -> &'a Value {
    let parts = report["coverage"]["atoms"].as_array().unwrap();
    parts.iter().find(|part| part["text"] == text).unwrap_or_else(|| panic!("no part {text}: {parts:?}"))
}

#[test]
fn parts_are_told_with_who_saw_them_so() {
    let (code, report) = verify("user_id = auth.uid()", "local");
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    let part = part(&report, "user_id = auth.uid()");
    assert_eq!((&part["policy"], &part["clause"]), (&"notes.own".into(), &"USING".into()));
    assert!(part["true_for"].as_array().unwrap().contains(&"user".into()), "{part}");
    assert!(part["false_for"].as_array().unwrap().contains(&"user".into()), "{part}");
    let (_, of_part) = Project::foreign(&notes("user_id = auth.uid()"), CONTRACT).verify(&[
        "--engine",
        "local",
        "--only",
        "notes/user/",
    ]);
    assert!(never_false(&of_part).is_empty() && of_part["coverage"].is_null());
}

#[test]
fn a_part_that_is_never_false_is_found() {
    for vacuous in ["rank > 0", "user_id = user_id"] {
        let (code, report) = verify(&format!("user_id = auth.uid() AND {vacuous}"), "local");
        assert_eq!(code, 1, "{vacuous}: {}", report["summary"]);
        assert_eq!(never_false(&report), ["policy notes.own USING 2"], "{vacuous}");
    }
}

#[test]
fn a_part_that_is_never_false_is_found_embedded() {
    let (code, report) = verify("user_id = auth.uid() AND rank > 0", "embedded");
    assert_eq!(code, 1, "{}", report["summary"]);
    assert_eq!(never_false(&report), ["policy notes.own USING 2"]);
    let (code, report) = verify("user_id = auth.uid()", "embedded");
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
}

/// What is false for a row or a token that the worlds have, and what can't be by construction, is no finding.
#[test]
fn parts_that_can_be_false_and_those_that_cannot_by_construction_are_silent() {
    for sound in [
        "auth.role() = 'authenticated'",
        "auth.uid() IS NOT NULL",
        "user_id IS NOT NULL",
        "true",
        "(expires_at IS NULL OR expires_at > now() OR expires_at <= now())",
        "(auth.jwt() ->> 'email') IS NOT NULL",
        "coalesce(current_setting('request.headers', true)::json ->> 'x-read', 'yes') <> 'no'",
    ] {
        let (_, report) = verify(&format!("user_id = auth.uid() AND {sound}"), "local");
        assert!(never_false(&report).is_empty(), "{sound}: {}", report["findings"]);
        assert!(!report["coverage"]["atoms"].as_array().unwrap().is_empty());
    }
    let (code, report) = Project::copy().verify(&["--engine", "local"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    let parts = report["coverage"]["atoms"].as_array().unwrap();
    assert!(parts.len() >= 36, "one for each policy at least: {}", parts.len());
    let all = |key: &str| parts.iter().all(|part| !part[key].as_array().unwrap().is_empty());
    assert!(all("true_for") && all("false_for"), "{parts:?}");
}
