//! What verify-rls costs, counted: it grows with the tables and not with their square, and not with a target's rows.

use crate::cluster::Cluster;
use crate::generated;
use crate::project::{Project, binary, count, report};
use crate::proxy::Proxy;
use crate::target::prepared;
use std::time::Duration;

/// What one run on a target of so many tables came to.
#[derive(Debug)]
struct Cost {
    attempts: u64,
    /// Statements and batches that were sent.
    statements: u64,
    /// Their text, in bytes.
    text: u64,
    /// How often the answer was waited for, where every answer is late.
    trips: u64,
    /// Rows and index entries that the server looked at, its catalogue's among them.
    looked_at: u64,
}

fn cost(tables: usize) -> Cost {
    let server = Cluster::start();
    let project = generated::project(tables);
    let up = binary().args(["dev", "up", "--database-url", &server.url(), "--project"]).arg(project.path()).output();
    let up = up.unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let looked_at = || {
        let sum = "SELECT tup_returned + tup_fetched FROM pg_stat_database WHERE datname = 'postgres'";
        server.sql(sum).trim().parse::<u64>().unwrap()
    };
    let before = looked_at();
    let proxy = Proxy::start(server.folder().join(format!(".s.PGSQL.{}", server.port)), Duration::from_millis(50));
    let url = format!("postgresql://migrator@127.0.0.1:{}/postgres?sslmode=disable", proxy.port);
    let mut command = binary();
    command.env("RUST_LOG", "chartchek_db::sql=trace").args(["verify-rls", "--format", "json", "--database-url", &url]);
    let output = command.arg("--project").arg(project.path()).output().unwrap();
    let trips = proxy.finish().trips as u64;
    let (code, found) = report(&output);
    assert_eq!(code, 0, "{}", found["summary"]);
    let log = String::from_utf8(output.stderr).unwrap();
    let sent: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once("chartchek_db::sql: sql=")?.1)).collect();
    Cost {
        attempts: count(&found, "attempts"),
        statements: sent.len() as u64,
        text: sent.iter().map(|sql| sql.len() as u64).sum(),
        trips,
        looked_at: looked_at() - before,
    }
}

/// Four times the tables cost at most four times as much: what is the same for any number of them is paid once.
#[test]
fn the_cost_grows_with_the_tables_and_not_with_their_square() {
    let (few, many) = (cost(6), cost(24));
    println!("6 tables: {few:?}\n24 tables: {many:?}");
    assert_eq!(many.attempts, 4 * few.attempts, "{few:?} {many:?}");
    assert!(few.statements > few.attempts && few.trips > 5, "nothing was counted: {few:?}");
    assert!(many.statements <= 4 * few.statements, "{few:?} {many:?}");
    // What counts the writes names every table, and its text is told each time that it is run.
    assert!(2 * many.text <= 9 * few.text, "{few:?} {many:?}");
    // How many there are is a matter of time, too; but no attempt waits for the one before.
    assert!(2 * few.trips < few.attempts && 2 * many.trips < many.attempts, "{few:?} {many:?}");
    assert!(many.looked_at <= 4 * few.looked_at, "{few:?} {many:?}");
}

/// Not even once: the world's rows are found by their keys, and others by nobody.
#[test]
fn a_large_table_of_a_target_is_never_read_as_a_whole() {
    let (server, url) = prepared();
    server.sql(
        "INSERT INTO auth.users (id, email) SELECT gen_random_uuid(), n || '@filler.test' FROM generate_series(1, 500) n;
         INSERT INTO public.documents (user_id, file_id, filename)
             SELECT u.id, 'filler ' || n, 'filler' FROM auth.users u, generate_series(1, 40) n;
         ANALYZE public.documents",
    );
    let read = || {
        let rows = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'documents'";
        server.sql(rows).trim().parse::<u64>().unwrap()
    };
    let before = read();
    let args = ["verify-rls", "--format", "json", "--bare-bound", "100", "--database-url", &url];
    let (code, found) = report(&Project::copy().run(&args));
    assert_eq!(code, 0, "{}\n{}", found["summary"], found["findings"]);
    let subject = found["environment"]["subject"].as_str().unwrap();
    assert!(subject.contains("on a copy of its schema without rows"), "the table was taken for a small one: {subject}");
    let read = read() - before;
    assert!((1..20_000).contains(&read), "{read} rows were read in order");
}
