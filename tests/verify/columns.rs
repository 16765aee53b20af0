//! `client_may_set`: a value that is not allowed is refused or not stored, one that is allowed is stored.

use crate::project::{Project, verdict};
use serde_json::Value;

const TABLE: &str = "CREATE TYPE state AS ENUM ('draft', 'approved');
     CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text,
         author uuid, state state NOT NULL DEFAULT 'draft', is_paid boolean NOT NULL DEFAULT false,
         made_at timestamptz NOT NULL DEFAULT now(), score integer DEFAULT 0);
     ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";

/// Keeps every rule of [`CONTRACT`].
const GUARD: &str = "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
     BEGIN
         IF NOT row_security_active(TG_RELID) THEN RETURN NEW; END IF;
         IF NEW.author IS NOT NULL AND NEW.author <> auth.uid() AND (TG_OP = 'INSERT' OR NEW.author IS DISTINCT FROM OLD.author) THEN
             RAISE EXCEPTION 'not your name';
         END IF;
         IF TG_OP = 'INSERT' THEN
             NEW.made_at := now(); NEW.is_paid := false; NEW.score := 0;
             IF NEW.state <> 'draft' THEN RAISE insufficient_privilege; END IF;
         ELSE
             NEW.made_at := OLD.made_at; NEW.is_paid := OLD.is_paid; NEW.score := OLD.score;
             IF NEW.state <> 'draft' AND NEW.state <> OLD.state THEN RAISE insufficient_privilege; END IF;
         END IF;
         RETURN NEW;
     END $$;
     REVOKE ALL ON FUNCTION guard() FROM PUBLIC;
     CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION guard();";

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }
     columns.author = { client_may_set = [\":uid\", \"null\"] }
     columns.state = { client_may_set = [\"draft\"] }
     columns.is_paid = { client_may_set = [] }
     columns.made_at = { client_may_set = [] }
     columns.score = { client_may_set = [] }";

fn verify(sql: &str) -> (i32, Value) {
    Project::foreign(sql, CONTRACT).verify(&["--engine", "local", "--only", "column-"])
}

#[test]
fn rules_that_are_kept() {
    let (code, report) = verify(&format!("{TABLE} {GUARD}"));
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    for (id, outcome) in [
        ("notes/user/own/insert/column-author-own", "done"),
        ("notes/user/own/insert/column-author-null", "done"),
        ("notes/user/own/insert/column-author-another", "refused_policy"),
        ("notes/user/own/update/column-author-constant", "refused_policy"),
        ("notes/user/own/insert/column-state-draft", "done"),
        ("notes/user/own/update/column-state-approved", "refused_policy"),
        ("notes/user/own/insert/on-conflict-column-state-approved", "refused_policy"),
        ("notes/user/own/insert/column-is_paid-true", "hidden"),
        ("notes/user/own/update/column-made_at-constant", "hidden"),
        ("notes/user/own/update/column-score-null", "hidden"),
        ("notes/user/own/insert/on-conflict-column-score-constant", "hidden"),
        ("notes/user-without-rows/own/insert/column-is_paid-true", "hidden"),
    ] {
        let attempts = report["attempts"].as_array().unwrap();
        let attempt = attempts.iter().find(|attempt| attempt["id"] == id).unwrap_or_else(|| panic!("no attempt {id}"));
        assert_eq!(attempt["outcome"], outcome, "{id}");
    }
}

#[test]
fn rules_that_are_not_kept() {
    for (from, to, leaks) in [
        ("NEW.made_at := now();", "", "insert/column-made_at-constant"),
        ("NEW.made_at := OLD.made_at;", "", "update/column-made_at-constant"),
        ("NEW.is_paid := false;", "", "insert/column-is_paid-true"),
        ("NEW.is_paid := OLD.is_paid;", "", "update/column-is_paid-true"),
        ("NEW.score := OLD.score;", "", "update/column-score-null"),
        ("(TG_OP = 'INSERT' OR", "(TG_OP = 'UPDATE' AND", "insert/column-author-another"),
        ("NEW.author IS DISTINCT FROM OLD.author", "false", "update/column-author-another"),
        (
            "NEW.author <> auth.uid() AND",
            "NEW.author = '11111111-1111-1111-1111-111111111111' AND",
            "insert/column-author-constant",
        ),
        ("IF NEW.state <> 'draft' THEN", "IF false THEN", "insert/column-state-approved"),
        ("IF NEW.state <> 'draft' AND", "IF false AND", "update/column-state-approved"),
    ] {
        assert!(GUARD.contains(from), "{from}");
        let guard = GUARD.replace(from, to);
        let (code, report) = verify(&format!("{TABLE} {guard}"));
        assert_eq!(code, 1, "not noticed: {from}\n{}", report["summary"]);
        let id = format!("notes/user/own/{leaks}");
        assert_eq!(verdict(&report, &id), "leak", "{id} without {from}");
        let finding = &report["findings"][0];
        assert_eq!(finding["check"], "client-may-set", "{finding}");
        assert!(finding["location"].as_str().unwrap().contains("policies/access.toml:"), "{finding}");
    }
}

/// What is proposed has passed the trigger of INSERT before that of UPDATE sees it: neither keeps the rule here.
#[test]
fn a_rule_that_an_upsert_breaks() {
    let guard = GUARD.replace("NEW.made_at := now();", "").replace("NEW.made_at := OLD.made_at;", "");
    let (code, report) = verify(&format!("{TABLE} {guard}"));
    assert_eq!(code, 1, "{}", report["summary"]);
    assert_eq!(verdict(&report, "notes/user/own/insert/on-conflict-column-made_at-constant"), "leak");
}

/// What the contract allows and the schema refuses, or overwrites.
#[test]
fn allowed_values_that_are_refused() {
    for (from, to, denied) in [
        ("NEW.author IS NOT NULL AND NEW.author <> auth.uid()", "NEW.author IS NOT NULL", "insert/column-author-own"),
        ("NEW.made_at := now();", "NEW.author := coalesce(NEW.author, auth.uid());", "insert/column-author-null"),
        (
            "RAISE insufficient_privilege; END IF;\n         ELSE",
            "RAISE insufficient_privilege; END IF; NEW.state := 'approved';\n         ELSE",
            "insert/column-state-draft",
        ),
    ] {
        assert!(GUARD.contains(from), "{from}");
        let (code, report) = verify(&format!("{TABLE} {}", GUARD.replace(from, to)));
        assert_eq!(code, 1, "not noticed: {to}\n{}", report["summary"]);
        let id = format!("notes/user/own/{denied}");
        assert_eq!(verdict(&report, &id), "over_denial", "{id} with {to}");
    }
}

/// Rights on columns keep rules as well as triggers do.
#[test]
fn rules_that_grants_keep() {
    let sql = format!(
        "{TABLE} REVOKE INSERT, UPDATE ON notes FROM authenticated;
         GRANT INSERT (id, user_id, body, author), UPDATE (user_id, body, author) ON notes TO authenticated;"
    );
    let kept = ["made_at", "is_paid", "score"].map(|column| format!("columns.{column} = {{ client_may_set = [] }}"));
    let rows = CONTRACT.split("columns.").next().unwrap();
    let contract = format!("{rows}{}", kept.join("\n"));
    let (code, report) = Project::foreign(&sql, &contract).verify(&["--engine", "local", "--only", "column-"]);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    assert_eq!(report["attempts"].as_array().unwrap()[0]["outcome"], "refused_grant", "{}", report["attempts"][0]);
}
