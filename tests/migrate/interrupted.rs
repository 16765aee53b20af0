//! Runs that are told to stop, whose time is up, whose server goes away or whose disk is full: what is said, what stays,
//! and that the next run ends where an undisturbed one does.

use crate::killed::{state, until};
use crate::pooler::not_run;
use crate::server::{Database, KEY, Project, Small, program, ran};
use std::process::{Child, Command};

/// Runs as long as its table says.
const PATIENT: &str = "create table b (i int); select pg_sleep(coalesce((select max(seconds) from patience), 0));";
/// Sessions of this database that sleep, or wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                       AND (wait_event = 'PgSleep' OR wait_event_type = 'Lock')";

fn project() -> Project {
    Project::new(&[
        ("V1__a.sql", "create table a (i int)"),
        ("V2__b.sql", PATIENT),
        ("V3__c.sql", "create table c (i int)"),
    ])
}

fn patient(database: &Database, seconds: u32) {
    database
        .run(&format!("CREATE TABLE IF NOT EXISTS patience (seconds int); INSERT INTO patience VALUES ({seconds})"));
}

/// Starts the program and waits until it waits.
#[track_caller]
fn waiting(database: &Database, project: &Project, arguments: &[&str]) -> Child {
    let child = program("migrate", &database.url("postgres"), project, arguments).spawn().unwrap();
    until(database, WAITING, "1");
    child
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

/// How many sessions hold the migration lock.
fn locked(database: &Database) -> String {
    database.text(&format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {KEY} & 4294967295
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    ))
}

#[test]
fn a_signal_cancels_rolls_back_and_says_where_it_stopped() {
    for name in ["-INT", "-TERM"] {
        let (database, project) = (Database::plain(), project());
        patient(&database, 60);
        let child = waiting(&database, &project, &[]);
        signal(name, &child.id().to_string());
        let stopped = ran(child.wait_with_output().unwrap());
        // The lock is free by now, and not only once the server notices.
        assert_eq!(locked(&database), "0");
        assert_eq!(database.text(WAITING), "0");
        stopped.failed(130, &["interrupted while ", "V2__b.sql ran", "left nothing behind", "run `migrate` again"]);
        stopped.failed(130, &["applied by this run before", "V1__a.sql", "not reached", "V3__c.sql"]);
        assert_eq!(
            database.text("SELECT to_regclass('a') || ' ' || coalesce(to_regclass('b')::text, 'none')"),
            "a none"
        );
        database.run("DELETE FROM patience");
        database.migrate(&project, &["--lock-wait", "0"]).succeeded(&["2 applied"]);
    }
}

#[test]
fn a_signal_ends_an_index_and_says_what_it_left() {
    let database = Database::plain();
    database.run("CREATE TABLE t (a int)");
    let project = Project::new(&[("V1__i.sql", "create index concurrently i on t (a)")]);
    let writer = database.session();
    writer.run("BEGIN; INSERT INTO t VALUES (1)");
    let child = waiting(&database, &project, &[]);
    signal("-INT", &child.id().to_string());
    let stopped = ran(child.wait_with_output().unwrap());
    assert_eq!(locked(&database), "0");
    stopped.failed(130, &["interrupted while ", "V1__i.sql", "without a transaction", "public.i is INVALID", "--mend"]);
    drop(writer);
    database.migrate(&project, &["--mend"]).succeeded(&["was INVALID and is dropped", "1 applied"]);
}

#[test]
fn a_signal_ends_the_waiting_for_locks() {
    let database = Database::plain();
    database.run("CREATE TABLE busy (i int)");
    let project = Project::new(&[("V1__a.sql", "create table a (i int);\nalter table busy add j int")]);
    let other = database.session();
    other.run(&format!("SET application_name = 'another'; SELECT pg_advisory_lock({KEY})"));
    let child = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
    let connected = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'chartchek-db'";
    until(&database, connected, "1");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal("-INT", &child.id().to_string());
    let stopped = ran(child.wait_with_output().unwrap());
    stopped.failed(130, &["interrupted while waiting for the migration lock", "nothing was applied", "another"]);
    drop(other);
    // Of a table, within a try and between two.
    let reader = database.session();
    reader.run("BEGIN; SELECT * FROM busy");
    for wait in [0, 3300] {
        let child = waiting(&database, &project, &[]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        signal("-INT", &child.id().to_string());
        ran(child.wait_with_output().unwrap()).failed(130, &["interrupted while", "V1__a.sql", "left nothing behind"]);
        assert_eq!(locked(&database), "0");
        assert_eq!(database.text("SELECT count(*) FROM pg_class WHERE relname = 'a'"), "0");
    }
}

#[test]
fn a_server_that_does_not_answer_holds_nobody_back() {
    for signals in [1, 2] {
        let (database, project) = (Database::plain(), project());
        patient(&database, 60);
        let child = waiting(&database, &project, &[]);
        let backend = database
            .text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
        signal("-STOP", &backend);
        for _ in 0..signals {
            signal("-INT", &child.id().to_string());
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        let stopped = ran(child.wait_with_output().unwrap());
        signal("-CONT", &backend);
        assert_eq!(stopped.code, 130, "{}", stopped.err);
        // Once: the server has its time. Twice: nothing is waited for.
        assert_eq!(stopped.err.contains("did not answer the request to cancel"), signals == 1, "{}", stopped.err);
        database.run("DELETE FROM patience");
        database.migrate(&project, &["--lock-wait", "20"]).succeeded(&["2 applied"]);
    }
}

#[test]
fn a_signal_before_the_first_file_changes_nothing() {
    // Connecting can be waited for, too; there is nothing to end in good order yet.
    let folder = tempfile::tempdir().unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
    let url = format!("host={} user=postgres dbname=x", folder.path().display());
    let project = project();
    let child = program("migrate", &url, &project, &[]).spawn().unwrap();
    let _silent = listener.accept().unwrap();
    signal("-TERM", &child.id().to_string());
    assert_eq!(ran(child.wait_with_output().unwrap()).code, 130);
}

#[test]
fn the_time_of_a_statement_is_a_failure_of_its_own() {
    let (database, project) = (Database::plain(), project());
    patient(&database, 60);
    let late = database.migrate(&project, &["--statement-timeout", "1"]);
    late.failed(
        6,
        &["V2__b.sql:1:25", "57014", "statement 2 of 2", "left nothing behind", "--statement-timeout SECONDS"],
    );
    assert!(!late.err.contains("lock"), "{}", late.err);
    // A role's own limit counts where none is given; 0 lifts it.
    database.run(&format!("ALTER DATABASE {} SET statement_timeout = '300ms'", database.name));
    database.migrate(&project, &[]).failed(6, &["57014", "--statement-timeout SECONDS"]);
    database.run("DELETE FROM patience; INSERT INTO patience VALUES (1)");
    database.migrate(&project, &["--statement-timeout", "0"]).succeeded(&["2 applied"]);
    // Whom the statement waited for is said, too.
    database.run("CREATE TABLE busy (i int)");
    let reader = database.session();
    reader.run("SET application_name = 'long reader'; BEGIN; SELECT * FROM busy");
    project.write("V4__busy.sql", "alter table busy add j int");
    let late = database.migrate(&project, &["--statement-timeout", "2"]);
    late.failed(6, &["57014", "when its time was up it waited for pid", "long reader", "pg_terminate_backend"]);
    // Without a transaction as well.
    drop(reader);
    let writer = database.session();
    writer.run("BEGIN; INSERT INTO busy VALUES (1)");
    project.write("V4__busy.sql", "create index concurrently i on busy (i)");
    let late = database.migrate(&project, &["--statement-timeout", "2"]);
    late.failed(6, &["57014", "public.i is INVALID", "--statement-timeout SECONDS"]);
    drop(writer);
    database.migrate(&project, &["--mend"]).succeeded(&["1 applied"]);
}

#[test]
fn a_file_that_someone_else_cancels_says_so() {
    let (database, project) = (Database::plain(), project());
    patient(&database, 60);
    let child = waiting(&database, &project, &[]);
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    database.text(cancel);
    let told = ran(child.wait_with_output().unwrap());
    told.failed(6, &["V2__b.sql", "57014", "someone else cancelled it", "left nothing behind"]);
    assert!(!told.err.contains("--statement-timeout"), "{}", told.err);
}

#[test]
fn a_server_that_restarts_or_crashes() {
    let database = Database::alone(None).unwrap();
    let project = project();
    let undisturbed = Database::copy(&database);
    patient(&undisturbed, 0);
    undisturbed.migrate(&project, &[]).succeeded(&["3 applied"]);
    patient(&database, 60);
    // A fast shutdown, and an immediate one, which is a crash.
    for (signal, files) in [("-INT", "not reached"), ("-QUIT", "no file was applied by this run")] {
        let child = waiting(&database, &project, &[]);
        database.restart(signal);
        let told = ran(child.wait_with_output().unwrap());
        told.failed(4, &["the connection broke while ", "V2__b.sql", "never half", files]);
        assert_eq!(database.text("SELECT count(*) FROM chartchek_meta.refinery_schema_history"), "1");
    }
    database.run("DELETE FROM patience");
    database.migrate(&project, &["--lock-wait", "0"]).succeeded(&["2 applied"]);
    assert_eq!(state(&database), state(&undisturbed));
}

/// Some 60 MB of rows, and as much log of them.
const LARGE: &str = "create table large (i int, t text);
alter table large alter t set storage plain;
insert into large select i, repeat('x', 6000) from generate_series(1, 10000) i;";

fn full(test: &str, small: Small, keep: &str, code: i32, parts: &[&str]) {
    let database = match Database::alone(Some(small)) {
        Ok(database) => database,
        Err(why) => return not_run(test, &why),
    };
    let project = Project::new(&[
        ("V1__a.sql", "create table a (i int)"),
        ("V2__large.sql", LARGE),
        ("V3__c.sql", "create index concurrently c on large (i)"),
    ]);
    database.run(keep);
    database.run("SELECT pg_reload_conf()");
    let told = database.migrate(&project, &[]);
    told.failed(
        code,
        &["V2__large.sql", "53100", "disk is full", "free space there", "applied by this run before", "V1__a.sql"],
    );
    told.failed(code, parts);
    database.room();
    database.restart("-INT");
    assert_eq!(database.text("SELECT count(*) FROM pg_class WHERE relname = 'large'"), "0");
    database.migrate(&project, &["--lock-wait", "0"]).succeeded(&["2 applied"]);
    let undisturbed = Database::plain();
    undisturbed.migrate(&project, &[]).succeeded(&["3 applied"]);
    assert_eq!(state(&database), state(&undisturbed));
}

#[test]
fn a_full_disk_of_data() {
    full("interrupted::a_full_disk_of_data", Small::Data, "", 6, &["V2__large.sql:3:1", "left nothing behind"]);
}

#[test]
fn a_full_disk_of_the_log() {
    // All log is kept, as a replica that is away or a broken archive make the server keep it. It panics.
    let keep = "ALTER SYSTEM SET wal_keep_size = '1GB'";
    full("interrupted::a_full_disk_of_the_log", Small::Wal, keep, 4, &["the connection broke", "never half"]);
}
