//! Scratch databases of both engines: made like Supabase, filled, disposable.

mod support;

use chartchek_db::db::connect::connect;
use chartchek_db::db::session::Session;
use chartchek_db::model::failure::Failure;
use chartchek_db::server::local::{self, Access, Account, Cluster};
use chartchek_db::server::{EngineChoice, Regime, Scratch, scratch};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{one, sqlstate};

const ENGINES: &[EngineChoice] = &[EngineChoice::Local, EngineChoice::Embedded];

async fn fill(session: &mut Session) -> Result<(), Failure> {
    let sql = "CREATE TABLE public.filled (id int PRIMARY KEY); INSERT INTO public.filled VALUES (1), (2)";
    session.batch(sql).await.map_err(|error| error.into_failure("fill"))
}

async fn make(engine: EngineChoice, key: &str) -> Scratch {
    scratch(engine, Regime::Explicit, key, fill).await.unwrap_or_else(|failure| panic!("{engine}: {failure:?}"))
}

#[tokio::test]
async fn a_scratch_database_is_filled_and_disposable() {
    for &engine in ENGINES {
        let first = make(engine, "disposable").await;
        let session = first.connect().await.unwrap();
        assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2", "{engine}");
        session.batch("DELETE FROM filled").await.unwrap();
        session.close().await;
        let second = make(engine, "disposable").await;
        let session = second.connect().await.unwrap();
        assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2", "{engine}: what one did reached another");
        // A session that is still open does not keep a database alive, nor a drop waiting.
        let start = Instant::now();
        drop(second);
        assert!(start.elapsed() < Duration::from_secs(5), "{engine}: {:?}", start.elapsed());
        assert!(session.batch("SELECT 1; SELECT pg_sleep(0)").await.is_err() || engine == EngineChoice::Embedded);
        drop(first);
    }
}

#[tokio::test]
async fn sessions_are_the_migrators() {
    for &engine in ENGINES {
        let scratch = make(engine, "migrator").await;
        let session = scratch.connect().await.unwrap();
        for (sql, expected) in [
            ("SELECT session_user || ' ' || current_user", "migrator migrator"),
            ("SELECT rolsuper::text || rolbypassrls::text FROM pg_roles WHERE rolname = session_user", "falsetrue"),
            ("SHOW search_path", "\"$user\", public, extensions"),
            ("SELECT tableowner FROM pg_tables WHERE tablename = 'filled'", "migrator"),
        ] {
            assert_eq!(one(&session, sql).await, expected, "{engine}: {sql}");
        }
        // RESET ROLE is the way back that SET ROLE alone would leave open.
        session.batch("SET ROLE anon; RESET ROLE").await.unwrap();
        assert_eq!(one(&session, "SELECT current_user").await, "migrator", "{engine}");
        assert_eq!(sqlstate(&session, "CREATE TABLE auth.mine (id int)").await, "42501", "{engine}");
        session.close().await;
        let superuser = scratch.connect_superuser().await.unwrap();
        assert_eq!(one(&superuser, "SHOW is_superuser").await, "on", "{engine}");
        superuser.close().await;
    }
}

#[tokio::test]
async fn the_projects_migrations_run_under_both_regimes_and_the_data_are_idempotent() {
    for &engine in ENGINES {
        for &regime in Regime::ALL {
            let scratch = scratch(engine, regime, "migrations-of-the-test", support::migrate)
                .await
                .unwrap_or_else(|failure| panic!("{engine} {regime}: {failure:?}"));
            let session = scratch.connect().await.unwrap();
            let development = support::development();
            session.batch(&development).await.unwrap_or_else(|error| panic!("{engine}: {error}"));
            let before = contents(&session).await;
            session.batch(&development).await.unwrap_or_else(|error| panic!("{engine}, again: {error}"));
            assert_eq!(contents(&session).await, before, "{engine}: a second run changed something");
            session.close().await;
        }
    }
}

/// One hash over all rows of all tables, auth.users included.
async fn contents(session: &Session) -> String {
    let tables = session
        .text_rows("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'auth') ORDER BY 1")
        .await
        .unwrap();
    let mut all = String::new();
    for table in tables.into_iter().flatten().flatten() {
        let sql = format!("SELECT count(*) || ' ' || md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t");
        all += &format!("{table} {}\n", one(session, &sql).await);
    }
    all
}

#[tokio::test]
async fn fill_runs_once_for_a_key_on_the_local_engine() {
    let key = format!("once-{}", uuid::Uuid::new_v4());
    drop(make(EngineChoice::Local, &key).await);
    let again =
        scratch(EngineChoice::Local, Regime::Explicit, &key, async |_: &mut Session| panic!("the template was there"))
            .await
            .unwrap();
    let session = again.connect().await.unwrap();
    assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2");
    // Another regime is another template.
    let other = scratch(EngineChoice::Local, Regime::Legacy, &key, async |_: &mut Session| Ok(())).await.unwrap();
    let session = other.connect().await.unwrap();
    assert_eq!(one(&session, "SELECT to_regclass('public.filled')").await, "NULL");
}

#[tokio::test]
async fn a_fill_that_fails_leaves_no_template() {
    for &engine in ENGINES {
        let key = format!("fails-{}", uuid::Uuid::new_v4());
        let fails = async |_: &mut Session| Err(Failure::usage("planted"));
        let failure = scratch(engine, Regime::Explicit, &key, fails).await.unwrap_err();
        assert_eq!(failure.what(), "planted", "{engine}");
        let scratch = make(engine, &key).await;
        let session = scratch.connect().await.unwrap();
        assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2", "{engine}");
        session.close().await;
    }
}

#[tokio::test]
async fn many_at_once_on_the_local_engine() {
    let made = futures::future::join_all((0..6).map(|_| make(EngineChoice::Local, "many"))).await;
    for scratch in &made {
        let session = scratch.connect().await.unwrap();
        assert_eq!(one(&session, "SELECT count(*) FROM filled").await, "2");
    }
}

#[tokio::test]
async fn a_second_connection_to_the_embedded_engine_is_refused_and_does_not_hang() {
    let scratch = make(EngineChoice::Embedded, "one").await;
    assert_eq!(scratch.max_sessions(), 1);
    let first = scratch.connect().await.unwrap();
    let failure = scratch.connect().await.unwrap_err();
    assert!(failure.what().contains("one connection at a time"), "{failure}");
    first.close().await;
    scratch.connect().await.unwrap().close().await;
}

#[tokio::test]
async fn the_embedded_engine_refuses_functions_that_catch_exceptions() {
    let catching = async |session: &mut Session| {
        let sql = "CREATE FUNCTION public.catches() RETURNS void LANGUAGE plpgsql AS \
                   $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$";
        session.batch(sql).await.map_err(|error| error.into_failure("fill"))
    };
    let failure = scratch(EngineChoice::Embedded, Regime::Explicit, "", catching).await.unwrap_err();
    assert!(failure.notes().iter().any(|note| note.contains("catches()")), "{failure:?}");
    assert!(failure.helps().iter().any(|help| help.contains("--engine local")), "{failure:?}");
}

#[tokio::test]
async fn what_a_killed_process_leaves_is_dropped_by_the_next_and_the_last_stops_the_server() {
    // A cache of its own: elsewhere other processes may be using the server at this moment.
    let cache = tempfile::tempdir().unwrap();
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut verify = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    verify.args(["verify-rls", "--engine", "local"]).env("CHARTCHEK_DB_CACHE", cache.path());
    verify.current_dir(support::project()).stdout(Stdio::null()).stderr(Stdio::null());

    let mut killed = verify.spawn().unwrap();
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'scratch\\_%'";
    let start = Instant::now();
    let cluster = loop {
        assert!(start.elapsed() < Duration::from_secs(60), "no scratch database was made");
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Some(folder) = fs::read_dir(cache.path()).unwrap().next() else { continue };
        let installation = local::find_or_fail().unwrap();
        let cluster = Cluster::new(installation, Account::current().unwrap(), folder.unwrap().path(), Access::Private);
        let Ok(session) = connect(&cluster.conninfo("postgres", "postgres")).await else { continue };
        if one(&session, left).await == "1" {
            break cluster;
        }
    };
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(cluster.is_running());
    let session = connect(&cluster.conninfo("postgres", "postgres")).await.unwrap();
    assert_eq!(one(&session, left).await, "1", "nothing was left: this test could not fail");
    let clearings = "SELECT vacuum_count::text FROM pg_stat_sys_tables WHERE relname = 'pg_shdepend'";
    let cleared = one(&session, clearings).await;
    session.close().await;

    assert!(verify.status().unwrap().success());
    assert!(!cluster.is_running(), "the last process left the server running");
    let session = cluster.ready().await.unwrap();
    assert_eq!(one(&session, left).await, "0");
    // It was alone when it came, and cleared what databases had left in the catalogues that all share.
    assert_ne!(one(&session, clearings).await, cleared);
    session.close().await;
    cluster.stop();
}
