//! Many at once, holders that hang, and tables that are busy.

use crate::killed::until;
use crate::server::{Database, KEY, Project, program, ran, run};
use std::time::{Duration, Instant};

#[test]
fn eight_at_once_on_an_empty_database_apply_each_file_once() {
    let database = Database::supabase();
    let project = Project::new(&[
        ("V1__a.sql", "create table runs (file int, pid int); insert into runs values (1, pg_backend_pid())"),
        ("V2__b.sql", "insert into runs values (2, pg_backend_pid()); select pg_sleep(0.2)"),
        ("V3__c.sql", "insert into runs values (3, pg_backend_pid())"),
    ]);
    let url = database.url("postgres");
    let started: Vec<_> = (0..8).map(|_| program("migrate", &url, &project, &[]).spawn().unwrap()).collect();
    let all: Vec<_> = started.into_iter().map(|child| ran(child.wait_with_output().unwrap())).collect();
    for one in &all {
        one.succeeded(&[]);
    }
    assert_eq!(all.iter().filter(|one| one.out.contains("3 applied in")).count(), 1);
    assert_eq!(database.text("SELECT string_agg(file::text, ',' ORDER BY file) FROM runs"), "1,2,3");
    assert_eq!(database.text("SELECT count(DISTINCT pid) FROM runs"), "1");
}

#[test]
fn a_holder_is_named_and_can_be_ended() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    let holder = database.session();
    holder.run(&format!("SET application_name = 'forgotten'; SELECT pg_advisory_lock({KEY})"));
    let pid = database.text("SELECT pid FROM pg_stat_activity WHERE application_name = 'forgotten'");
    let end = format!("select pg_terminate_backend({pid});");
    let started = Instant::now();
    database
        .migrate(&project, &["--lock-wait", "1"])
        .failed(5, &[&format!("pid {pid} (forgotten, idle"), &end, "--lock-wait"]);
    assert!(started.elapsed() >= Duration::from_secs(1));
    database.migrate(&project, &["--lock-wait", "0"]).failed(5, &[&end]);
    assert_eq!(database.contents(), "");
    // One that waits gets on as soon as the holder is killed.
    let waiting = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    database.text(&format!("SELECT pg_terminate_backend({pid})"));
    let waited = ran(waiting.wait_with_output().unwrap());
    waited.succeeded(&["1 applied"]);
    assert!(waited.err.contains("waiting for the migration lock, held by pid"), "{}", waited.err);
}

#[test]
fn a_killed_or_interrupted_migration_ends_at_the_server_too() {
    let database = Database::plain();
    database.run("CREATE TABLE patience (seconds int); INSERT INTO patience VALUES (60)");
    let project = Project::new(&[(
        "V1__a.sql",
        "create table a (i int); select pg_sleep(coalesce((select seconds from patience), 0));",
    )]);
    let url = database.url("postgres");
    let mut child = program("migrate", &url, &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    child.kill().unwrap();
    child.wait().unwrap();
    let child = program("migrate", &url, &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let interrupted = ran(child.wait_with_output().unwrap());
    assert_eq!(interrupted.code, 130, "{}", interrupted.err);
    database.run("DELETE FROM patience");
    let started = Instant::now();
    database.migrate(&project, &["--lock-wait", "20"]).succeeded(&["1 applied"]);
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_busy_table_is_tried_again_and_then_told() {
    let database = Database::plain();
    database.run("CREATE TABLE busy (i int); CREATE TABLE idle (i int)");
    let project = Project::new(&[("V1__a.sql", "create table a (i int);\nalter table busy add j int;")]);
    let reader = database.session();
    reader.run("SET application_name = 'long reader'; BEGIN");
    reader.run("SELECT * FROM busy WHERE 'Jane' = ''");
    let bystander = database.session();
    bystander.run("SET application_name = 'bystander'; BEGIN; SELECT * FROM idle");
    let told = database.migrate(&project, &["--lock-wait", "2"]);
    told.failed(5, &["V1__a.sql:2:1", "55P03", "blocked by: pid", "long reader, idle in transaction"]);
    told.failed(5, &["query: SELECT * FROM busy WHERE …)", "select pg_terminate_backend("]);
    assert!(!told.err.contains("Jane"), "{}", told.err);
    assert!(!told.err.contains("bystander"), "{}", told.err);
    assert_eq!(database.contents(), "relation busy\nrelation idle");
    let waiting = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(3500));
    reader.run("COMMIT");
    let waited = ran(waiting.wait_with_output().unwrap());
    waited.succeeded(&["1 applied"]);
    assert!(waited.err.contains("did not get a table's lock (try 1), because of pid"), "{}", waited.err);
}

/// The client waits first, so it would be the first to look for a deadlock: the try must have ended by then.
#[test]
fn a_client_is_never_the_one_that_a_deadlock_ends() {
    let database = Database::plain();
    database.run("CREATE TABLE one (i int); CREATE TABLE two (i int)");
    let text = "alter table one add j int; select pg_sleep(0.1); alter table two add j int";
    let project = Project::new(&[("V1__both.sql", text)]);
    let client = database.session();
    client.run("SET application_name = 'client'; BEGIN; INSERT INTO two VALUES (1)");
    let migrate = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
    let held =
        "SELECT count(*) FROM pg_locks WHERE relation = 'one'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    until(&database, held, "1");
    // 40P01 would end the test here.
    client.run("INSERT INTO one (i) VALUES (1)");
    client.run("COMMIT");
    let ran = ran(migrate.wait_with_output().unwrap());
    ran.succeeded(&["1 applied"]);
    assert!(ran.err.contains("because of pid") && ran.err.contains("client"), "{}", ran.err);
}

#[test]
fn blockers_are_the_servers_word_and_a_guess_only_without_a_second_connection() {
    let database = Database::plain();
    database.run(
        "CREATE ROLE solo LOGIN; GRANT CREATE ON DATABASE d TO solo; CREATE TABLE busy (i int); ALTER TABLE busy OWNER TO solo"
            .replace("DATABASE d ", &format!("DATABASE {} ", database.name))
            .as_str(),
    );
    // No table's name stands in the statement, and both hold locks: only the server can tell who is in the way.
    let block = "do $$ begin execute format('alter table %s add j int', 'bu' || 'sy'); end $$";
    let project = Project::new(&[("V1__a.sql", block)]);
    let bystander = database.session();
    bystander.run("SET application_name = 'bystander'; BEGIN; CREATE TABLE idle (i int)");
    let reader = database.session();
    reader.run("SET application_name = 'long reader'; BEGIN; SELECT * FROM busy");
    let pid = database.text("SELECT pid FROM pg_stat_activity WHERE application_name = 'long reader'");
    let url = database.url("solo");
    let told = run("migrate", &url, &project, &["--lock-wait", "1"]);
    told.failed(5, &["55P03", &format!("blocked by: pid {pid} ("), &format!("select pg_terminate_backend({pid});")]);
    assert!(!told.err.contains("bystander"), "{}", told.err);
    database.run("ALTER ROLE solo CONNECTION LIMIT 1");
    let told = run("migrate", &url, &project, &["--lock-wait", "1"]);
    told.failed(5, &["55P03", &format!("holds locks on tables: pid {pid}")]);
    assert!(!told.err.contains("blocked by"), "{}", told.err);
    // A prepared transaction has no session that could be ended.
    drop(reader);
    database.run("ALTER ROLE solo CONNECTION LIMIT -1");
    if database.text("SHOW max_prepared_transactions") != "0" {
        database.run("BEGIN; SELECT * FROM busy; PREPARE TRANSACTION 'kept'");
        let told = run("migrate", &url, &project, &["--lock-wait", "1"]);
        told.failed(5, &["blocked by: a prepared transaction", "rollback prepared"]);
        database.run("ROLLBACK PREPARED 'kept'");
    }
    run("migrate", &url, &project, &[]).succeeded(&["1 applied"]);
    drop(bystander);
}

#[test]
fn an_index_waits_for_an_open_transaction_without_a_timeout() {
    let database = Database::plain();
    database.run("CREATE TABLE t (a int); CREATE TABLE other (a int)");
    let project =
        Project::new(&[("V1__i.sql", "create index concurrently i on t (a)"), ("V2__b.sql", "create table b (i int)")]);
    let writer = database.session();
    writer.run("BEGIN; INSERT INTO t VALUES (1)");
    let url = database.url("postgres");
    let first = program("migrate", &url, &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // A second one waits for the first without being waited for in turn.
    let second = program("migrate", &url, &project, &[]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(4000));
    writer.run("COMMIT");
    let first = ran(first.wait_with_output().unwrap());
    first.succeeded(&["2 applied"]);
    assert!(first.err.contains("V1__i.sql waits for pid"), "{}", first.err);
    assert!(first.err.contains("idle in transaction") && first.err.contains("pg_terminate_backend("), "{}", first.err);
    ran(second.wait_with_output().unwrap()).succeeded(&["nothing to do"]);
    assert_eq!(database.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
}
