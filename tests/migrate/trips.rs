//! How often the program waits for the server, counted at a proxy that makes every answer late.

use crate::proxy::Proxy;
use crate::server::{Database, Project, run};
use std::time::Duration;

/// The round trips of one `migrate`, its login left out.
fn proxied(database: &Database, project: &Project) -> usize {
    let proxy = Proxy::start(database.folder().join(".s.PGSQL.5432"), Duration::from_millis(30));
    let url = format!("host=127.0.0.1 port={} sslmode=disable user=postgres dbname={}", proxy.port, database.name);
    run("migrate", &url, project, &[]).succeeded(&[]);
    let counts = proxy.finish();
    assert_eq!(counts.connections, 1);
    counts.trips - 1
}

#[test]
fn nothing_to_do_is_one_round_trip_and_a_file_is_one_more() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    // Look, lock and look again, the file, give the lock back.
    assert_eq!(proxied(&database, &project), 4);
    assert_eq!(proxied(&database, &project), 1);
    for version in 2..=6 {
        project.write(&format!("V{version}__x.sql"), &format!("create table x{version} (i int)"));
    }
    assert_eq!(proxied(&database, &project), 3 + 5);
}

#[test]
fn a_history_that_refinery_cli_began_costs_one_round_trip_more_a_look() {
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    database.migrate(&project, &[]).succeeded(&[]);
    // Where refinery_cli keeps it.
    database.run("ALTER TABLE chartchek_meta.refinery_schema_history SET SCHEMA public; DROP SCHEMA chartchek_meta");
    assert_eq!(proxied(&database, &project), 2);
    project.write("V2__b.sql", "create table b (i int)");
    assert_eq!(proxied(&database, &project), 4 + 2);
    assert_eq!(database.text("SELECT string_agg(version::text, ',') FROM public.refinery_schema_history"), "1,2");
    assert_eq!(database.text("SELECT to_regnamespace('chartchek_meta') IS NULL"), "t");
}
