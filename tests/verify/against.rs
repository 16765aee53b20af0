//! `--against`: what an earlier report did not show, did try, and promised less of.

use crate::project::{Project, count};
use serde_json::Value;
use std::fs;
use std::path::Path;

const NOTES: &str =
    "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text, title text,
         made_at timestamptz);
     ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT (id, user_id, body, title), UPDATE (id, user_id, body, title), DELETE ON notes TO authenticated;
     CREATE TABLE places (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text);
     ALTER TABLE places ENABLE ROW LEVEL SECURITY;
     CREATE POLICY every ON places FOR SELECT TO authenticated USING (true);
     GRANT SELECT ON places TO authenticated;";

const CONTRACT: &str = "[actors.admin]
extends = \"user\"
claims = { app_metadata = { role = \"admin\" } }
[tables.notes]
owner = \"user_id\"
user = { own = [\"select\", \"insert\", \"update\", \"delete\"] }
columns.made_at = { client_may_set = [] }
[tables.places]
owner = \"none\"
user = { all = [\"select\"] }
";

/// The report of a project, as a file.
fn reported(sql: &str, contract: &str, file: &Path) {
    let report = format!("json={}", file.display());
    let output = Project::foreign(sql, contract).run(&["verify-rls", "--engine", "local", "--report", &report]);
    assert!(file.exists(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The exit code, the kinds and ids of what changed, and the report.
fn against(file: &Path, sql: &str, contract: &str) -> (i32, Vec<(String, String)>, Value) {
    let file = file.display().to_string();
    let (code, report) = Project::foreign(sql, contract).verify(&["--engine", "local", "--against", &file]);
    let changes = report["against"]["changes"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = changes.map(|change| (text(&change["kind"]), text(&change["id"]))).collect();
    (code, changes, report)
}

struct Earlier(tempfile::TempDir);

impl Earlier {
    fn of(sql: &str, contract: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        reported(sql, contract, &folder.path().join("old.json"));
        Self(folder)
    }

    fn against(&self, sql: &str, contract: &str) -> (i32, Vec<(String, String)>, Value) {
        against(&self.0.path().join("old.json"), sql, contract)
    }

    /// The change is told of, and fails the run where it loosens.
    fn tells(&self, sql: &str, contract: &str, kind: &str, id: &str) -> Value {
        let (code, changes, report) = self.against(sql, contract);
        let place = changes.iter().position(|(known, of)| known == kind && (of == id || *of == format!("{kind}/{id}")));
        let place = place.unwrap_or_else(|| panic!("no {kind} {id}: {changes:?}"));
        if report["against"]["changes"][place]["loosens"] == true {
            assert_eq!(code, 1, "{kind} {id} did not fail the run");
        }
        report
    }
}

#[test]
fn the_same_again_is_silent() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let (code, changes, report) = earlier.against(NOTES, CONTRACT);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    assert!(changes.is_empty(), "{changes:?}");
    assert!(report["against"]["earlier"].as_str().unwrap().contains("a scratch database"), "{}", report["against"]);
    let file = earlier.0.path().join("old.json").display().to_string();
    let output = Project::foreign(NOTES, CONTRACT).run(&["verify-rls", "--engine", "local", "--against", &file]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("nothing changed"), "{text}");
}

#[test]
fn leaks_and_denials_that_are_new_and_gone() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let open = format!("{NOTES} CREATE POLICY x ON notes FOR SELECT TO authenticated USING (true);");
    earlier.tells(&open, CONTRACT, "new-leak", "leak/notes/user/other/select");
    let shut = NOTES.replace("own ON notes TO", "own ON notes AS RESTRICTIVE TO");
    earlier.tells(&shut, CONTRACT, "new-over-denial", "over-denial/notes/user/own/select");
    let lent = format!("{NOTES} GRANT TRIGGER ON notes TO authenticated;");
    earlier.tells(&lent, CONTRACT, "new-finding", "residual-right/notes");
    // What was there before is not new, and what is mended is gone.
    let leaking = Earlier::of(&open, CONTRACT);
    let (code, changes, _) = leaking.against(&open, CONTRACT);
    assert_eq!((code, changes), (1, Vec::new()), "a leak fails, new or not");
    leaking.tells(NOTES, CONTRACT, "gone", "leak/notes/user/other/select");
}

/// A policy and its contract, loosened together: every attempt holds, and the change does not pass unseen.
#[test]
fn promises_that_are_widened() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let open = format!("{NOTES} CREATE POLICY x ON notes FOR SELECT TO authenticated USING (true);");
    let promised = CONTRACT
        .replace("\"delete\"] }\ncolumns", "\"delete\"], other = [\"select\"], orphan = [\"select\"] }\ncolumns");
    let report = earlier.tells(&open, &promised, "widened-promise", "notes/user/other/select");
    assert_eq!(count(&report, "leak"), 0, "{}", report["summary"]);
    // Back again, it is tighter, and that fails nothing.
    let wide = Earlier::of(&open, &promised);
    let (code, changes, report) = wide.against(NOTES, CONTRACT);
    assert_eq!(code, 0, "{}", report["findings"]);
    assert!(changes.contains(&("tightened".to_owned(), "notes/user/other/select".to_owned())), "{changes:?}");
    assert!(changes.iter().all(|(kind, _)| kind == "tightened"), "{changes:?}");
}

#[test]
fn rules_owners_and_actors_that_are_changed() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let with = |rule: &str| CONTRACT.replace("columns.made_at = { client_may_set = [] }\n", rule);
    let null = with("columns.made_at = { client_may_set = [\"null\"] }\n");
    earlier.tells(NOTES, &with(""), "widened-promise", "notes.made_at");
    earlier.tells(NOTES, &null, "widened-promise", "notes.made_at");
    Earlier::of(NOTES, &null).tells(NOTES, CONTRACT, "tightened", "notes.made_at");
    Earlier::of(NOTES, &with("")).tells(NOTES, CONTRACT, "tightened", "notes.made_at");
    let two = format!("{NOTES} ALTER TABLE notes ADD COLUMN shared_with uuid;");
    let any = CONTRACT.replace("owner = \"user_id\"", "owner = { any = [\"user_id\", \"shared_with\"] }");
    earlier.tells(&two, &any, "changed-owner", "notes");
    earlier.tells(NOTES, &CONTRACT.replace("role = \"admin\"", "role = \"boss\""), "changed-actor", "admin");
    // As if service_role had been like any other.
    let file = earlier.0.path().join("old.json");
    let mut report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let actors = report["contract"]["actors"].as_array_mut().unwrap();
    actors.iter_mut().for_each(|actor| actor["bypasses_rls"] = false.into());
    fs::write(&file, report.to_string()).unwrap();
    earlier.tells(NOTES, CONTRACT, "widened-promise", "service");
}

#[test]
fn what_is_not_tried_any_more() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let (_, rest) = CONTRACT.split_once("[tables.notes]").unwrap();
    let without_admin = format!("[tables.notes]{rest}");
    earlier.tells(NOTES, &without_admin, "lost-coverage", "admin");
    let (before, _) = CONTRACT.split_once("[tables.places]").unwrap();
    let exempt = format!("{before}[[exempt]]\ntable = \"places\"\nreason = \"nobody's\"\n");
    let report = earlier.tells(NOTES, &exempt, "lost-coverage", "places");
    assert!(report["against"].to_string().contains("new-exempt"), "{}", report["against"]);
    // A table that the schema has no more is no loss.
    let dropped = format!("{NOTES} DROP TABLE places;");
    let (code, changes, report) = earlier.against(&dropped, before);
    assert_eq!(code, 0, "{}", report["findings"]);
    assert!(changes.contains(&("gone".to_owned(), "places".to_owned())), "{changes:?}");
}

#[test]
fn what_is_accepted_now() {
    let oracle = format!("{NOTES} ALTER TABLE notes ADD UNIQUE (body);");
    let accepted = |expires: &str| {
        format!(
            "{CONTRACT}[[accept]]\nprobe = \"unique-oracle\"\nwhere = \"notes.body\"\nreason = \"known\"\n{expires}"
        )
    };
    let earlier = Earlier::of(&oracle, CONTRACT);
    earlier.tells(&oracle, &accepted(""), "new-accept", "unique-oracle/notes.body");
    let for_a_time = Earlier::of(&oracle, &accepted("expires = 2099-01-01\n"));
    let (code, changes, report) = for_a_time.against(&oracle, &accepted("expires = 2099-01-01\n"));
    assert_eq!((code, changes), (0, Vec::new()), "{}", report["findings"]);
    for_a_time.tells(&oracle, &accepted("expires = 2099-06-01\n"), "new-accept", "unique-oracle/notes.body");
    for_a_time.tells(&oracle, &accepted(""), "new-accept", "unique-oracle/notes.body");
    let (code, changes, _) = for_a_time.against(NOTES, CONTRACT);
    assert_eq!(code, 0);
    assert!(changes.contains(&("tightened".to_owned(), "unique-oracle/notes.body".to_owned())), "{changes:?}");
}

#[test]
fn a_table_that_is_new_is_told_of() {
    let (before, _) = CONTRACT.split_once("[tables.places]").unwrap();
    let (alone, _) = NOTES.split_once("CREATE TABLE places").unwrap();
    let earlier = Earlier::of(alone, before);
    let (code, changes, report) = earlier.against(NOTES, CONTRACT);
    assert_eq!(code, 0, "{}", report["findings"]);
    assert_eq!(changes, [("new-table".to_owned(), "places".to_owned())]);
    assert!(report["against"].to_string().contains("user may select any rows"), "{}", report["against"]);
}

#[test]
fn a_file_that_is_no_report_is_told_of_before_anything_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.json");
    for (text, why) in [
        ("{\"version\": 1, \"comma", "it was cut off"),
        ("{\"version\": 7, \"command\": \"verify-rls\"}", "it is of version 7"),
        ("no report", "it is no JSON"),
        ("{\"version\": 1, \"command\": \"verify-rls\"}", "missing field"),
    ] {
        fs::write(&file, text).unwrap();
        let named = file.display().to_string();
        let output = Project::foreign(NOTES, CONTRACT).run(&["verify-rls", "--engine", "local", "--against", &named]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(why) && told.contains("--report json=FILE"), "{told}");
    }
    let output = Project::foreign(NOTES, CONTRACT).run(&["verify-rls", "--against", "/nowhere/old.json"]);
    assert_eq!(output.status.code(), Some(2));
}

/// A report of before contracts were written says nothing of promises, and nothing passes for it.
#[test]
fn a_report_without_a_contract_is_not_compared_in_silence() {
    let earlier = Earlier::of(NOTES, CONTRACT);
    let file = earlier.0.path().join("old.json");
    let mut report: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    report.as_object_mut().unwrap().remove("contract").unwrap();
    fs::write(&file, report.to_string()).unwrap();
    let (code, changes, report) = earlier.against(NOTES, CONTRACT);
    assert_eq!((code, changes), (3, Vec::new()));
    assert!(report["not_run"].to_string().contains("holds no contract"), "{}", report["not_run"]);
}
