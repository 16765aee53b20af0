//! verify-rls on a healthy project as Supabase hosts it, as its migrator: not a word too much, nothing that waits for
//! others, no DDL, and its rows are not taken for the verification's own.

use crate::cluster::{Cluster, program};
use crate::project::{Project, binary, count, report};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The application's schema and the development data, beside everything that Supabase brings along.
fn hosted(regime: &str, more: &str) -> Cluster {
    let server = Cluster::start();
    let up = binary().args(["dev", "up", "--regime", regime, "--database-url", &server.url()]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    server.sql(include_str!("supabase.sql"));
    server.sql(more);
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

/// One run as the migrator, while somebody is at work on the same rows; of a project that exposes GraphQL too, or not.
fn verified(regime: &str, graphql: bool) -> Value {
    let server = hosted(regime, "");
    let project = Project::copy();
    if graphql {
        server.sql("ALTER ROLE authenticator SET pgrst.db_schemas = 'public, graphql_public'");
        let path = project.path("policies/access.toml");
        let contract = std::fs::read_to_string(&path).unwrap();
        assert!(contract.contains("[\"public\"]"), "{contract}");
        std::fs::write(path, contract.replacen("[\"public\"]", "[\"public\", \"graphql_public\"]", 1)).unwrap();
    }
    let before = server.dump();
    let busy = Busy::start(&server);
    let url = server.url_as("migrator");
    let (code, report) = report(&project.run(&["verify-rls", "--format", "json", "--database-url", &url]));
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
    let report = verified("explicit", false);
    // What Supabase opens by itself is named, and why it is let pass.
    let accepted = texts(&report, "accepted", "id");
    for name in ["net._http_response", "supabase_functions.hooks", "realtime.subscription"] {
        let id = format!("beyond-tables/{name}");
        assert!(accepted.contains(&id), "{accepted:?}");
    }
    let not_tried = texts(&report, "not_tried", "what");
    assert!(not_tried.iter().any(|what| what.contains("GraphQL")), "{not_tried:?}");
}

#[test]
fn quiet_on_the_healthy_with_the_default_privileges_of_old() {
    let report = verified("legacy", true);
    let accepted = texts(&report, "accepted", "id");
    assert!(accepted.iter().any(|id| id.starts_with("default-privilege/")), "{accepted:?}");
}

/// As quiet as it is on the healthy, it is not blind there.
#[test]
fn a_fault_in_each_part_of_supabase_is_noticed() {
    let server = hosted(
        "explicit",
        "DROP POLICY scans ON storage.objects;
         CREATE POLICY scans ON storage.objects TO authenticated USING (bucket_id = 'scans');
         CREATE POLICY listen ON realtime.messages FOR SELECT TO authenticated USING (true);
         CREATE POLICY sessions ON auth.sessions FOR SELECT TO authenticated USING (true);
         GRANT SELECT ON auth.sessions TO authenticated;
         GRANT USAGE ON SCHEMA vault, pgmq, pgbouncer, cron TO authenticated;
         GRANT SELECT ON vault.decrypted_secrets TO authenticated;
         CREATE POLICY letters ON pgmq.q_letters USING (true);
         GRANT SELECT ON pgmq.q_letters TO authenticated;
         REVOKE EXECUTE ON FUNCTION pgmq.send(text, jsonb) FROM PUBLIC;
         GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO authenticated;
         ALTER FUNCTION graphql_public.graphql(text, text, jsonb, jsonb) SECURITY DEFINER",
    );
    let url = server.url_as("migrator");
    let (code, report) = report(&Project::copy().run(&["verify-rls", "--format", "json", "--database-url", &url]));
    assert_eq!(code, 1, "{}", report["summary"]);
    let named = |finding: &Value| format!("{}/{}", finding["check"], finding["object"]).replace('"', "");
    let found: BTreeSet<String> = report["findings"].as_array().unwrap().iter().map(named).collect();
    let expected = [
        "storage/bucket scans",
        "beyond-tables/realtime.messages",
        "beyond-tables/auth.sessions",
        "beyond-tables/vault.decrypted_secrets",
        "beyond-tables/pgmq.q_letters",
        "beyond-tables/function pgbouncer.get_auth",
        "beyond-tables/function cron.schedule",
        "beyond-tables/function graphql_public.graphql",
    ];
    assert_eq!(found, expected.map(str::to_owned).into(), "{}", report["findings"]);
}
