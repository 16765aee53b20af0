//! verify-rls on a healthy project as Supabase hosts it, as its migrator: not a word too much, nothing that waits for
//! others, no DDL, and its rows are not taken for the verification's own.

use crate::cluster::{Cluster, program};
use crate::project::{Project, binary, count, report};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The application's schema and the development data, beside everything that Supabase brings along.
fn hosted(regime: &str) -> Cluster {
    let server = Cluster::start();
    let up = binary().args(["dev", "up", "--regime", regime, "--database-url", &server.url()]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    server.sql(include_str!("supabase.sql"));
    // Whoever tries DDL from here on is told so.
    server.sql(
        "CREATE FUNCTION public.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'DDL on a target: %', tg_tag; END $$;
         REVOKE ALL ON FUNCTION public.no_ddl() FROM PUBLIC, anon, authenticated, service_role;
         CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION public.no_ddl()",
    );
    server
}

/// Somebody who has changed every row there is and has not committed yet.
struct Busy(Child);

impl Busy {
    fn start(server: &Cluster) -> Self {
        let names = server.sql(
            "SELECT format('UPDATE %I.%I SET %3$I = %3$I;', n.nspname, c.relname, a.attname)
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN LATERAL (
                 SELECT a.attname FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                   AND a.attgenerated = '' AND a.attidentity = ''
                   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::int2[]))
                 LIMIT 1
             ) a ON true
             WHERE c.relkind = 'r' AND n.nspname IN ('public', 'auth', 'storage', 'realtime', 'vault', 'cron', 'net')",
        );
        assert!(names.lines().count() > 10, "{names}");
        let mut psql = Command::new(program("psql"));
        let folder = server.folder();
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-h"]).arg(folder);
        psql.args(["-p", &server.port.to_string(), "-c", &format!("BEGIN; {names} SELECT pg_sleep(3600)")]);
        let busy = Self(psql.stdout(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'").trim() != "1" {
            assert!(Instant::now() < deadline, "nobody is busy");
            std::thread::sleep(Duration::from_millis(20));
        }
        busy
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// One run as the migrator, while somebody is at work on the same rows.
fn verified(regime: &str) -> Value {
    let server = hosted(regime);
    let before = server.dump();
    let busy = Busy::start(&server);
    let url = server.url_as("migrator");
    let (code, report) = report(&Project::copy().run(&["verify-rls", "--format", "json", "--database-url", &url]));
    drop(busy);
    let attempts = report["attempts"].as_array().unwrap().iter();
    let unclear: Vec<&Value> =
        attempts.filter(|attempt| attempt["verdict"] != "held").take(20).map(|a| &a["id"]).collect();
    assert_eq!(
        code, 0,
        "{regime}: {}\n{}\n{}\n{unclear:#?}",
        report["summary"], report["findings"], report["inconclusive_probes"]
    );
    assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{}", report["findings"]);
    for none in ["leak", "over_denial", "inconclusive", "not_run"] {
        assert_eq!(count(&report, none), 0, "{regime}: {none}: {}\n{}", report["summary"], report["not_run"]);
    }
    assert!(before == server.dump(), "{regime}: the database is not what it was");
    report
}

/// What stands in a list of the report.
fn texts(report: &Value, list: &str, word: &str) -> Vec<String> {
    report[list].as_array().unwrap().iter().map(|one| one[word].as_str().unwrap().to_owned()).collect()
}

#[test]
fn quiet_on_the_healthy() {
    let report = verified("explicit");
    // What Supabase opens by itself is named, and why it is let pass.
    let accepted = texts(&report, "accepted", "id");
    for id in ["beyond-tables/net._http_response", "beyond-tables/supabase_functions.hooks"] {
        assert!(accepted.iter().any(|known| known == id), "{accepted:?}");
    }
    let not_tried = texts(&report, "not_tried", "what");
    assert!(not_tried.iter().any(|what| what.contains("GraphQL")), "{not_tried:?}");
}

#[test]
fn quiet_on_the_healthy_with_the_default_privileges_of_old() {
    let report = verified("legacy");
    let accepted = texts(&report, "accepted", "id");
    assert!(accepted.iter().any(|id| id.starts_with("default-privilege/")), "{accepted:?}");
}
