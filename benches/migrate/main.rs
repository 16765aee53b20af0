//! `migrate` beside its peers, in one run on one machine: whole processes, with nothing to do and with all to do, at once
//! and behind a proxy that makes every answer late and counts the round trips.
//!
//! `make bench-migrate` measures. Run as a test it measures nothing: it runs this program alone, once, so that it doesn't rot.

#[path = "../../tests/support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
mod peers;
#[path = "../../tests/support/proxy.rs"]
mod proxy;

use clap::Parser;
use cluster::{Cluster, Setup};
use peers::Peer;
use proxy::{Counts, Proxy};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Times `migrate` and its peers.
#[derive(Parser)]
struct Args {
    /// Given by `cargo bench`, and not by `cargo test`
    #[arg(long = "bench", hide = true)]
    _bench: bool,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_chartchek-db"))]
    program: PathBuf,
    /// How many migrations there are
    #[arg(long, default_value_t = 50)]
    files: usize,
    /// How often each is run
    #[arg(long, default_value_t = 15)]
    runs: usize,
    /// After how many seconds of one figure three runs are enough
    #[arg(long, default_value_t = 20)]
    enough: u64,
    /// How late every answer is behind the proxy, in milliseconds
    #[arg(long, default_value_t = 20)]
    late: u64,
    /// A Markdown file to write the table to as well
    #[arg(long)]
    write: Option<PathBuf>,
}

/// One figure: what one program takes in one situation.
struct Cell<'a> {
    peer: &'a Peer,
    /// Whether all files are pending, else none.
    cold: bool,
    /// Whether the server is behind the proxy.
    late: bool,
    times: Vec<Duration>,
    counts: Option<Counts>,
}

fn main() {
    // A test's arguments are filters, and not for this.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let args = if measures {
        Args::parse()
    } else {
        Args::parse_from(["migrate", "--files", "3", "--runs", "1", "--late", "1"])
    };
    let rules = "host all all 127.0.0.1/32 trust\n";
    let (cluster, folder) = (Cluster::with(&Setup { rules, ..Setup::default() }), tempfile::tempdir().unwrap());
    let mut all = peers::all(&args.program, args.files, folder.path());
    if !measures {
        all.truncate(1);
    }
    let mut cells: Vec<Cell<'_>> = Vec::new();
    for (cold, late) in [(false, false), (false, true), (true, false), (true, true)] {
        let present = all.iter().filter(|peer| peer.version.is_some());
        cells.extend(present.map(|peer| Cell { peer, cold, late, times: Vec::new(), counts: None }));
    }
    for peer in all.iter().filter(|peer| peer.version.is_some()) {
        let database = idle(peer);
        cluster.sql(&format!("CREATE DATABASE {database}"));
        // The first run of all also reads the program from the disk.
        run(peer, cluster.port, &database);
    }
    // Round by round, so that what else the machine does meets all alike.
    for round in 0..args.runs {
        for cell in &mut cells {
            if round < 3 || cell.times.iter().sum::<Duration>() < Duration::from_secs(args.enough) {
                cell.measure(&cluster, &args);
            }
        }
    }
    let version = cluster.sql("SHOW server_version");
    let text = table(&all, &cells, &args, version.split(' ').next().unwrap_or_default().trim());
    println!("{text}");
    if let Some(path) = &args.write {
        write(path, &text);
    }
}

/// The database where a program has nothing to do.
fn idle(peer: &Peer) -> String {
    format!("idle_{}", peer.name.replace('-', "_"))
}

/// Runs the program, which must go well, and gives the time of the whole process.
fn run(peer: &Peer, port: u16, database: &str) -> Duration {
    let mut command = peer.command(port, database);
    let started = Instant::now();
    let output = command.output().unwrap();
    let time = started.elapsed();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).join("");
    assert!(output.status.success(), "{}: {said}", peer.name);
    time
}

impl Cell<'_> {
    fn measure(&mut self, cluster: &Cluster, args: &Args) {
        let database = if self.cold { "cold".to_owned() } else { idle(self.peer) };
        if self.cold {
            cluster.sql("DROP DATABASE IF EXISTS cold WITH (FORCE)");
            cluster.sql("CREATE DATABASE cold");
        }
        if self.late {
            let socket = cluster.folder().join(format!(".s.PGSQL.{}", cluster.port));
            let proxy = Proxy::start(socket, Duration::from_millis(args.late));
            self.times.push(run(self.peer, proxy.port, &database));
            self.counts = Some(proxy.finish());
        } else {
            self.times.push(run(self.peer, cluster.port, &database));
        }
        let count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^t[0-9]+$'";
        assert_eq!(cluster.sql_in(&database, count).trim(), args.files.to_string(), "{}", self.peer.name);
    }

    /// The median, and the fastest and slowest.
    fn shown(&self, runs: usize) -> String {
        let mut times: Vec<f64> = self.times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        times.sort_by(f64::total_cmp);
        let middle = (times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0;
        let few = if times.len() < runs { format!(", {} runs", times.len()) } else { String::new() };
        format!("{middle:.0} ms ({:.0} to {:.0}{few})", times[0], times[times.len() - 1])
    }

    fn trips(&self) -> String {
        let Some(Counts { connections, trips }) = self.counts else { return String::new() };
        if connections == 1 { trips.to_string() } else { format!("{trips} in {connections} connections") }
    }
}

fn table(all: &[Peer], cells: &[Cell<'_>], args: &Args, server: &str) -> String {
    let Args { files, late, runs, .. } = args;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "# `migrate` beside its peers\n\nWhole processes, medians of {runs} runs (fastest to slowest) on {cores} cores \
         with PostgreSQL {server}, fsync off. Round trips are counted at a proxy that makes each answer {late} ms late; logins \
         without a password, one each connection, are in them, TCP's own handshakes are not. `make bench-migrate` makes \
         this table.\n\n\
         | | version | nothing to do | {late} ms away | round trips | {files} files | {late} ms away | round trips |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for peer in all {
        let of = |cold: bool, late: bool| {
            cells.iter().find(|cell| cell.peer.name == peer.name && cell.cold == cold && cell.late == late)
        };
        let mut row = vec![peer.name.to_owned(), peer.version.clone().unwrap_or_else(|| "absent".to_owned())];
        for cold in [false, true] {
            row.extend([false, true].map(|late| of(cold, late).map_or(String::new(), |cell| cell.shown(*runs))));
            row.push(of(cold, true).map_or(String::new(), Cell::trips));
        }
        let _infallible = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

fn write(path: &Path, text: &str) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(path, text).unwrap();
}
