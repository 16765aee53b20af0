//! verify-rls --mutate: what weakens or tightens the database is noticed, what nobody notices is told, and equivalents
//! are shown to be that.

use crate::project::{Project, binary};
use serde_json::Value;
use std::collections::BTreeSet;

const NOTES: &str =
    "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY s ON notes FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
    CREATE POLICY i ON notes FOR INSERT TO authenticated WITH CHECK (user_id = (SELECT auth.uid()));
    CREATE POLICY u ON notes FOR UPDATE TO authenticated USING (user_id = (SELECT auth.uid()))
        WITH CHECK (user_id = (SELECT auth.uid()));
    CREATE POLICY d ON notes FOR DELETE TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }\n";

fn mutated(sql: &str, args: &[&str]) -> (i32, Value) {
    let mut all = vec!["--engine", "local", "--mutate"];
    all.extend(args);
    Project::foreign(sql, CONTRACT).verify(&all)
}

fn list(report: &Value) -> &Vec<Value> {
    report["mutation"]["list"].as_array().unwrap_or_else(|| panic!("no mutants: {}", report["not_run"]))
}

fn words<'a>(mutant: &'a Value, name: &str) -> Vec<&'a str> {
    mutant[name].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn every_mutant_of_a_sound_schema_is_killed_or_shown_to_be_equivalent() {
    let (code, report) = mutated(NOTES, &[]);
    let left: Vec<&Value> =
        list(&report).iter().filter(|one| one["fate"] == "survived" || one["fate"] == "undecided").collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(code, 0, "{}", report["summary"]);
    let part = &report["mutation"];
    assert_eq!(part["mutants"].as_u64().unwrap() as usize, list(&report).len());
    assert_eq!(
        part["killed"].as_u64().unwrap() + part["equivalent"].as_u64().unwrap(),
        part["mutants"].as_u64().unwrap()
    );
    assert_eq!(part["score"], 1.0);
    let ids: BTreeSet<&str> = list(&report).iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), list(&report).len(), "two mutants share an id");
    for one in list(&report) {
        assert!(!words(one, "tried").is_empty(), "{one}");
        assert_eq!(one["fate"] == "killed", !words(one, "killed_by").is_empty(), "{one}");
        let equivalent = one["fate"] == "equivalent";
        assert_eq!(equivalent, one["why"].is_string(), "{one}");
        assert!(!equivalent || words(one, "tried").contains(&"the small world"), "{one}");
    }
    // A looser and a tighter one, each noticed by attempts that say so.
    let find =
        |id: &str| list(&report).iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id}: {ids:?}"));
    let looser = find("condition-true/policy-s-on-notes/1");
    assert!(words(looser, "killed_by").iter().any(|id| id.starts_with("notes/user/other/select/")), "{looser}");
    let tighter = find("policy-dropped/policy-s-on-notes/1");
    assert!(words(tighter, "killed_by").iter().any(|id| id.starts_with("notes/user/own/select/")), "{tighter}");
    // A column that is never NULL is no more equal by IS NOT DISTINCT FROM.
    assert_eq!(find("not-distinct/policy-s-on-notes/1")["fate"], "equivalent");
    assert!(part["small_world"].as_str().unwrap().contains("every combination"), "{part}");
}

/// The contract says nothing of who sets the time.
#[test]
fn what_nobody_would_notice_survives_and_fails_the_run() {
    let stamp = format!(
        "{NOTES} ALTER TABLE notes ADD COLUMN at timestamptz;
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS
             $$BEGIN NEW.at := pg_catalog.now(); RETURN NEW; END$$;
         REVOKE ALL ON FUNCTION stamp() FROM PUBLIC, anon, authenticated;
         CREATE TRIGGER stamp BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION stamp();"
    );
    let (code, report) = mutated(&stamp, &["--mutant", "trigger-dropped"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    let [one] = list(&report).as_slice() else { panic!("{}", report["mutation"]) };
    assert_eq!(one["fate"], "survived", "{one}");
    assert_eq!(one["statement"], "DROP TRIGGER stamp ON public.notes");
    assert_eq!(report["mutation"]["score"], 0.0);
}

#[test]
fn what_does_not_hold_is_not_mutated() {
    let leaky =
        NOTES.replace("FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()))", "FOR SELECT USING (true)");
    let (code, report) = mutated(&leaky, &[]);
    assert_eq!(code, 1);
    assert!(report["mutation"].is_null());
    assert!(
        report["not_run"].as_array().unwrap().iter().any(|one| one["what"] == "the mutants"),
        "{}",
        report["not_run"]
    );
}

#[test]
fn a_target_is_never_mutated() {
    for target in [["--target", "--mutate"], ["--database-url=postgres://nowhere.invalid/x", "--mutate"]] {
        let output = binary().arg("verify-rls").args(target).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{target:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--mutate"), "{target:?}");
    }
}
