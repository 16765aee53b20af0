//! What nothing tried is a finding: tables, actors, columns, policies; and what is exempted and is not there.

use crate::project::Project;
use serde_json::Value;

const NOTES: &str =
    "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
     ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
     CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
     GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;";

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }\n";

/// The findings, as check and object.
fn findings(sql: &str, contract: &str) -> (i32, Vec<(String, String)>, Value) {
    let (code, report) = Project::foreign(sql, contract).verify(&["--engine", "local"]);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    let all = all.map(|finding| (text(finding, "check"), text(finding, "object"))).collect();
    (code, all, report)
}

fn finds(sql: &str, contract: &str, check: &str, object: &str) {
    let (code, all, report) = findings(sql, contract);
    assert_eq!(code, 1, "{}", report["summary"]);
    assert!(all.contains(&(check.to_owned(), object.to_owned())), "no {check} of {object}: {all:?}");
}

#[test]
fn what_is_tried_is_told_and_silent() {
    let contract = format!("{CONTRACT}columns.made_at = {{ client_may_set = [] }}");
    let guarded = format!(
        "{NOTES} ALTER TABLE notes ADD COLUMN made_at timestamptz;
         REVOKE INSERT, UPDATE ON notes FROM authenticated;
         GRANT INSERT (id, user_id, body), UPDATE (id, user_id, body) ON notes TO authenticated;"
    );
    let (code, _, report) = findings(&guarded, &contract);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    for (what, of) in [("tables", 1), ("actors", 3), ("columns", 2), ("policies", 1)] {
        assert_eq!(
            (&report["coverage"][what]["tried"], &report["coverage"][what]["of"]),
            (&of.into(), &of.into()),
            "{what}"
        );
    }
    let (_, report) = Project::foreign(NOTES, CONTRACT).verify(&["--engine", "local", "--only", "notes/user/"]);
    assert!(report["coverage"].is_null(), "of a part nothing is said");
}

#[test]
fn a_policy_that_nobody_asks() {
    let policy = |rest: &str| format!("{NOTES} CREATE POLICY p ON notes {rest};");
    for rest in ["FOR SELECT TO pg_monitor USING (true)", "FOR SELECT TO anon USING (true)"] {
        finds(&policy(rest), CONTRACT, "untried-policy", "policy notes.p");
    }
    let sql =
        format!("{} REVOKE DELETE ON notes FROM authenticated;", policy("FOR DELETE TO authenticated USING (false)"));
    let contract = CONTRACT.replace(", \"delete\"", "");
    finds(&sql, &contract, "untried-policy", "policy notes.p");
    // Known, and nobody's fault: a role that bypasses RLS is asked no policy.
    let (code, _, report) = findings(&policy("TO service_role USING (true)"), CONTRACT);
    assert_eq!(code, 0, "{}\n{}", report["summary"], report["findings"]);
    assert!(report["not_tried"].to_string().contains("policy notes.p"), "{}", report["not_tried"]);
}

#[test]
fn a_rule_that_nothing_tried() {
    let sql = "CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes FOR SELECT TO authenticated USING (user_id = auth.uid());
         GRANT SELECT ON notes TO authenticated;";
    let contract =
        "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\"] }\ncolumns.body = { client_may_set = [] }";
    finds(sql, contract, "untried-column", "notes.body");
}

#[test]
fn an_exemption_of_nothing() {
    let contract = format!("{CONTRACT}[[exempt]]\ntable = \"gone\"\nreason = \"it was there once\"");
    finds(NOTES, &contract, "stale-exemption", "gone");
}

/// A function that may be called and is not is not run; the schema does not pass without a word.
#[test]
fn a_function_that_is_not_called() {
    let sql = format!(
        "{NOTES} CREATE FUNCTION pick(at txid_snapshot) RETURNS integer LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
             AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION pick TO authenticated;"
    );
    let (code, _, report) = findings(&sql, CONTRACT);
    assert!(code != 0, "{}", report["summary"]);
    assert!(report["not_run"].to_string().contains("pick") || report["findings"].to_string().contains("pick"));
}
