//! Through a real pgbouncer in transaction mode the migration lock protects nothing: that is noticed by behaviour.

use crate::server::{Database, KEY, Project, rows, run, serve};
use std::io::Write;

/// Says that a test did not run, to people and to the file that the test script counts from.
pub(crate) fn not_run(test: &str, why: &str) {
    eprintln!("NOT RUN: {test}: {why}");
    if let Some(path) = std::env::var_os("CHARTCHEK_DB_TESTS_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}\t{why}").unwrap();
    }
}

#[test]
fn a_transaction_pooler_is_noticed() {
    let test = "pooler::a_transaction_pooler_is_noticed";
    let Some(program) = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file())
    else {
        return not_run(test, "pgbouncer is not installed");
    };
    let database = Database::plain();
    let project = Project::new(&[("V1__a.sql", "create table a (i int)")]);
    let settings = |mode: &str| {
        format!(
            "[databases]\n* = user=postgres host={}\n[pgbouncer]\nlisten_addr =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = 1\n",
            database.folder().display()
        )
    };
    let pooled = serve(program, &settings("transaction"));
    let url = pooled.url("postgres", &database.name);
    // A client took the lock and is gone; the backend that holds it for him serves the next one.
    rows(&url, &format!("SELECT pg_advisory_lock({KEY})")).unwrap();
    run("migrate", &url, &project, &[]).failed(4, &["a transaction pooler stands between", "session mode"]);
    assert_eq!(database.contents(), "");
    drop(pooled);
    let pooled = serve(program, &settings("session"));
    run("migrate", &pooled.url("postgres", &database.name), &project, &[]).succeeded(&["1 applied"]);
}
