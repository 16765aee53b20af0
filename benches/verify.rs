//! `make bench-verify`: what an attempt of verify-rls costs, beside psql replaying the same SQL: on loopback, behind a
//! proxy that makes every answer 40 ms late, and for 30 and 300 generated tables; and the memory that it takes.

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../tests/support/cluster.rs"]
mod cluster;
#[path = "../tests/support/generated.rs"]
mod generated;
#[path = "../tests/support/proxy.rs"]
mod proxy;

use cluster::{Cluster, program};
use proxy::Proxy;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each is measured; the median and both ends are shown.
const RUNS: usize = 5;

/// Statements of the sample that stands for psql behind the proxy: all of them would take a quarter of an hour.
const SAMPLE: usize = 250;

/// One run of verify-rls.
struct Run {
    attempts: u64,
    /// Seconds of the attempts alone.
    attempting: f64,
    /// Seconds of the whole process.
    whole: f64,
    /// What it logged.
    log: String,
    /// The most memory that it held at once, in MiB.
    peak: u64,
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("it measures under `make bench-verify` only");
        return;
    }
    let release = if cfg!(debug_assertions) { "dev" } else { "release" };
    println!(
        "chartchek-db {} ({release} build), {RUNS} runs each: median (least to most)\n",
        env!("CARGO_PKG_VERSION")
    );
    let cluster = Cluster::start();
    let up = binary().args(["dev", "up", "--database-url", &cluster.url()]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let url = cluster.url_as("migrator");

    let traced = on_target(&url, true);
    let statements = statements(&traced.log);
    println!("ChartChek on loopback: {} attempts, {} statements", traced.attempts, statements.len());
    let ours: Vec<Run> = (0..RUNS).map(|_| on_target(&url, false)).collect();
    let whole = spread(ours.iter().map(|run| run.whole));
    let each = ours.iter().map(|run| 1000.0 * run.attempting / run.attempts as f64);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("replay.sql");
    fs::write(&script, statements.join(";\n") + ";\n").unwrap();
    let replayed = spread((0..RUNS).map(|_| psql(&cluster.settings("postgres", "migrator"), &script)));
    println!("  verify-rls, whole process   {} s; an attempt {} ms", shown(&whole), shown(&spread(each)));
    println!("  psql, the same SQL          {} s", shown(&replayed));
    println!("  memory                      at most {} MiB", ours.iter().map(|run| run.peak).max().unwrap_or_default());
    println!("  ratio                       {:.2}\n", whole[1] / replayed[1]);

    let late = Duration::from_millis(40);
    let socket = || {
        let entries = fs::read_dir(cluster.folder()).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.extension().is_none_or(|e| e != "lock") && is_socket(path)).unwrap()
    };
    let behind = Proxy::start(socket(), late);
    let run = on_target(&format!("postgresql://migrator@127.0.0.1:{}/postgres?sslmode=disable", behind.port), false);
    let trips = behind.finish().trips;
    println!("ChartChek behind 40 ms");
    println!(
        "  verify-rls, whole process   {:.2} s; an attempt {:.2} ms; {trips} round trips",
        run.whole,
        1000.0 * run.attempting / run.attempts as f64
    );
    let sample = folder.path().join("sample.sql");
    fs::write(&sample, statements[..SAMPLE.min(statements.len())].join(";\n") + ";\n").unwrap();
    let behind = Proxy::start(socket(), late);
    let part =
        psql(&format!("host=127.0.0.1 port={} user=migrator dbname=postgres sslmode=disable", behind.port), &sample);
    behind.finish();
    let all = part * statements.len() as f64 / SAMPLE as f64;
    println!(
        "  psql, the same SQL          {all:.0} s, reckoned from {SAMPLE} of the statements; ratio {:.3}\n",
        run.whole / all
    );

    println!("generated tables, local engine");
    let small = generated(30);
    let large = generated(300);
    for (tables, run) in [(30, &small), (300, &large)] {
        println!(
            "  {tables:3} tables                  {:.2} s; {} attempts, {:.2} ms each; at most {} MiB",
            run.whole,
            run.attempts,
            1000.0 * run.attempting / run.attempts as f64,
            run.peak
        );
    }
    println!("  growth                      {:.1} times for 10 times the tables", large.whole / small.whole);
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// The binary, with an environment that names no database.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

fn verify(command: &mut Command) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let [report, log] = ["report", "log"].map(|name| folder.path().join(name));
    let started = Instant::now();
    command.stdout(File::create(&report).unwrap()).stderr(File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let (mut peak, status) = (0, format!("/proc/{}/status", child.id()));
    let ended = loop {
        let said = fs::read_to_string(&status).unwrap_or_default();
        let line = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let whole = started.elapsed().as_secs_f64();
    let log = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    assert_eq!(ended.code(), Some(0), "verify-rls failed: {log}");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let attempts = report["summary"]["attempts"].as_u64().unwrap();
    Run { attempts, attempting: report["environment"]["seconds"].as_f64().unwrap(), whole, log, peak: peak / 1024 }
}

fn on_target(url: &str, traced: bool) -> Run {
    let mut command = binary();
    command
        .args(["verify-rls", "--format", "json", "--database-url", url, "--project"])
        .arg(env!("CARGO_MANIFEST_DIR"));
    if traced {
        command.env("RUST_LOG", "chartchek_db::sql=trace");
    }
    verify(&mut command)
}

/// The statements of a traced run in the order in which they were sent, from BEGIN on; those with parameters left out.
fn statements(log: &str) -> Vec<String> {
    let all = log.lines().filter_map(|line| line.split_once("chartchek_db::sql: sql=")).map(|(_, quoted)| {
        // As Rust's Debug writes a string: JSON's escapes, but for \u{…} and \'.
        let mut json = quoted.replace("\\'", "'");
        while let Some((before, (code, after))) =
            json.split_once("\\u{").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            json = format!("{before}\\u{code:0>4}{after}");
        }
        serde_json::from_str::<String>(&json).unwrap_or_else(|error| panic!("{error}: {quoted}"))
    });
    let all = all.filter(|sql| !sql.contains("$1") && !sql.contains("$2"));
    all.skip_while(|sql| !sql.starts_with("BEGIN")).collect()
}

/// The seconds that psql takes for a file.
fn psql(conninfo: &str, script: &Path) -> f64 {
    let started = Instant::now();
    let status = Command::new(program("psql"))
        .args(["-X", "-q", "-A", "-t", "-d", conninfo, "-f"])
        .arg(script)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    started.elapsed().as_secs_f64()
}

/// verify-rls on a project of so many tables.
fn generated(tables: usize) -> Run {
    let folder = generated::project(tables);
    let run = || {
        let mut command = binary();
        command.args(["verify-rls", "--format", "json", "--engine", "local", "--project"]).arg(folder.path());
        verify(&mut command)
    };
    // The first makes the template; the second finds the server up.
    let _first = run();
    run()
}

/// The least, the median and the most.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn shown([least, median, most]: &[f64; 3]) -> String {
    format!("{median:.2} ({least:.2} to {most:.2})")
}
