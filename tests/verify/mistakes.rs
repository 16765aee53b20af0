//! Mistakes that read as if they were right: a name that binds inside its sub-select, a condition that is true where
//! something is NULL, a policy that asks itself. Each in a table of its own, once for each command.

use crate::project::Project;
use serde_json::Value;

/// One mistaken policy.
struct Mistake {
    table: &'static str,
    /// `SELECT USING`, `INSERT WITH CHECK`, …
    policy: &'static str,
    condition: &'static str,
}

/// What every table of these has: rows of one account each, in threads of the same account; and memberships.
const BASE: &str = "
    CREATE TABLE threads (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), thread_id text NOT NULL, user_id uuid NOT NULL);
    ALTER TABLE threads ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON threads TO authenticated USING (user_id = auth.uid());
    GRANT SELECT, INSERT, UPDATE, DELETE ON threads TO authenticated;";

const CONTRACT: &str =
    "[tables.threads]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }\n";

/// A sound table of messages, as [`verify`] makes one for each mistake.
fn table(name: &str) -> (String, String) {
    let sql = format!(
        "CREATE TABLE {name} (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, thread_id text,
             reviewer uuid, hidden boolean, body text);
         ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON {name} TO authenticated USING (user_id = auth.uid()) WITH CHECK (user_id = auth.uid());
         GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO authenticated;"
    );
    let contract = format!(
        "[tables.{name}]\nowner = \"user_id\"\nuser = {{ own = [\"select\", \"insert\", \"update\", \"delete\"] }}\n"
    );
    (sql, contract)
}

/// Every mistake in a table of its own, all in one schema; the report.
fn verify(mistakes: &[Mistake]) -> Value {
    let (mut sql, mut contract) = (BASE.to_owned(), CONTRACT.to_owned());
    for mistake in mistakes {
        let (table, promise) = table(mistake.table);
        let (command, clause) = mistake.policy.split_once(' ').unwrap();
        let condition = mistake.condition.replace("THIS", mistake.table);
        sql.push_str(&format!(
            "{table} CREATE POLICY the_other ON {} FOR {command} TO authenticated {clause} ({condition});",
            mistake.table
        ));
        contract.push_str(&promise);
    }
    let (code, report) = Project::foreign(&sql, &contract).verify(&["--engine", "local"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    report
}

/// The ids of a table's leaks.
fn leaks<'a>(report: &'a Value, table: &str) -> Vec<&'a str> {
    let attempts = report["attempts"].as_array().unwrap().iter();
    let of_table = attempts.filter(|attempt| attempt["table"] == table && attempt["verdict"] == "leak");
    of_table.map(|attempt| attempt["id"].as_str().unwrap()).collect()
}

/// The checks of the findings on an object.
fn checks<'a>(report: &'a Value, object: &str) -> Vec<&'a str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["object"] == object).map(|finding| finding["check"].as_str().unwrap()).collect()
}

/// Each mistake leaks by a statement of its own command or is found by `probe`, and nothing is said of the sound table.
fn all_leak(mistakes: &[Mistake], probe: &str) {
    let report = verify(mistakes);
    for Mistake { table, policy, condition } in mistakes {
        let command = policy.split(' ').next().unwrap().to_lowercase();
        let (leaks, checks) = (leaks(&report, table), checks(&report, table));
        let leaks_so = leaks.iter().any(|id| id.contains(&format!("/{command}/")));
        assert!(leaks_so || checks.contains(&probe), "{policy} ({condition}): {leaks:?} {checks:?}");
    }
    assert_eq!(leaks(&report, "threads"), Vec::<&str>::new());
}

/// `thread_id = thread_id`: both are the inner table's, and whoever has any thread has them all.
#[test]
fn names_that_bind_inside() {
    const CAPTURED: &str = "EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = thread_id AND t.user_id = auth.uid())";
    all_leak(
        &[
            Mistake { table: "read", policy: "SELECT USING", condition: CAPTURED },
            Mistake { table: "made", policy: "INSERT WITH CHECK", condition: CAPTURED },
            Mistake { table: "changed", policy: "UPDATE USING", condition: CAPTURED },
            Mistake { table: "given", policy: "UPDATE USING (user_id = auth.uid()) WITH CHECK", condition: CAPTURED },
            Mistake { table: "removed", policy: "DELETE USING", condition: CAPTURED },
            Mistake {
                table: "read_unnamed",
                policy: "SELECT USING",
                condition: "auth.uid() IN (SELECT user_id FROM threads WHERE user_id = user_id)",
            },
            Mistake {
                table: "removed_unnamed",
                policy: "DELETE USING",
                condition: "EXISTS (SELECT FROM threads WHERE user_id = auth.uid() AND user_id = user_id)",
            },
            Mistake {
                table: "uncorrelated",
                policy: "SELECT USING",
                condition: "EXISTS (SELECT FROM threads t WHERE t.user_id = auth.uid())",
            },
        ],
        "",
    );
}

/// What is NULL makes it true.
#[test]
fn conditions_that_null_makes_true() {
    const ANYONE: &str = "coalesce(reviewer = auth.uid(), true)";
    all_leak(
        &[
            Mistake { table: "read", policy: "SELECT USING", condition: ANYONE },
            Mistake { table: "made", policy: "INSERT WITH CHECK", condition: ANYONE },
            Mistake { table: "changed", policy: "UPDATE USING", condition: ANYONE },
            Mistake { table: "given", policy: "UPDATE USING (user_id = auth.uid()) WITH CHECK", condition: ANYONE },
            Mistake { table: "removed", policy: "DELETE USING", condition: ANYONE },
            Mistake {
                table: "distinct_read",
                policy: "SELECT USING",
                condition: "reviewer IS DISTINCT FROM auth.uid()",
            },
            Mistake { table: "distinct_removed", policy: "DELETE USING", condition: "hidden IS DISTINCT FROM true" },
            Mistake { table: "not_false", policy: "SELECT USING", condition: "(reviewer = auth.uid()) IS NOT FALSE" },
            Mistake {
                table: "nullif_read",
                policy: "SELECT USING",
                condition: "user_id = coalesce(reviewer, user_id)",
            },
            Mistake {
                table: "not_in",
                policy: "UPDATE USING",
                condition: "user_id NOT IN (SELECT t.user_id FROM threads t WHERE t.thread_id = 'no such thread')",
            },
        ],
        "null-value",
    );
}

/// True only for who has no account, which no persona of the attempts is: the probe is.
#[test]
fn conditions_that_no_account_makes_true() {
    let mistakes = [
        Mistake { table: "read", policy: "SELECT USING", condition: "coalesce(user_id = auth.uid(), true)" },
        Mistake { table: "made", policy: "INSERT WITH CHECK", condition: "coalesce(user_id = auth.uid(), true)" },
        Mistake { table: "changed", policy: "UPDATE USING", condition: "user_id = coalesce(auth.uid(), user_id)" },
        Mistake { table: "removed", policy: "DELETE USING", condition: "(user_id <> auth.uid()) IS NOT TRUE" },
    ];
    let report = verify(&mistakes);
    for Mistake { table, policy, condition } in &mistakes {
        assert_eq!(checks(&report, table), ["null-claims"], "{policy} ({condition})");
    }
}

/// It denies, and is a finding all the same.
#[test]
fn policies_that_ask_themselves() {
    let mistakes = [
        Mistake {
            table: "read",
            policy: "SELECT USING",
            condition: "EXISTS (SELECT FROM THIS o WHERE o.thread_id = THIS.thread_id AND o.user_id = auth.uid())",
        },
        Mistake {
            table: "all_of_it",
            policy: "ALL USING",
            condition: "user_id IN (SELECT o.user_id FROM THIS o WHERE o.user_id = auth.uid())",
        },
        // Each asks the other.
        Mistake {
            table: "mutual",
            policy: "SELECT USING",
            condition: "EXISTS (SELECT FROM all_of_it o WHERE o.user_id = auth.uid())",
        },
        // Fails for whoever writes.
        Mistake { table: "made", policy: "INSERT WITH CHECK", condition: "(auth.jwt() ->> 'sub')::bigint > 0" },
        Mistake { table: "changed", policy: "UPDATE USING", condition: "(auth.jwt() ->> 'email')::date < now()" },
    ];
    let report = verify(&mistakes);
    for Mistake { table, policy, condition } in &mistakes {
        assert_eq!(checks(&report, table), ["erroring-policy"], "{policy} ({condition})");
        assert_eq!(leaks(&report, table), Vec::<&str>::new());
    }
    assert_eq!(checks(&report, "threads"), Vec::<&str>::new());
}
