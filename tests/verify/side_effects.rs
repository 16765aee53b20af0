//! What a write changes in tables that it does not name: found after every attempt, deferred or not, whatever set it
//! off; and silent where only the writer's own rows change, or a log that nobody reads.

use crate::project::Project;
use serde_json::Value;

const TABLES: &str =
    "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text, mark text);
     CREATE TABLE tallies (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, total integer);
     CREATE TABLE log (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), said text);
     ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE tallies ENABLE ROW LEVEL SECURITY;
     ALTER TABLE log ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
     CREATE POLICY own ON tallies TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON notes, tallies TO authenticated;";

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }
     [tables.tallies]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }
     [tables.log]\nowner = \"none\"";

/// A trigger `t` on notes whose function runs as its owner and does `body`.
fn trigger(when: &str, body: &str) -> String {
    format!(
        "{TABLES} CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
             BEGIN IF current_setting('role') <> 'authenticated' THEN RETURN coalesce(NEW, OLD); END IF; {body} END $$;
         REVOKE ALL ON FUNCTION act() FROM PUBLIC;
         CREATE {when} EXECUTE FUNCTION act();"
    )
}

fn verify(sql: &str, args: &[&str]) -> (i32, Value) {
    Project::foreign(sql, CONTRACT).verify(&[&["--engine", "local"], args].concat())
}

/// The finding of that check and object; and no attempt is a leak, for the table that they name is sound.
fn found<'r>(report: &'r Value, check: &str, object: &str) -> &'r Value {
    let findings = report["findings"].as_array().unwrap();
    let mut found = findings.iter().filter(|finding| finding["check"] == check && finding["object"] == object);
    found.next().unwrap_or_else(|| panic!("no {check} of {object}: {findings:#?}"))
}

fn attempts(finding: &Value) -> Vec<&str> {
    finding["attempts"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[test]
fn a_trigger_that_writes_to_rows_of_others() {
    let steal = "UPDATE public.tallies SET total = 7 WHERE user_id <> auth.uid();";
    for (when, body, id) in [
        ("TRIGGER t AFTER INSERT ON notes FOR EACH ROW", "RETURN NULL;", "notes/user/own/insert/plain"),
        ("TRIGGER t BEFORE UPDATE ON notes FOR EACH ROW", "RETURN NULL;", "notes/user/own/update/key"),
        ("TRIGGER t AFTER DELETE ON notes FOR EACH STATEMENT", "RETURN NULL;", "notes/user/own/delete/bare"),
        (
            "CONSTRAINT TRIGGER t AFTER DELETE ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            "RETURN NULL;",
            "notes/user/own/delete/key",
        ),
        // Only for a row that is another's, and it is swallowed: no write of an own row sets it off.
        (
            "TRIGGER t BEFORE INSERT ON notes FOR EACH ROW WHEN (NEW.user_id <> auth.uid())",
            "RETURN NULL;",
            "notes/user/other/insert/plain",
        ),
    ] {
        let (code, report) = verify(&trigger(when, &format!("{steal} {body}")), &[]);
        assert_eq!(code, 1, "not noticed: {when}\n{}", report["summary"]);
        let finding = found(&report, "definer-trigger", "trigger notes.t");
        assert!(attempts(finding).contains(&id), "{when}: {finding}");
        assert!(!report["findings"].to_string().contains("side-effect"), "it is told twice: {}", report["findings"]);
    }
}

#[test]
fn a_trigger_on_a_column_that_no_attempt_writes() {
    let sql = trigger(
        "TRIGGER t AFTER UPDATE OF mark ON notes FOR EACH ROW",
        "DELETE FROM public.tallies WHERE user_id <> auth.uid(); RETURN NULL;",
    );
    let (code, report) = verify(&sql, &[]);
    assert_eq!(code, 1, "{}", report["summary"]);
    assert!(attempts(found(&report, "definer-trigger", "trigger notes.t")).is_empty());
}

#[test]
fn a_table_emptied_by_truncate() {
    let sql = trigger("TRIGGER t AFTER DELETE ON notes FOR EACH ROW", "TRUNCATE public.tallies; RETURN NULL;");
    let (code, report) = verify(&sql, &[]);
    assert_eq!(code, 1, "{}", report["summary"]);
    found(&report, "definer-trigger", "trigger notes.t");
}

/// Neither a trigger nor a rule: the policy itself writes.
#[test]
fn a_policy_whose_function_writes() {
    let sql = format!(
        "{TABLES} CREATE FUNCTION counts() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
             BEGIN UPDATE public.tallies SET total = total + 1 WHERE user_id <> auth.uid(); RETURN true; END $$;
         REVOKE ALL ON FUNCTION counts() FROM PUBLIC; GRANT EXECUTE ON FUNCTION counts() TO authenticated;
         CREATE POLICY asked ON notes AS RESTRICTIVE FOR INSERT TO authenticated WITH CHECK (counts());"
    );
    let (code, report) = verify(&sql, &["--only", "notes/user/"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    let finding = found(&report, "side-effect", "tallies");
    assert!(attempts(finding).contains(&"notes/user/own/insert/plain"), "{finding}");
    assert!(finding["what"].as_str().unwrap().contains("insert of user to notes changes rows of tallies"), "{finding}");
}

#[test]
fn a_finding_by_its_id_alone() {
    let steal = "UPDATE public.tallies SET total = 7; RETURN NULL;";
    let sql = trigger("TRIGGER t AFTER INSERT ON notes FOR EACH ROW", steal);
    let (code, report) = verify(&sql, &["--only", "definer-trigger/trigger notes.t"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    found(&report, "definer-trigger", "trigger notes.t");
    let project = Project::foreign(&sql, CONTRACT);
    let output = project.run(&["verify-rls", "--engine", "local", "--repro", "definer-trigger/trigger notes.t"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("INSERT INTO"), "{output:?}");
}

/// One's own rows, a log that nobody reads, what goes along by a foreign key, and what runs as the writer.
#[test]
fn sound_side_effects_are_silent() {
    for (when, body) in [
        (
            "TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON notes FOR EACH ROW",
            "UPDATE public.tallies SET total = total + 1 WHERE user_id = auth.uid();
             INSERT INTO public.log (said) VALUES ('a note'); RETURN NULL;",
        ),
        (
            "CONSTRAINT TRIGGER t AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
            "INSERT INTO public.tallies (user_id, total) VALUES (auth.uid(), 1); RETURN NULL;",
        ),
    ] {
        let (code, report) = verify(&trigger(when, body), &[]);
        assert_eq!(code, 0, "{when}\n{}\n{}", report["summary"], report["findings"]);
    }
    let invoker =
        trigger("TRIGGER t AFTER UPDATE ON notes FOR EACH ROW", "UPDATE public.tallies SET total = 0; RETURN NULL;")
            .replace("SECURITY DEFINER", "SECURITY INVOKER");
    let children = "CREATE TABLE remarks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
             note_id uuid NOT NULL REFERENCES notes ON DELETE CASCADE, body text);
         ALTER TABLE remarks ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON remarks TO authenticated USING (EXISTS (
             SELECT FROM notes n WHERE n.id = note_id AND n.user_id = auth.uid()));
         GRANT SELECT, INSERT, UPDATE, DELETE ON remarks TO authenticated;";
    let contract = format!(
        "{CONTRACT}\n[tables.remarks]\nowner = \"note_id -> notes.id\"\nuser = {{ own = [\"select\", \"insert\", \"update\"] }}"
    );
    let (code, report) = Project::foreign(&invoker, CONTRACT).verify(&["--engine", "local"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    let (_, report) = Project::foreign(&format!("{TABLES} {children}"), &contract).verify(&["--engine", "local"]);
    assert!(!report["findings"].to_string().contains("side-effect"), "{}", report["findings"]);
}

/// The engine of one connection counts, too, however often it is started anew.
#[test]
fn embedded_tells_the_same() {
    let steal = "UPDATE public.tallies SET total = 7 WHERE user_id <> auth.uid(); RETURN NULL;";
    let sql = trigger("TRIGGER t AFTER INSERT ON notes FOR EACH ROW", steal);
    let (code, report) = Project::foreign(&sql, CONTRACT).verify(&["--engine", "embedded"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    assert!(attempts(found(&report, "definer-trigger", "trigger notes.t")).contains(&"notes/user/own/insert/plain"));
}
