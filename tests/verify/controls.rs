//! Negative controls: in every run a hole of each family is made and noticed, and a run that does not notice one says
//! that its detector is broken.

use crate::project::{Project, count, report};
use crate::target::prepared;
use serde_json::Value;

const NOTES: &str =
    "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
     ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }\n";

/// The controls' names, all of them or those that were not noticed.
fn names(report: &Value, all: bool) -> Vec<String> {
    let controls = report["controls"].as_array().unwrap().iter();
    let told = controls.filter(|control| all || control["noticed"] == false);
    told.map(|control| control["name"].as_str().unwrap().to_owned()).collect()
}

fn has(report: &Value, wanted: &[&str]) {
    let names = names(report, true);
    for name in wanted {
        assert!(names.iter().any(|known| known == name), "no control {name}: {names:?}");
    }
}

const OF_ROWS: [&str; 8] = [
    "attempts: select of other rows",
    "attempts: insert of other rows",
    "attempts: update of other rows",
    "attempts: delete of other rows",
    "attempts: select of orphan rows",
    "attempts: update of mixed rows",
    "attempts: insert of any rows",
    "attempts: a grant of select without a promise",
];

#[test]
fn every_family_has_a_control_that_is_noticed() {
    let (code, report) = Project::copy().verify(&["--engine", "local"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["controls"]);
    has(&report, &OF_ROWS);
    let of_probes = ["row-security-off", "view", "residual-right", "sequence", "definer-function"];
    has(&report, &of_probes.map(|name| format!("probe {name}")).each_ref().map(String::as_str));
    has(&report, &["attempts: truncate of other rows"]);
    assert!(names(&report, false).is_empty(), "{}", report["controls"]);
}

#[test]
fn every_family_has_a_control_that_is_noticed_embedded() {
    let (code, report) = Project::foreign(NOTES, CONTRACT).verify(&["--engine", "embedded"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["controls"]);
    has(&report, &["attempts: delete of other rows", "probe view", "probe definer-function"]);
    assert!(names(&report, false).is_empty(), "{}", report["controls"]);
}

/// Without DDL: what is run by a role that bypasses RLS is the hole.
#[test]
fn on_a_target_nothing_is_planted() {
    let (server, url) = prepared();
    let before = server.dump();
    let (code, found) = report(&Project::copy().run(&["verify-rls", "--format", "json", "--database-url", &url]));
    assert_eq!(code, 0, "{}\n{}", found["summary"], found["controls"]);
    has(&found, &OF_ROWS);
    has(&found, &["attempts: truncate of other rows", "probe row-security-off"]);
    let names = names(&found, true);
    assert!(!names.iter().any(|name| name == "probe view"), "a view was made on a target: {names:?}");
    assert_eq!(before, server.dump());
}

/// Of a part there are the controls of that part.
#[test]
fn controls_are_of_what_is_asked_for() {
    let only = |part: &str| Project::foreign(NOTES, CONTRACT).verify(&["--engine", "local", "--only", part]).1;
    assert_eq!(names(&only("notes/user/other/delete/"), true), ["attempts: delete of other rows"]);
    assert_eq!(names(&only("residual-right/"), true), ["probe residual-right"]);
}

/// The role that bypasses RLS deletes nothing, and the run can't show that it would see somebody delete.
#[test]
fn a_hole_that_is_not_noticed_ends_the_run() {
    let swallowed = |by: &str| {
        format!(
            "{NOTES}
             CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
             BEGIN
                 IF current_user IN ({by}) THEN RETURN OLD; END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER swallow BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION swallow();"
        )
    };
    let blind = Project::foreign(&swallowed("'authenticated', 'service_role'"), CONTRACT);
    let part = ["--engine", "local", "--only", "notes/user/other/delete/key"];
    let (code, report) = blind.verify(&part);
    assert_eq!(code, 3, "{}\n{}", report["summary"], report["findings"]);
    assert_eq!(names(&report, false), ["attempts: delete of other rows"]);
    // Nothing else fails it: the owner's own statement, which is the control of the denial, does something.
    assert_eq!(count(&report, "held"), count(&report, "attempts"));
    for none in ["leak", "over_denial", "inconclusive", "not_run", "findings"] {
        assert_eq!(count(&report, none), 0, "{none}: {}", report["summary"]);
    }
    let control = report["controls"].as_array().unwrap().iter().find(|control| control["noticed"] == false).unwrap();
    assert!(control["shown_by"].as_str().unwrap().starts_with("notes/user/other/delete/key"), "{control}");
    assert!(control["why"].as_str().unwrap().contains("bypasses RLS"), "{control}");
    let output = blind.run(&["verify-rls", "--engine", "local"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("the detector is broken") && text.contains("THE DETECTOR IS BROKEN"), "{text}");

    let seeing = Project::foreign(&swallowed("'authenticated', 'service_role', session_user"), CONTRACT);
    let (code, report) = seeing.verify(&["--engine", "local"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["controls"]);
    let text = String::from_utf8_lossy(&seeing.run(&["verify-rls", "--engine", "local"]).stdout).into_owned();
    let total = names(&report, true).len();
    assert!(text.contains(&format!("negative controls: {total} of {total} noticed")), "{text}");
}
