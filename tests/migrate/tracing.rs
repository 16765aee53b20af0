//! `--plan --trace`: the pending files for real on a scratch database; the target stays as it is.

use crate::server::{Database, Project, Ran, ran, run, without_database};
use serde_json::Value;

const BASE: &str = "create table patients (id int primary key, name text);
create table visits (id int primary key, patient_id int references patients);
create function hook() returns trigger language plpgsql as $$ begin lock table visits in share mode; return new; end $$;
";

const RELEASE: &str = "alter table patients add column born date;
alter table patients add column token uuid default gen_random_uuid();
create index on visits (patient_id);
create table notes (id int, patient_id int references patients);
drop table visits;
";

fn pending(release: &str) -> (Database, Project) {
    let database = Database::plain();
    let project = Project::new(&[("V1__base.sql", BASE)]);
    database.migrate(&project, &[]).succeeded(&[]);
    project.write("V2__release.sql", release);
    (database, project)
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// What each statement of a file took, as text.
fn held(file: &Value) -> Vec<String> {
    let statements = file["statements"].as_array().unwrap().iter();
    statements
        .map(|statement| {
            let held = statement["traced"]["held"].as_array();
            let one =
                |lock: &Value| format!("{} {}", lock["relation"].as_str().unwrap(), lock["mode"].as_str().unwrap());
            held.map(|held| held.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
        })
        .collect()
}

fn shows_what_is_held(engine: &str) {
    let (database, project) = pending(RELEASE);
    project.write("V3__index.sql", "create index concurrently patients_born on patients (born)");
    project.write("V4__late.sql", "alter table patients alter column born set not null");
    let before = database.contents();
    let traced = json(&database.migrate(&project, &["--plan", "--trace", "--engine", engine, "--format", "json"]));
    assert!(traced["environment"]["traced_on"].as_str().unwrap().starts_with(engine), "{traced:#}");
    assert_eq!(traced["summary"]["mismatches"], 0, "{traced:#}");
    assert_eq!(traced["summary"]["applied"], 1);
    let took = held(&traced["files"][0]);
    assert_eq!(took[0], "public.patients ACCESS EXCLUSIVE");
    assert!(took[2].contains("public.visits SHARE"), "{took:?}");
    assert!(took[3].contains("public.patients SHARE ROW EXCLUSIVE"), "{took:?}");
    assert!(took[4].contains("public.visits ACCESS EXCLUSIVE"), "{took:?}");
    assert_eq!(traced["files"][0]["statements"][1]["traced"]["rewritten"][0], "public.patients");
    assert_eq!(traced["files"][1]["statements"][0]["traced"]["held"], Value::Null);
    // The third file's table was there before it, for all that the first file changed it.
    assert_eq!(held(&traced["files"][2]), ["public.patients ACCESS EXCLUSIVE"]);
    assert_eq!(database.contents(), before);
    assert_eq!(database.text("SELECT count(*) FROM chartchek_meta.refinery_schema_history"), "1");
}

#[test]
fn a_trace_shows_what_is_held_on_the_local_engine() {
    shows_what_is_held("local");
}

#[cfg(feature = "embedded")]
#[test]
fn a_trace_shows_what_is_held_on_the_embedded_engine() {
    shows_what_is_held("embedded");
}

/// A lock that no statement shows: a trigger takes it.
#[test]
fn a_lock_that_was_not_predicted_is_a_warning() {
    let (database, project) =
        pending("create trigger hook before insert on patients for each row execute function hook()");
    database.migrate(&project, &[]).succeeded(&[]);
    project.write("V3__row.sql", "insert into patients values (1, 'a')");
    let traced = database.migrate(&project, &["--plan", "--trace", "--engine", "local"]);
    traced.succeeded(&[
        "ROW EXCLUSIVE on public.patients",
        "warning: SHARE on public.visits was taken, and not predicted",
        "1 predicted otherwise than traced",
    ]);
    project.write("V3__row.sql", "alter table patients add column x int");
    let traced = database.migrate(&project, &["--plan", "--trace", "--engine", "local"]);
    assert!(!traced.out.contains("warning"), "{}", traced.out);
}

#[test]
fn a_file_that_fails_is_placed_and_the_target_is_not_touched() {
    let (database, project) =
        pending("\u{feff}-- größer\ncreate table notes (id int);\nalter table patients\n  add column x nothing;");
    let before = database.contents();
    database.migrate(&project, &["--plan", "--trace", "--engine", "local"]).failed(
        6,
        &["V2__release.sql:4:16", "42704", "statement 2 of 2", "scratch database", "the target was not touched"],
    );
    assert_eq!(database.contents(), before);
    project.write("V2__release.sql", "create table notes (id int primary key);\ninsert into notes values (1), (1);");
    database
        .migrate(&project, &["--plan", "--trace", "--engine", "local"])
        .failed(6, &["V2__release.sql:2:1", "23505"]);
    project.write(
        "V2__release.sql",
        "create table notes (id int references patients deferrable initially deferred);\ninsert into notes values (1);",
    );
    database
        .migrate(&project, &["--plan", "--trace", "--engine", "local"])
        .failed(6, &["23503", "at the end of the file"]);
    assert_eq!(database.contents(), before);
}

/// A file's SETs end with it there too.
#[test]
fn settings_do_not_leak_from_file_to_file() {
    let (database, project) = pending("create schema elsewhere; set search_path = elsewhere; create table a (i int)");
    project.write("V3__b.sql", "create table b (i int); alter table patients add column x int");
    let traced = json(&database.migrate(&project, &["--plan", "--trace", "--engine", "local", "--format", "json"]));
    assert_eq!(traced["files"][0]["statements"][2]["locks"][0]["relation"], "elsewhere.a");
    assert_eq!(traced["files"][1]["statements"][0]["locks"][0]["relation"], "public.b");
    assert_eq!(traced["summary"]["mismatches"], 0, "{traced:#}");
}

#[test]
fn without_a_target_all_files_are_tried_from_nothing() {
    let project = Project::own();
    let traced =
        ran(without_database("migrate", &project, &["--plan", "--trace", "--engine", "local"]).output().unwrap());
    traced.succeeded(&["none: an empty one is assumed", "traced on", "7 pending, 0 applied", "V007__policies.sql"]);
    assert!(!traced.out.contains("warning"), "{}", traced.out);
    let plan = ran(without_database("migrate", &project, &["--plan"]).output().unwrap());
    plan.failed(2, &["no database is named"]);
    let wrong =
        ran(without_database("migrate", &project, &["--plan", "--trace"]).env("DATABASE_URL", "").output().unwrap());
    wrong.failed(2, &["DATABASE_URL is empty"]);
}

/// Nothing that --plan sends could write, whatever it held: it is sent in read-only transactions.
#[test]
fn a_plan_is_read_only_by_the_server() {
    let (database, project) = pending(RELEASE);
    let mut program = crate::server::program("migrate", &database.url("postgres"), &project, &["--plan", "-vv"]);
    let logged = ran(program.output().unwrap());
    logged.succeeded(&["1 pending"]);
    let sent: Vec<&str> = logged.err.lines().filter_map(|line| line.split("sql=").nth(1)).collect();
    assert!(sent.len() >= 4, "{}", logged.err);
    let mut open = false;
    for message in sent {
        let begins = message.contains("BEGIN TRANSACTION READ ONLY");
        assert!(open || begins, "outside of a read-only transaction: {message}");
        open = !message.contains("ROLLBACK");
    }
    // A standby or a read-only role can make it.
    database.run(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    run("migrate", &database.url("postgres"), &project, &["--plan"]).succeeded(&["1 pending"]);
}
