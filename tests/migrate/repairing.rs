//! `repair`: shows what differs and changes nothing; accepts what is named, under the lock, all or nothing.

use crate::server::{Database, KEY, Project, Ran, run};

const HISTORY: &str =
    "SELECT string_agg(h::text, E'\\n' ORDER BY version) FROM chartchek_meta.refinery_schema_history h";

fn repair(database: &Database, project: &Project, arguments: &[&str]) -> Ran {
    run("repair", &database.url("postgres"), project, arguments)
}

/// Applied are 1, 3, 4 and 5; then 3 is edited, 4 renamed, 5 lost, and 2 comes late.
fn differing() -> (Database, Project) {
    let database = Database::plain();
    let project = Project::new(&[
        ("V001__a.sql", "create table a (i int)"),
        ("V003__c.sql", "create table c (i int)"),
        ("V004__d.sql", "create table d (i int)"),
        ("V005__e.sql", "create table e (i int)"),
    ]);
    database.migrate(&project, &[]).succeeded(&["4 applied"]);
    project.write("V003__c.sql", "create table c (i int not null)");
    project.remove("V004__d.sql");
    project.write("V004__dd.sql", "create table d (i int)");
    project.remove("V005__e.sql");
    project.write("V002__b.sql", "create table b (i int)");
    (database, project)
}

fn checksum(database: &Database, version: i32) -> String {
    database.text(&format!("SELECT checksum FROM chartchek_meta.refinery_schema_history WHERE version = {version}"))
}

#[test]
fn differences_are_shown_and_nothing_is_changed() {
    let (database, project) = differing();
    let before = database.text(HISTORY) + &database.contents();
    let ran = repair(&database, &project, &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    for part in [
        "late     V002__b.sql",
        "V006__b.sql",
        "changed  V003__c.sql",
        &checksum(&database, 3),
        "repair --accept 3",
        "changed  V004__dd.sql",
        "recorded  d ",
        "file      dd ",
        "missing  V5__e",
        &checksum(&database, 5),
        "4 versions differ",
    ] {
        assert!(ran.out.contains(part), "{part:?} is not said in:\n{}", ran.out);
    }
    assert!(!ran.out.contains("V001__a.sql"), "{}", ran.out);
    assert_eq!(before, database.text(HISTORY) + &database.contents());
    // Reading is right enough.
    database.run("GRANT USAGE ON SCHEMA chartchek_meta TO owner; GRANT SELECT ON chartchek_meta.refinery_schema_history TO owner");
    database.run("CREATE POLICY p ON chartchek_meta.refinery_schema_history FOR SELECT TO owner USING (false)");
    run("repair", &database.url("owner"), &project, &[]).failed(4, &["history"]);
}

#[test]
fn differences_and_what_was_accepted_as_json() {
    let (database, project) = differing();
    let json = |ran: &Ran| -> serde_json::Value {
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err))
    };
    let ran = repair(&database, &project, &["--format", "json"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let found = json(&ran);
    assert_eq!((&found["version"], &found["command"]), (&1.into(), &"repair".into()));
    assert_eq!(found["environment"]["history"], "chartchek_meta.refinery_schema_history");
    assert_eq!(found["summary"], serde_json::json!({ "recorded": 4, "accepted": 0, "differences": 4 }));
    let states: Vec<_> =
        found["differences"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["late", "changed", "changed", "missing"]);
    let changed = &found["differences"][1];
    assert_eq!(changed["version"], 3);
    assert_eq!(changed["recorded"]["checksum"], checksum(&database, 3));
    assert_ne!(changed["found"]["checksum"], changed["recorded"]["checksum"]);
    assert_eq!(changed["remedy"], "chartchek-db repair --accept 3");
    assert_eq!(found["differences"][3]["found"], serde_json::Value::Null);
    assert!(found["differences"][0]["remedy"].as_str().unwrap().starts_with("mv "), "{}", found["differences"][0]);

    let found = json(&repair(&database, &project, &["--format", "json", "--accept", "4"]));
    assert_eq!(found["summary"], serde_json::json!({ "recorded": 4, "accepted": 1, "differences": 3 }));
    assert_eq!(found["accepted"][0]["recorded"]["name"], "d");
    assert_eq!(found["accepted"][0]["found"]["name"], "dd");
}

#[test]
fn nothing_differs_before_and_after_the_first_migration() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    repair(&database, &project, &[]).succeeded(&["0 recorded; files and history agree"]);
    assert_eq!(database.contents(), "");
    repair(&database, &project, &["--accept", "1"]).failed(2, &["version 1 does not differ"]);
    database.migrate(&project, &[]).succeeded(&[]);
    repair(&database, &project, &[]).succeeded(&["1 recorded; files and history agree"]);
}

#[test]
fn what_is_named_is_accepted_and_nothing_else() {
    let (database, project) = differing();
    let others = "SELECT string_agg(h::text, ';' ORDER BY version) FROM chartchek_meta.refinery_schema_history h \
                  WHERE version NOT IN (3, 4)";
    let (kept, contents) = (database.text(others), database.contents());
    let times = "SELECT string_agg(applied_on, ';' ORDER BY version) FROM chartchek_meta.refinery_schema_history \
                 WHERE version < 5";
    let applied_on = database.text(times);
    let old = checksum(&database, 3);
    let ran = repair(&database, &project, &["--accept", "4", "--accept", "3", "--accept", "4"]);
    // The rest still differs.
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert_ne!(checksum(&database, 3), old);
    for part in
        ["accepted V003__c.sql", &old, &checksum(&database, 3), "before  d ", "after   dd ", "2 versions differ"]
    {
        assert!(ran.out.contains(part), "{part:?} is not said in:\n{}", ran.out);
    }
    assert_eq!(ran.out.matches("accepted V004__dd.sql").count(), 1, "{}", ran.out);
    assert_eq!(database.text(others), kept);
    assert_eq!(database.text(times), applied_on, "when it was applied is kept");

    let ran = repair(&database, &project, &["--accept", "5"]);
    assert!(ran.out.contains("accepted V5__e") && ran.out.contains("no row"), "{}", ran.out);
    assert_eq!(database.contents(), contents, "only the history is written");
    project.remove("V002__b.sql");
    repair(&database, &project, &[]).succeeded(&["3 recorded; files and history agree"]);
    project.write("V005__f.sql", "create table f (i int)");
    database.migrate(&project, &["--lock-wait", "0"]).succeeded(&["V005__f.sql", "1 applied"]);
}

#[test]
fn what_does_not_differ_is_refused_and_takes_the_rest_with_it() {
    let (database, project) = differing();
    let before = database.text(HISTORY);
    for (version, why) in [
        ("1", "version 1 does not differ"),
        ("9", "neither the history nor the project has it"),
        ("2", "V002__b.sql is late: there is nothing to accept"),
    ] {
        repair(&database, &project, &["--accept", "3", "--accept", version]).failed(2, &[why, "nothing was written"]);
    }
    repair(&database, &project, &["--accept", "2"]).failed(2, &["renumber", "migrations/V006__b.sql"]);
    repair(&database, &project, &["--accept", "x"]).failed(2, &["invalid value"]);
    assert_eq!(database.text(HISTORY), before);
}

#[test]
fn it_waits_for_the_lock_and_needs_the_right_to_write() {
    let (database, project) = differing();
    let before = database.text(HISTORY);
    let holder = database.session();
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    repair(&database, &project, &["--accept", "3", "--lock-wait", "0"]).failed(5, &["migration lock"]);
    drop(holder);
    database.run(
        "GRANT USAGE ON SCHEMA chartchek_meta TO reader; GRANT SELECT ON chartchek_meta.refinery_schema_history TO reader;
         ALTER TABLE chartchek_meta.refinery_schema_history DISABLE ROW LEVEL SECURITY",
    );
    let reader = run("repair", &database.url("reader"), &project, &["--accept", "3"]);
    reader.failed(4, &["the history was not changed", "connect as the role that owns"]);
    // A row that somehow is not met: nothing is written, not even what was.
    database.run(
        "CREATE FUNCTION chartchek_meta.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER none BEFORE UPDATE ON chartchek_meta.refinery_schema_history FOR EACH ROW
           WHEN (OLD.version = 4) EXECUTE FUNCTION chartchek_meta.none()",
    );
    repair(&database, &project, &["--accept", "3", "--accept", "4"]).failed(3, &["nothing was written"]);
    assert_eq!(database.text(HISTORY), before);
    database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    repair(&database, &project, &["--accept", "3"]).failed(4, &["read-only", "nothing was written"]);
}
