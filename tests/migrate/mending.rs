//! A CREATE INDEX CONCURRENTLY whose client is killed: what the next `migrate` says of it, and how it mends it.

use crate::server::{Database, Project, program, within};
use std::time::{Duration, Instant};

const INDEX: &str = "create index concurrently i on public.t (lower(a)) where b > 0;";
const VALID: &str =
    "SELECT string_agg(indexrelid::regclass || ' ' || indisvalid, ',') FROM pg_index WHERE indrelid = 't'::regclass";
const RECORDED: &str = "SELECT coalesce(string_agg(version::text, ',' ORDER BY version), '') \
                        FROM chartchek_meta.refinery_schema_history";

fn project(index: &str) -> Project {
    Project::new(&[
        ("V1__t.sql", "create table t (gone int, a text, b int); alter table t drop gone"),
        ("V2__i.sql", index),
        ("V3__u.sql", "create table u (a int)"),
    ])
}

#[track_caller]
pub(crate) fn until(database: &Database, sql: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while database.text(sql) != expected {
        assert!(Instant::now() < deadline, "{sql} is {}, not {expected}", database.text(sql));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the program while the index is built, or where it is `finished`, leaves the database as one that was killed
/// between the index and its line in the history. A writer keeps the build waiting; the server ends it by itself.
fn killed(database: &Database, project: &Project, finished: bool) {
    if finished {
        database.migrate(project, &["--to", "2"]).succeeded(&["2 applied"]);
        return database.run("DELETE FROM chartchek_meta.refinery_schema_history WHERE version = 2");
    }
    database.migrate(project, &["--to", "1"]).succeeded(&["1 applied"]);
    let writer = database.session();
    writer.run("BEGIN; INSERT INTO t VALUES ('x', 1)");
    let mut child = program("migrate", &database.url("postgres"), project, &[]).spawn().unwrap();
    until(database, VALID, "i false");
    child.kill().unwrap();
    child.wait().unwrap();
    let builds = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'create%index concurrently%'";
    until(database, &format!("SELECT count(*) {builds}"), "0");
    drop(writer);
    assert_eq!(database.text(VALID), "i false");
    assert_eq!(database.text(RECORDED), "1");
}

#[test]
fn an_invalid_index_is_told_and_with_mend_built_anew() {
    // With IF NOT EXISTS PostgreSQL itself would pass over the invalid index.
    for index in [INDEX, &INDEX.replace(" i on", " if not exists i on")] {
        let database = Database::plain();
        let project = project(index);
        killed(&database, &project, false);
        let ran = database.migrate(&project, &[]);
        ran.failed(6, &["index public.i of ", "V2__i.sql", "INVALID", "drop index concurrently public.i;", "--mend"]);
        ran.failed(6, &["not reached", "V3__u.sql"]);
        assert_eq!(database.text(VALID), "i false");
        assert_eq!(database.text(RECORDED), "1");
        let said = "mended   V2__i.sql: index public.i was INVALID and is dropped";
        database.migrate(&project, &["--mend"]).succeeded(&[said, "2 applied"]);
        assert_eq!(database.text(VALID), "i true");
        assert_eq!(database.text(RECORDED), "1,2,3");
        // With nothing to mend the flag does nothing.
        database.migrate(&project, &["--mend"]).succeeded(&["nothing to do"]);
    }
}

#[test]
fn a_whole_index_is_told_and_with_mend_recorded() {
    let database = Database::plain();
    let project = project(INDEX);
    killed(&database, &project, true);
    let oid = database.text("SELECT 'i'::regclass::oid");
    database
        .migrate(&project, &[])
        .failed(6, &["index public.i", "is not recorded", "--mend", "drop index concurrently"]);
    assert_eq!(database.text(RECORDED), "1");
    database.migrate(&project, &["--mend"]).succeeded(&["is there already: not run, only recorded", "2 applied"]);
    assert_eq!(database.text("SELECT 'i'::regclass::oid"), oid, "it is not built anew");
    assert_eq!(database.text(RECORDED), "1,2,3");
}

#[test]
fn another_index_of_that_name_is_never_recorded_or_dropped() {
    for other in [
        "create index i on t (a) where b > 0",
        "create unique index i on t (lower(a)) where b > 0",
        "create index i on t (lower(a)) where b > 1",
        "create index i on t (lower(a) desc) where b > 0",
    ] {
        let database = Database::plain();
        let project = project(INDEX);
        database.migrate(&project, &["--to", "1"]).succeeded(&[]);
        database.run(other);
        database
            .migrate(&project, &["--mend"])
            .failed(6, &["is not what", "V2__i.sql", "there is:", "the file makes:"]);
        assert_eq!(database.text(VALID), "i true", "{other}");
        assert_eq!(database.text(RECORDED), "1");
        assert_eq!(database.text("SELECT count(*) FROM pg_class WHERE relname LIKE 'chartchek_db_trial%'"), "0");
    }
    // One of another table is PostgreSQL's to refuse.
    let database = Database::plain();
    let project = project(INDEX);
    database.migrate(&project, &["--to", "1"]).succeeded(&[]);
    database.run("create table other (a int); create index i on other (a)");
    database.migrate(&project, &["--mend"]).failed(6, &["42P07"]);
    assert_eq!(database.text("SELECT count(*) FROM pg_index WHERE indrelid = 'other'::regclass"), "1");
}

#[test]
fn names_are_read_as_postgresql_reads_them() {
    for (index, name) in [
        ("CREATE UNIQUE INDEX CONCURRENTLY \"The \"\"Index\" ON t USING btree (a)", "The \"Index"),
        ("/* one */ create index concurrently T_A on only public . t /* two */ (a) -- three", "t_a"),
        ("create index concurrently \"if\" on \"public\".\"t\" (a, b) include (b) with (fillfactor = 70)", "if"),
    ] {
        let database = Database::plain();
        let project = project(index);
        killed_name(&database, &project, name);
    }
}

/// A whole index without its row: recorded with `--mend`.
#[track_caller]
fn killed_name(database: &Database, project: &Project, name: &str) {
    database.migrate(project, &["--to", "2"]).succeeded(&["2 applied"]);
    assert_eq!(
        database.text("SELECT relname FROM pg_class WHERE relkind = 'i' AND oid > 16384 AND relname !~ 'pg_|ref'"),
        name
    );
    database.run("DELETE FROM chartchek_meta.refinery_schema_history WHERE version = 2");
    database.migrate(project, &[]).failed(6, &["is not recorded"]);
    database.migrate(project, &["--mend"]).succeeded(&["only recorded", "2 applied"]);
}

#[test]
fn an_index_that_is_being_built_is_left_alone() {
    let database = Database::plain();
    let project = project(INDEX);
    database.migrate(&project, &["--to", "1"]).succeeded(&[]);
    let writer = database.session();
    writer.run("BEGIN; INSERT INTO t VALUES ('x', 1)");
    let url = database.url("postgres");
    let builder = std::thread::spawn(move || crate::server::rows(&url, INDEX).map(|_| ()));
    until(&database, VALID, "i false");
    let mending = program("migrate", &database.url("postgres"), &project, &["--mend"]).spawn().unwrap();
    within(Duration::from_secs(60), mending).failed(5, &["is being built by another session"]);
    drop(writer);
    builder.join().unwrap().unwrap();
    database.migrate(&project, &["--mend"]).succeeded(&["only recorded"]);
}
