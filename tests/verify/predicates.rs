//! Conditions that let in more than the owner, each shown by a row that has what it asks for; and sound ones, silent.

use crate::project::{Project, count, verdict};

/// A table of notes with columns of many kinds, and one policy that adds `condition` to the owner's.
fn schema(command: &str, condition: &str) -> String {
    format!(
        "CREATE TYPE kind AS ENUM ('draft', 'final');
         CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, body text,
             visibility text, score integer, rate numeric, is_public boolean, is_locked boolean NOT NULL DEFAULT false,
             kind kind, expires_at timestamptz, published date, tags text[], meta jsonb, shared_by uuid);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION is_open(row_visibility text, row_score integer) RETURNS boolean LANGUAGE sql STABLE
             SET search_path = '' AS $$SELECT row_visibility = 'to all' AND row_score BETWEEN 7000 AND 7000$$;
         REVOKE ALL ON FUNCTION is_open FROM PUBLIC; GRANT EXECUTE ON FUNCTION is_open TO authenticated;
         CREATE POLICY own ON notes TO authenticated USING (user_id = auth.uid());
         CREATE POLICY more ON notes FOR {command} TO authenticated {condition};
         GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO authenticated;"
    )
}

const CONTRACT: &str =
    "[tables.notes]\nowner = \"user_id\"\nuser = { own = [\"select\", \"insert\", \"update\", \"delete\"] }";

fn verify(sql: &str) -> (i32, serde_json::Value) {
    Project::foreign(sql, CONTRACT).verify(&["--engine", "local", "--only", "notes/user/"])
}

#[test]
fn rows_of_others_that_a_condition_lets_in() {
    for condition in [
        "visibility = 'public'",
        "visibility LIKE 'pub%'",
        "visibility IN ('team', 'world')",
        "visibility IS NULL",
        "visibility IS NULL AND score IS NOT NULL",
        "score > 100000",
        "score < -100000",
        "score = 42",
        "rate >= 0.75 AND rate < 1.5",
        "is_public",
        "NOT is_public",
        "is_public AND NOT is_locked",
        "NOT is_public AND is_locked AND kind = 'final'",
        "kind = 'draft' AND visibility = 'public'",
        "expires_at < now()",
        "expires_at > now() AND is_public",
        "expires_at BETWEEN now() - interval '2 days' AND now() + interval '1 minute'",
        "published = '2024-02-29'",
        "published < '1999-12-31' AND published > '1999-01-01' AND false OR published = '1999-12-31'",
        "'shared' = ANY (tags)",
        "tags && '{news,events}'",
        "meta ->> 'visibility' = 'public'",
        "(meta ->> 'open')::boolean",
        "shared_by = '11111111-2222-3333-4444-555555555555'",
        "is_open(visibility, score)",
    ] {
        let (code, report) = verify(&schema("SELECT", &format!("USING ({condition})")));
        assert_eq!(code, 1, "not noticed: {condition}\n{}", report["summary"]);
        assert_eq!(verdict(&report, "notes/user/other/select/all"), "leak", "{condition}");
    }
}

#[test]
fn rows_for_others_that_a_check_lets_in() {
    for (condition, id) in [
        ("visibility = 'public'", "notes/user/other/insert/plain-visibility-public"),
        ("score > 100000", "notes/user/other/insert/plain-score-100001"),
        ("NOT is_public", "notes/user/other/insert/plain-is_public-false"),
        ("meta ->> 'visibility' = 'public'", "notes/user/other/insert/plain-meta---visibility---public--"),
    ] {
        let (code, report) = verify(&schema("INSERT", &format!("WITH CHECK ({condition})")));
        assert_eq!(code, 1, "not noticed: {condition}\n{}", report["summary"]);
        assert_eq!(verdict(&report, id), "leak", "{condition}");
    }
}

#[test]
fn own_rows_that_a_check_lets_go() {
    for (condition, id) in [
        ("visibility = 'public'", "notes/user/own/update/transfer-bare-visibility-public"),
        ("kind = 'final'", "notes/user/own/update/transfer-bare-kind-final"),
        ("score < 5", "notes/user/own/update/transfer-bare-score-4"),
    ] {
        let (code, report) =
            verify(&schema("UPDATE", &format!("USING (user_id = auth.uid()) WITH CHECK ({condition})")));
        assert_eq!(code, 1, "not noticed: {condition}\n{}", report["summary"]);
        assert_eq!(verdict(&report, id), "leak", "{condition}");
    }
}

/// The condition is on the parent, and only some of the other's parents meet it.
#[test]
fn children_of_a_parent_that_a_condition_lets_in() {
    let sql = format!(
        "{} CREATE TABLE remarks (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), note_id uuid NOT NULL REFERENCES notes ON DELETE CASCADE, body text);
         ALTER TABLE remarks ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION owner_of(note uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
             AS $$SELECT EXISTS (SELECT FROM public.notes n WHERE n.id = note
                                 AND (n.user_id = auth.uid() OR n.visibility = 'public' AND n.is_locked))$$;
         REVOKE ALL ON FUNCTION owner_of FROM PUBLIC; GRANT EXECUTE ON FUNCTION owner_of TO authenticated;
         CREATE POLICY own ON remarks TO authenticated USING (owner_of(note_id));
         GRANT SELECT, INSERT, UPDATE, DELETE ON remarks TO authenticated;",
        schema("SELECT", "USING (false)")
    );
    let contract = format!(
        "{CONTRACT}\n[tables.remarks]\nowner = \"note_id -> notes.id\"\nuser = {{ own = [\"select\", \"insert\", \"update\", \"delete\"] }}"
    );
    let (code, report) = Project::foreign(&sql, &contract).verify(&["--engine", "local", "--only", "/user/"]);
    assert_eq!(code, 1, "{}", report["summary"]);
    assert_eq!(verdict(&report, "remarks/user/other/select/all"), "leak");
    for attempt in report["attempts"].as_array().unwrap().iter().filter(|attempt| attempt["table"] == "notes") {
        assert_eq!(attempt["verdict"], "held", "{attempt}");
    }
}

/// Conditions that narrow, on all of those columns, let nobody in.
#[test]
fn conditions_that_narrow_are_silent() {
    for condition in [
        "user_id = auth.uid() AND (visibility = 'public' OR score > 100 OR is_public)",
        "user_id = auth.uid() AND expires_at < now() AND kind = 'final' AND 'x' = ANY (tags)",
        "user_id = auth.uid() AND meta ->> 'open' = 'true' AND is_open(visibility, score)",
    ] {
        let (code, report) = verify(&schema("SELECT", &format!("USING ({condition})")));
        assert_eq!(code, 0, "{condition}\n{}\n{}", report["summary"], report["findings"]);
        assert_eq!(count(&report, "held"), count(&report, "attempts"));
    }
}

/// Values that a constraint refuses are done without, and the run goes on.
#[test]
fn a_value_that_a_constraint_refuses() {
    let limited =
        "ALTER TABLE notes ADD CHECK (score <> 101), ADD CHECK (is_public IS DISTINCT FROM true OR kind IS NOT NULL);";
    let open = schema("SELECT", "USING (score >= 100 AND is_public AND score < 200)");
    let (code, report) = verify(&format!("{open} {limited}"));
    assert_eq!(code, 1, "{}", report["summary"]);
    assert_eq!(verdict(&report, "notes/user/other/select/all"), "leak");
}
