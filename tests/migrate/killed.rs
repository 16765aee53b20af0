//! The connection is cut behind every message of a whole `migrate`, and the program is killed at any time: the next run
//! ends where an undisturbed one does.

use crate::cut::{Cut, From, Proxy};
use crate::server::{Database, KEY, Project, Ran, program, ran, run, runtime};
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::schema::facts::{self, Scope};
use rand::Rng;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What people write: tables, rows that must not come twice, a block, settings, an index that needs no lock.
fn project() -> Project {
    Project::new(&[
        (
            "V1__t.sql",
            "create table t (a int not null, b text); insert into t select i, 'x' from generate_series(1, 50) i",
        ),
        ("V2__rows.sql", "insert into t values (100, 'once'); alter table t add column c int default 7"),
        ("V3__i.sql", "create index concurrently i on t (a, b)"),
        (
            "V4__block.sql",
            "do $$ begin for n in 1..3 loop execute format('create table p%s (a int)', n); end loop; end $$;\n\
             set local search_path = pg_temp; create view public.v as select 1 as one",
        ),
        (
            "V5__last.sql",
            "update t set b = b || '!'; grant select on t to anon; alter table t enable row level security",
        ),
    ])
}

/// What a database holds: the catalogue as `drift` compares it, the history, and the rows of table t.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) catalogue: BTreeMap<facts::Key, facts::Object>,
    rows: String,
}

pub(crate) fn state(database: &Database) -> State {
    let scope = Scope {
        schemas: ["public", "chartchek_meta", "chartchek_private"].map(str::to_owned).to_vec(),
        roles: ["anon", "authenticated", "service_role"].map(str::to_owned).to_vec(),
        major: 15,
    };
    let conninfo = Conninfo::parse(&database.url("postgres")).unwrap();
    let catalogue = runtime().block_on(async {
        let session = connect(&conninfo).await.unwrap();
        let mut read = facts::read(&session, &scope).await.unwrap();
        session.close().await;
        // Roles are the whole server's: other tests make some meanwhile.
        read.objects.retain(|(kind, _), _| !["role", "membership", "setting"].contains(&kind.as_str()));
        read.objects
    });
    let mut rows = database.text(
        "SELECT version || ' ' || name || ' ' || checksum FROM chartchek_meta.refinery_schema_history ORDER BY version",
    );
    if catalogue.contains_key(&("table".to_owned(), "public.t".to_owned())) {
        rows.push_str(&database.text("SELECT t::text FROM t ORDER BY 1"));
    }
    State { catalogue, rows }
}

/// Runs again until it is done, mending what a cut off CREATE INDEX CONCURRENTLY left; gives whether that was needed.
#[track_caller]
fn finished(database: &Database, project: &Project, after: &str) -> bool {
    let next = database.migrate(project, &["--lock-wait", "30"]);
    if next.code == 0 {
        return false;
    }
    assert_eq!(next.code, 6, "{after}: {}{}", next.out, next.err);
    assert!(next.err.contains("--mend") && next.err.contains("V3__i.sql"), "{after}: {}", next.err);
    database.migrate(project, &["--lock-wait", "30", "--mend"]).succeeded(&["mended   V3__i.sql"]);
    true
}

/// What a disturbed run may say: that it was done, or that the connection is gone.
#[track_caller]
fn told(ran: &Ran, after: &str) {
    assert!([0, 4].contains(&ran.code), "{after}: {} {}{}", ran.code, ran.out, ran.err);
    assert!(ran.code == 0 || ran.err.contains("error:"), "{after}: {}", ran.err);
    assert!(!ran.err.contains("panicked"), "{after}: {}", ran.err);
}

/// Cuts behind each of `cuts`, a few at a time, each in a database of its own; gives how many needed `--mend`.
fn cut_behind(cuts: &[Cut], project: &Project, empty: &Database, expected: &State) -> usize {
    let (next, mended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let after = format!("{cut:?}");
                    let database = Database::copy(empty);
                    let proxy = Proxy::start(database.folder(), Some(*cut));
                    let url = format!("host={} user=postgres dbname={}", proxy.folder().display(), database.name);
                    told(&run("migrate", &url, project, &[]), &after);
                    assert!(proxy.has_cut(), "{after}: there was no such message");
                    if finished(&database, project, &after) {
                        mended.fetch_add(1, Ordering::SeqCst);
                    }
                    assert_eq!(state(&database), *expected, "{after}");
                    database.remove();
                }
            });
        }
    });
    mended.into_inner()
}

/// What an undisturbed run makes, and how many messages it takes from client and server.
fn undisturbed(project: &Project, empty: &Database) -> (State, usize, usize) {
    let database = Database::copy(empty);
    let proxy = Proxy::start(database.folder(), None);
    let url = format!("host={} user=postgres dbname={}", proxy.folder().display(), database.name);
    run("migrate", &url, project, &[]).succeeded(&["applied in"]);
    (state(&database), proxy.count(From::Client), proxy.count(From::Server))
}

fn each(from: From, count: usize, step: usize) -> Vec<Cut> {
    (1..=count).step_by(step).map(|after| Cut { from, after }).collect()
}

#[test]
fn cut_behind_every_message_of_either_side() {
    let (project, empty) = (project(), Database::plain());
    let (expected, client, server) = undisturbed(&project, &empty);
    assert!(expected.catalogue.len() > 15 && expected.rows.contains("(100,once!,7)"), "{expected:?}");
    assert!(client > 10 && server > 40, "{client} {server}");
    // Terminate, the client's last message, is not counted on: the server may have closed first.
    let cuts = [each(From::Client, client - 1, 1), each(From::Server, server, 1)].concat();
    let mended = cut_behind(&cuts, &project, &empty, &expected);
    eprintln!("cut behind {} messages; {mended} needed --mend", cuts.len());
    // The cut behind the index's own message, and those before its line in the history.
    assert!(mended > 0, "no cut came between the index and its line in the history");
}

#[test]
fn cut_behind_messages_of_the_own_migrations() {
    let (project, empty) = (Project::own(), Database::supabase());
    let (expected, client, server) = undisturbed(&project, &empty);
    // Of the server's hundreds every 11th: they all stand between two messages of the client.
    let cuts = [each(From::Client, client - 1, 1), each(From::Server, server, 11)].concat();
    assert_eq!(cut_behind(&cuts, &project, &empty, &expected), 0);
    eprintln!("cut behind {} messages of {client} and {server}", cuts.len());
}

#[test]
fn killed_at_random_times() {
    let (project, empty) = (project(), Database::plain());
    let started = Instant::now();
    let (expected, ..) = undisturbed(&project, &empty);
    let whole = started.elapsed();
    let mut random = rand::rng();
    for round in 0..16 {
        let wait = whole.mul_f64(random.random_range(0.0..1.0));
        let after = format!("round {round}, killed after {wait:?} of {whole:?}");
        let database = Database::copy(&empty);
        let mut child = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        finished(&database, &project, &after);
        assert_eq!(state(&database), expected, "{after}");
        database.remove();
    }
}

/// The project's only file sleeps for a minute; with CREATE INDEX CONCURRENTLY it waits for a transaction that stays open.
#[test]
fn a_dead_clients_lock_is_free_within_seconds() {
    let held = format!("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {KEY} & 4294967295");
    let of_database = format!("{held} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())");
    for text in ["create table a (i int); select pg_sleep(60)", "create index concurrently i on t (a)"] {
        let database = Database::plain();
        database.run("CREATE TABLE t (a int)");
        let writer = database.session();
        writer.run("BEGIN; INSERT INTO t VALUES (1)");
        let project = Project::new(&[("V1__x.sql", text)]);
        let mut child = program("migrate", &database.url("postgres"), &project, &[]).spawn().unwrap();
        let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
                       AND wait_event IN ('PgSleep', 'virtualxid')";
        until(&database, running, "1");
        assert_eq!(database.text(&of_database), "1");
        child.kill().unwrap();
        child.wait().unwrap();
        until(&database, &of_database, "0");
        drop(writer);
        let recorded = "SELECT count(*) FROM pg_class WHERE relname = 'a'";
        assert_eq!(database.text(recorded), "0", "{text}");
    }
}

/// Waits at most ten seconds.
#[track_caller]
pub(crate) fn until(database: &Database, sql: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.text(sql) != expected {
        assert!(Instant::now() < deadline, "{sql} is {}, not {expected}", database.text(sql));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Negative control: a history that forgets a file lets it run twice, and that is seen.
#[test]
fn a_file_applied_twice_is_seen() {
    let (project, empty) = (project(), Database::plain());
    let (expected, ..) = undisturbed(&project, &empty);
    let database = Database::copy(&empty);
    let short =
        Project::new(&[("V1__t.sql", &project.read("V1__t.sql")), ("V2__rows.sql", &project.read("V2__rows.sql"))]);
    database.migrate(&short, &[]).succeeded(&["2 applied"]);
    database.run("INSERT INTO t VALUES (100, 'once')");
    ran(program("migrate", &database.url("postgres"), &project, &[]).output().unwrap()).succeeded(&["3 applied"]);
    assert_ne!(state(&database), expected);
}
