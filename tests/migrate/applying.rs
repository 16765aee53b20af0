//! What goes well: applied once, recorded as refinery records, and nothing leaks from file to file.

use crate::server::{Database, Project, run};
use refinery::Migration;

const HISTORY: &str =
    "SELECT string_agg(version::text, ',' ORDER BY version) FROM chartchek_meta.refinery_schema_history";

#[test]
fn the_own_migrations_are_applied_once() {
    let database = Database::supabase();
    let project = Project::own();
    database.migrate(&project, &[]).succeeded(&["applied  V001__schemas.sql", "7 applied", "verify-rls"]);
    let before = database.text("SELECT string_agg(t::text, ';') FROM chartchek_meta.refinery_schema_history t");
    database.migrate(&project, &[]).succeeded(&["nothing to do", "7 applied before"]);
    assert_eq!(before, database.text("SELECT string_agg(t::text, ';') FROM chartchek_meta.refinery_schema_history t"));
    run("status", &database.url("postgres"), &project, &["--exit-code"])
        .succeeded(&["7 applied, 0 pending", "up to date"]);
}

#[test]
fn ten_comes_after_nine() {
    let (database, project) = (Database::plain(), Project::new(&[]));
    for version in 8..=12 {
        project.write(&format!("V{version}__x.sql"), &format!("create table x{version} (i int)"));
        database.migrate(&project, &[]).succeeded(&["1 applied"]);
    }
    database.migrate(&project, &[]).succeeded(&["nothing to do: 5 applied before"]);
    run("status", &database.url("postgres"), &project, &["--exit-code"]).succeeded(&["5 applied, 0 pending"]);
    project.write("V100__x.sql", "create table x100 (i int)");
    database.migrate(&project, &[]).succeeded(&["1 applied"]);
    assert_eq!(database.text(HISTORY), "8,9,10,11,12,100");
}

#[test]
fn nobody_else_may_touch_the_history() {
    let database = Database::supabase();
    database.migrate(&Project::new(&[("V1__a.sql", "create table a (i int)")]), &[]).succeeded(&[]);
    let granted = database.text(
        "SELECT count(*) FROM unnest(ARRAY['anon', 'authenticated', 'service_role', 'powerless']) r
         WHERE has_schema_privilege(r, 'chartchek_meta', 'USAGE')
            OR has_table_privilege(r, 'chartchek_meta.refinery_schema_history', 'SELECT, INSERT')",
    );
    assert_eq!(granted, "0");
    let secured = "SELECT relrowsecurity FROM pg_class WHERE oid = 'chartchek_meta.refinery_schema_history'::regclass";
    assert_eq!(database.text(secured), "t");
}

#[test]
fn the_history_is_refinerys_in_both_directions() {
    let database = Database::plain();
    let text = "create table a (i int);\n";
    // As refinery_cli leaves it: its own CREATE TABLE, its checksum, its form of time.
    let first = Migration::unapplied("V1__a", text).unwrap();
    database.run(&format!(
        "CREATE SCHEMA chartchek_meta; CREATE TABLE chartchek_meta.refinery_schema_history(
           version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));
         INSERT INTO chartchek_meta.refinery_schema_history VALUES
           (1, 'a', '2026-11-22T10:00:00.123456789Z', '{}')",
        first.checksum()
    ));
    let project = Project::new(&[("V1__a.sql", text), ("V2__b.sql", "create table b (i int)")]);
    database.migrate(&project, &[]).succeeded(&["applied  V2__b.sql", "1 applied", "1 before"]);
    let second = Migration::unapplied("V2__b", "create table b (i int)").unwrap();
    let recorded =
        database.text("SELECT name || ' ' || checksum FROM chartchek_meta.refinery_schema_history WHERE version = 2");
    assert_eq!(recorded, format!("b {}", second.checksum()));
    let time = database.text("SELECT applied_on::timestamptz > now() - interval '1 minute' FROM chartchek_meta.refinery_schema_history WHERE version = 2");
    assert_eq!(time, "t");
}

#[test]
fn line_ends_and_byte_order_marks_make_no_other_file() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int);\n-- x\n")]);
    database.migrate(&project, &[]).succeeded(&[]);
    for text in [
        "create table a (i int);\r\n-- x\r\n",
        "\u{feff}create table a (i int);\n-- x\n",
        "\u{feff}create table a (i int);\r\n-- x\r\n",
    ] {
        project.write("V1__a.sql", text);
        database.migrate(&project, &[]).succeeded(&["nothing to do"]);
    }
    project.write("V1__a.sql", "create table a (i int);\n-- y\n");
    database.migrate(&project, &[]).failed(2, &["edited"]);
    let other = Database::plain();
    let marked = Project::new(&[("V1__a.sql", "\u{feff}create table a (i int);\r\n")]);
    other.migrate(&marked, &[]).succeeded(&["1 applied"]);
    marked.write("V1__a.sql", "create table a (i int);\n");
    other.migrate(&marked, &[]).succeeded(&["nothing to do"]);
}

#[test]
fn a_files_settings_end_with_it() {
    let database = Database::plain();
    database.run("CREATE SCHEMA elsewhere; CREATE ROLE d_leak; GRANT ALL ON SCHEMA elsewhere TO d_leak");
    let project = Project::new(&[
        // As pg_dump begins its files.
        (
            "V1__dump.sql",
            "set search_path = elsewhere; select pg_catalog.set_config('search_path', '', false);
             set check_function_bodies = false; set role d_leak; create table elsewhere.a (i int)",
        ),
        ("V2__b.sql", "create table b (i int); -- the last line is a comment"),
        (
            "V3__seen.sql",
            "create table seen as select current_user::text as u, current_setting('check_function_bodies') as c",
        ),
    ]);
    database.migrate(&project, &[]).succeeded(&["3 applied"]);
    assert_eq!(database.text("SELECT to_regclass('public.b') IS NOT NULL"), "t");
    assert_eq!(database.text("SELECT tableowner FROM pg_tables WHERE tablename = 'a'"), "d_leak");
    assert_eq!(database.text("SELECT u || ' ' || c FROM seen"), "postgres on");
}

#[test]
fn to_a_version_and_a_plan() {
    let database = Database::plain();
    let project = Project::new(&[
        ("V1__a.sql", "create table a (i int);\n\n-- two\ncreate table aa (\n  i int\n);"),
        ("V2__b.sql", "create table b (i int)"),
        ("V3__c.sql", "create index concurrently c on b (i)"),
    ]);
    let plan = database.migrate(&project, &["--plan"]);
    plan.succeeded(&[
        "pending  V1__a.sql",
        "-> create table a (i int)",
        "-> create table aa (",
        "without a transaction",
    ]);
    assert_eq!(database.contents(), "");
    database.migrate(&project, &["--to", "1"]).succeeded(&["1 applied", "2 still pending"]);
    assert_eq!(database.text(HISTORY), "1");
    let status = run("status", &database.url("postgres"), &project, &["--format", "json", "--exit-code"]);
    assert_eq!(status.code, 1, "{}", status.err);
    let json: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(json["summary"]["pending"], 2);
    assert_eq!(json["migrations"][0]["state"], "applied");
    database.migrate(&project, &["--to", "9"]).failed(2, &["no migration of that version", "the newest is 3"]);
    database.migrate(&project, &[]).succeeded(&["2 applied"]);
    assert_eq!(database.text(HISTORY), "1,2,3");
    assert_eq!(database.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'c'::regclass"), "t");
}

#[test]
fn a_file_without_transaction_may_come_first() {
    let database = Database::plain();
    database.run("CREATE TABLE t (a int)");
    let project = Project::new(&[("V1__i.sql", "\u{feff}-- é\ncreate index concurrently i on t (a);\n-- end")]);
    database.migrate(&project, &[]).succeeded(&["1 applied"]);
    assert_eq!(database.text(HISTORY), "1");
}

#[test]
fn nothing_to_do_needs_no_right_but_to_read() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    let url = database.url("reader");
    run("status", &url, &project, &[]).succeeded(&["1 pending"]);
    database.migrate(&project, &[]).succeeded(&[]);
    // Row security hides the rows from a reader without a policy: to read none would look like all pending.
    database.run(
        "GRANT USAGE ON SCHEMA chartchek_meta TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA chartchek_meta TO reader",
    );
    run("status", &url, &project, &[]).failed(4, &["cannot read the migration history", "row-level security"]);
    database.run("CREATE POLICY r ON chartchek_meta.refinery_schema_history TO reader USING (true)");
    database.run("ALTER TABLE chartchek_meta.refinery_schema_history OWNER TO reader");
    database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    run("migrate", &url, &project, &[]).succeeded(&["nothing to do"]);
    run("status", &url, &project, &["--exit-code"]).succeeded(&["up to date"]);
}
