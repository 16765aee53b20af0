//! Every further form notices what opens to it alone, leaves the forms before it silent, and is silent on sound
//! schemas; and its script shows the same in psql.

use crate::project::{Project, count};
use crate::target::prepared;
use serde_json::Value;
use std::collections::BTreeSet;

/// Policies that let a statement through for its text: what only one way of asking reaches, only that way shows.
const OPEN: &str = r"
    CREATE FUNCTION public.asked_in_another_way() RETURNS boolean LANGUAGE sql STABLE SET search_path = '' AS $$
        SELECT current_query() ~ '^(COPY|FETCH|EXECUTE|DECLARE|MERGE|WITH)|WHERE CURRENT OF|FOR (NO KEY )?(UPDATE|SHARE)$'
            OR current_query() ~ '\) SELECT|FROM \(|USING \(|VALUES \(.*\), \(|ON CONFLICT \(thread_id\)|chartchek_old'
    $$;
    REVOKE ALL ON FUNCTION public.asked_in_another_way() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION public.asked_in_another_way() TO authenticated;
    CREATE POLICY open ON public.chat_threads TO authenticated
        USING ((SELECT public.asked_in_another_way())) WITH CHECK ((SELECT public.asked_in_another_way()));
    -- DO NOTHING leaves every row as it is; a trigger does not.
    CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
        BEGIN
            UPDATE public.chat_threads SET status = 'deleted' WHERE thread_id = NEW.thread_id;
            RETURN NEW;
        END $$;
    CREATE TRIGGER meddle BEFORE INSERT ON public.chat_threads FOR EACH ROW
        WHEN (current_query() ~ '\(thread_id\) DO NOTHING') EXECUTE FUNCTION public.meddle();";

/// What the policies above let `user` do, by the version since which the form is there.
const LEAKS: [(u64, &[&str]); 3] = [
    (
        15,
        &[
            "other/select/copy",
            "other/select/copy-query",
            "other/select/cursor",
            "other/select/prepared",
            "other/select/insert-select",
            "other/update/for-update",
            "other/update/for-no-key-update",
            "other/update/for-share",
            "other/update/from",
            "other/update/current",
            "other/update/merge",
            "other/delete/using",
            "other/delete/current",
            "other/delete/merge",
            "other/delete/move",
            "other/insert/together",
            "other/insert/merge",
            "other/insert/merge-taken-key",
            "other/insert/on-conflict-thread_id-update",
            "other/insert/on-conflict-thread_id-update-returning",
            "other/insert/on-conflict-thread_id-nothing",
            "own/insert/on-conflict-thread_id-nothing",
        ],
    ),
    (
        17,
        &[
            "other/update/merge-returning",
            "other/delete/merge-returning",
            "other/insert/merge-returning",
            "other/update/merge-by-source",
            "other/delete/merge-by-source",
            "other/update/merge-by-source-bare",
            "other/delete/merge-by-source-bare",
            // Everyone's rows go with one's own.
            "own/update/merge-by-source-bare",
            "own/delete/merge-by-source-bare",
        ],
    ),
    (18, &["other/update/old-new", "other/delete/old-new", "other/insert/on-conflict-old-new"]),
];

/// The server's major version.
fn major(report: &Value) -> u64 {
    let server = report["environment"]["server"].as_str().unwrap();
    let number = server.trim_start_matches("PostgreSQL ");
    number[..2].parse().unwrap_or_else(|_| panic!("{server}"))
}

fn each_form_finds_what_opens_to_it(engine: &str) {
    let (code, report) = Project::with(OPEN).verify(&["--engine", engine, "--only", "chat_threads/user/"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    let version = major(&report);
    let there = LEAKS.iter().filter(|(since, _)| *since <= version).flat_map(|(_, forms)| *forms);
    let expected: BTreeSet<String> = there.map(|form| format!("chat_threads/user/{form}")).collect();
    let attempts = report["attempts"].as_array().unwrap();
    let with = |verdict: &str| -> BTreeSet<String> {
        let those = attempts.iter().filter(|attempt| attempt["verdict"] == verdict);
        those.map(|attempt| attempt["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(with("leak"), expected);
    assert_eq!(with("held").len() + expected.len(), attempts.len(), "{:?}", with("inconclusive"));
}

#[test]
fn each_form_finds_what_opens_to_it_local() {
    each_form_finds_what_opens_to_it("local");
}

#[test]
fn each_form_finds_what_opens_to_it_embedded() {
    each_form_finds_what_opens_to_it("embedded");
}

/// What the contract promises is missed where only that form is refused.
#[test]
fn a_form_that_is_refused_is_an_over_denial() {
    let sql = format!(
        "{} CREATE POLICY shut ON public.chat_threads AS RESTRICTIVE TO authenticated
             USING (NOT (SELECT public.asked_in_another_way()));",
        OPEN.split("CREATE POLICY").next().unwrap(),
    );
    let (code, report) = Project::with(&sql).verify(&["--engine", "local", "--only", "chat_threads/user/own/"]);
    assert_eq!((code, count(&report, "leak")), (1, 0), "{}", report["summary"]);
    let refused: BTreeSet<&str> = report["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|attempt| attempt["verdict"] == "over_denial")
        .map(|attempt| attempt["form"].as_str().unwrap())
        .collect();
    for form in [
        "copy",
        "copy-query",
        "cursor",
        "prepared",
        "insert-select",
        "for-update",
        "for-no-key-update",
        "for-share",
        "from",
        "using",
        "current",
        "merge",
        "merge-taken-key",
        "move",
        "on-conflict-thread_id-update",
    ] {
        assert!(refused.contains(form), "{form}: {refused:?}");
    }
    for form in ["all", "key", "bare", "plain", "on-conflict-update"] {
        assert!(!refused.contains(form), "{form}");
    }
}

/// Shapes on which a form says something of its own: rows that are seen and may not be changed, rows that may be made
/// and not seen, a column alone that may be changed, rules, a trigger that makes every new row its maker's, a key that can wait, names that the forms use themselves.
const SOUND: &str = "
    CREATE TABLE posts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, title text, n int,
        UNIQUE (user_id, title), UNIQUE (n, user_id) DEFERRABLE);
    ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
    CREATE POLICY s ON posts FOR SELECT USING (true);
    CREATE POLICY i ON posts FOR INSERT TO authenticated WITH CHECK (user_id = (SELECT auth.uid()));
    CREATE POLICY u ON posts FOR UPDATE TO authenticated USING (user_id = (SELECT auth.uid()));
    CREATE POLICY d ON posts FOR DELETE TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT ON posts TO anon;
    GRANT SELECT, INSERT, UPDATE, DELETE ON posts TO authenticated;

    CREATE TABLE feedback (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    ALTER TABLE feedback ENABLE ROW LEVEL SECURITY;
    CREATE POLICY i ON feedback FOR INSERT TO authenticated WITH CHECK (user_id = (SELECT auth.uid()));
    GRANT INSERT ON feedback TO authenticated;

    CREATE TABLE letters (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
    CREATE POLICY s ON letters FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
    CREATE POLICY u ON letters FOR UPDATE TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT, UPDATE (body) ON letters TO authenticated;

    CREATE TABLE ruled (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    CREATE RULE told AS ON UPDATE TO ruled DO ALSO NOTIFY changed;
    ALTER TABLE ruled ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON ruled TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT, INSERT, UPDATE, DELETE ON ruled TO authenticated;

    CREATE TABLE mine (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text);
    CREATE FUNCTION made_mine() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
        BEGIN
            IF current_user = 'authenticated' THEN NEW.user_id := auth.uid(); END IF;
            RETURN NEW;
        END $$;
    REVOKE ALL ON FUNCTION made_mine() FROM PUBLIC;
    CREATE TRIGGER made_mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION made_mine();
    ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON mine TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT, INSERT, UPDATE, DELETE ON mine TO authenticated;

    CREATE TABLE old (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), new text, chartchek_source uuid NOT NULL,
        CHECK (new IS NULL OR length(new) > 1));
    ALTER TABLE old ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON old TO authenticated USING (chartchek_source = auth.uid());
    GRANT SELECT, INSERT, UPDATE, DELETE ON old TO authenticated;

    CREATE TABLE parts (id uuid NOT NULL, user_id uuid NOT NULL, region text NOT NULL, body text,
        PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE parts_all PARTITION OF parts DEFAULT;
    ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
    ALTER TABLE parts_all ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON parts TO authenticated USING (user_id = (SELECT auth.uid()));
    GRANT SELECT, INSERT, UPDATE, DELETE ON parts TO authenticated;";

const SOUND_CONTRACT: &str = r#"
    [tables.posts]
    owner = "user_id"
    user = { own = ["insert", "update", "delete"], all = ["select"] }
    anon = { all = ["select"] }
    [tables.feedback]
    owner = "user_id"
    user = { own = ["insert"] }
    [tables.letters]
    owner = "user_id"
    user = { own = ["select", "update"] }
    [tables.ruled]
    owner = "user_id"
    user = { own = ["select", "insert", "update", "delete"] }
    [tables.mine]
    owner = "user_id"
    user = { own = ["select", "insert", "update", "delete"] }
    [tables.old]
    owner = "chartchek_source"
    user = { own = ["select", "insert", "update", "delete"] }
    [tables.parts]
    owner = "user_id"
    user = { own = ["select", "insert", "update", "delete"] }
    [[exempt]]
    table = "parts_all"
    reason = "a part of parts that nobody is granted"
"#;

fn sound_shapes_hold(engine: &str) {
    let (_, report) = Project::foreign(SOUND, SOUND_CONTRACT).verify(&["--engine", engine]);
    assert_eq!(count(&report, "held"), count(&report, "attempts"), "{}\n{}", report["summary"], report["findings"]);
    assert_eq!(count(&report, "not_run"), 0);
    let not_tried = report["not_tried"].as_array().unwrap();
    assert!(not_tried.iter().any(|not_tried| not_tried["what"] == "COPY … FROM STDIN"), "{not_tried:?}");
}

#[test]
fn sound_shapes_hold_local() {
    sound_shapes_hold("local");
}

#[test]
fn sound_shapes_hold_embedded() {
    sound_shapes_hold("embedded");
}

/// To someone with nothing but psql each form's script shows what the attempt did.
#[test]
fn each_form_is_repeated_in_psql() {
    let (server, url) = prepared();
    server.sql("CREATE POLICY x ON public.chat_threads USING (true) WITH CHECK (true)");
    let version: u64 = server.sql("SHOW server_version_num").trim()[..2].parse().unwrap();
    let project = Project::copy();
    for form in LEAKS.iter().filter(|(since, _)| *since <= version).flat_map(|(_, forms)| *forms) {
        let id = format!("chat_threads/user/{form}");
        let output = project.run(&["verify-rls", "--database-url", &url, "--repro", &id]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{id}: {}", String::from_utf8_lossy(&output.stderr));
        let (world, attempt) = script.split_once("\n-- as user\n").unwrap();
        let shown = server.sql_as("migrator", &script);
        let unshown = server.sql_as("migrator", &format!("{world}\nROLLBACK;"));
        // Nothing but what is read is printed there.
        let tells = ["select/copy", "copy-query", "cursor", "prepared", "/for-", "returning", "old-new"];
        if tells.iter().any(|part| form.contains(part)) {
            assert!(shown.len() > unshown.len() + 36, "{id} showed nothing:\n{attempt}\n{shown}");
        }
    }
}
