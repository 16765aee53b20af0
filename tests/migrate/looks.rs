//! How `status`, `--plan`, a failing file and a wait for a lock look, as snapshots.

use crate::server::{Database, KEY, Project, Ran, program, ran, run};
use std::process::Command;

/// What differs from run to run.
const SCRUBBED: &[(&str, &str)] = &[
    (r"d\d+ on /\S+:5432 as postgres", "app on [socket] as postgres"),
    (r"project \S+: ", "project [folder]: "),
    (r"contract \S+ ", "contract policies/access.toml "),
    (r"[\w./]+/migrations/", "migrations/"),
    (r"sha256 [0-9a-f]{12}", "sha256 [hash]"),
    (r"PostgreSQL 1\d\.\d+( \(/[^)]*\))?", "PostgreSQL [version]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
    (r" +\d+\.\d ms", " [ms] ms"),
    (r"applied in \d+\.\d\d s", "applied in [s] s"),
    (r"pid \d+", "pid [pid]"),
    (r"pg_terminate_backend\(\d+\)", "pg_terminate_backend([pid])"),
    (r"for \d+ s([);])", "for [s] s$1"),
    (r"\d+ s so far", "[s] s so far"),
    (r#""(traced_)?ms": [0-9.]+"#, r#""${1}ms": [ms]"#),
    (r"checksum \d+", "checksum [sum]"),
    (r"the file has \d+", "the file has [sum]"),
];

#[track_caller]
fn looks(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    for (what, instead) in SCRUBBED {
        settings.add_filter(what, *instead);
    }
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("looks");
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

/// Standard output, and what was said beside it.
fn both(ran: &Ran) -> String {
    format!("{}--- standard error ---\n{}--- exit code {} ---\n", ran.out, ran.err, ran.code)
}

const BASE: &str = "create table patients (id int primary key, name text, email varchar(50));
alter table patients enable row level security;
create policy own on patients for select to authenticated using (id = 1);
insert into patients select g, 'name', 'mail' from generate_series(1, 2000) g;
";

/// A release with one of everything.
const RELEASE: &str = "-- what a release may hold
alter table patients add column born date not null default current_date, alter column email type text;
alter table patients add column token uuid default gen_random_uuid();
create index on patients (name);
create table notes (
  id int primary key,
  patient_id int references patients
);
create index on notes (patient_id);
drop policy own on patients;
create policy own on patients for select to authenticated using (true);
grant select on patients to anon;
grant select, insert on notes to authenticated;
alter table patients disable row level security;
create view names as select name from patients;
do $$ begin perform 1; end $$;
";

fn released() -> (Database, Project) {
    let database = Database::plain();
    let project = Project::new(&[("V1__patients.sql", BASE)]);
    database.migrate(&project, &[]).succeeded(&[]);
    database.run("VACUUM ANALYZE patients");
    project.write("V2__release.sql", RELEASE);
    project.write("V3__index.sql", "create index concurrently patients_born on patients (born);\n");
    (database, project)
}

#[test]
fn a_plan() {
    let (database, project) = released();
    let plan = database.migrate(&project, &["--plan"]);
    plan.succeeded(&[]);
    looks("plan", &plan.out);
    looks("plan_up_to", &database.migrate(&project, &["--plan", "--to", "2", "--format", "json"]).out);
    let holder = database.session();
    holder.run(&format!("SET application_name = 'other run'; SELECT pg_advisory_lock({KEY})"));
    let nothing = Project::new(&[("V1__patients.sql", BASE)]);
    looks("plan_nothing_to_do", &database.migrate(&nothing, &["--plan"]).out);
}

#[test]
fn a_plan_with_colours() {
    let (database, project) = released();
    let mut program = program("migrate", &database.url("postgres"), &project, &["--plan"]);
    let coloured = ran(program.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").output().unwrap());
    let wrote = |text: &str| coloured.out.contains(text);
    assert!(wrote("\x1b[1m\x1b[31mACCESS EXCLUSIVE"), "{}", coloured.out);
    looks("plan_with_colours", &coloured.out.replace('\x1b', "ESC"));
}

#[test]
fn a_status() {
    let (database, project) = released();
    looks("status", &run("status", &database.url("postgres"), &project, &[]).out);
    project.write("V1__patients.sql", "create table patients (id int)");
    database.run("INSERT INTO chartchek_meta.refinery_schema_history VALUES (4, 'lost', '2026-11-22T10:00:00Z', '1')");
    let holder = database.session();
    holder.run(&format!("SET application_name = 'other run'; SELECT pg_advisory_lock({KEY})"));
    looks("status_that_does_not_agree", &run("status", &database.url("postgres"), &project, &[]).out);
    looks("migrate_that_does_not_agree", &both(&database.migrate(&project, &[])));
}

#[test]
fn an_application() {
    let (database, project) = released();
    looks("migrate", &both(&database.migrate(&project, &["--to", "2"])));
    looks("migrate_the_rest", &both(&database.migrate(&project, &[])));
    looks("migrate_nothing_to_do", &both(&database.migrate(&project, &[])));
}

#[test]
fn a_file_that_fails() {
    let (database, project) = released();
    project.write("V3__index.sql", "create table visits (id int);\nalter table patiens add column x int;\n");
    project.write("V4__later.sql", "create table later (id int);\n");
    looks("migrate_that_fails", &both(&database.migrate(&project, &[])));
}

#[test]
fn a_wait_for_a_lock() {
    let (database, project) = released();
    let holder = database.session();
    holder.run(&format!("SET application_name = 'other run'; SELECT pg_advisory_lock({KEY})"));
    looks("wait_for_the_migration_lock", &both(&database.migrate(&project, &["--lock-wait", "2"])));
    holder.run(&format!("SELECT pg_advisory_unlock({KEY})"));
    let reader = database.session();
    reader.run("SET application_name = 'long reader'; BEGIN; SELECT * FROM patients");
    looks("wait_for_a_table", &both(&database.migrate(&project, &["--lock-wait", "1"])));
}

/// At a terminal the wait is one line that is written over, and gone at the end.
#[test]
fn a_wait_for_a_lock_at_a_terminal() {
    let (database, project) = released();
    let Ok(script) = Command::new("script").arg("--version").output() else {
        return crate::server::not_run(
            "looks::a_wait_for_a_lock_at_a_terminal",
            "the program `script` is not installed",
        );
    };
    assert!(script.status.success());
    let holder = database.session();
    holder.run(&format!("SELECT pg_advisory_lock({KEY})"));
    let mut inner = program("migrate", &database.url("postgres"), &project, &["--lock-wait", "2"]);
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap()))
        .collect();
    let settings: Vec<_> =
        inner.env("TERM", "xterm").get_envs().map(|(k, v)| (k.to_owned(), v.map(ToOwned::to_owned))).collect();
    let mut outer = Command::new("script");
    for (name, value) in settings {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let shown = ran(outer
        .args(["-q", "-e", "-c", &words.join(" "), "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap());
    assert_eq!(shown.code, 5, "{}", shown.out);
    let written = shown.out.matches("\r\x1b[K\x1b[?7lwaiting for the migration lock, held by pid").count();
    assert!(written >= 3, "written {written} times:\n{}", shown.out);
    let lines = shown.out.lines().filter(|line| line.contains("waiting for the migration lock")).count();
    assert_eq!(lines, 1, "{}", shown.out);
    assert!(shown.out.contains("\r\x1b[K\x1b[?7l\x1b[?7herror: "), "the line is not taken away: {:?}", shown.out);
}
