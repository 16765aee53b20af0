//! `lint --files` beside squawk, in one run on one machine: whole processes, over the same migration files.
//!
//! `make bench-lint` measures. Run as a test it runs this program alone, once, over few files, so that it doesn't rot.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

/// Times the lints of migration files.
#[derive(Parser)]
struct Args {
    /// Given by `cargo bench`, and not by `cargo test`
    #[arg(long = "bench", hide = true)]
    _bench: bool,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_chartchek-db"))]
    program: PathBuf,
    /// How many migrations there are
    #[arg(long, default_value_t = 300)]
    files: usize,
    /// How often each is run
    #[arg(long, default_value_t = 15)]
    runs: usize,
}

fn main() {
    // A test's arguments are filters, and not for this.
    let measures = env::args().any(|argument| argument == "--bench");
    let args = if measures { Args::parse() } else { Args::parse_from(["lint", "--files", "3", "--runs", "1"]) };
    let folder = tempfile::tempdir().unwrap();
    let migrations = write(folder.path(), args.files);
    let bytes: usize = migrations.iter().map(|path| fs::metadata(path).unwrap().len() as usize).sum();
    println!("{} files, {} KiB, {} runs each", args.files, bytes / 1024, args.runs);
    let mut ours = Command::new(&args.program);
    ours.args(["lint", "--files", "--project"]).arg(folder.path());
    time("chartchek-db", &mut ours, args.runs);
    match squawk().filter(|_| measures) {
        Some(program) => time("squawk", Command::new(program).args(&migrations), args.runs),
        None => println!("squawk: absent, or not measured; benches/install-peers.sh squawk"),
    }
}

/// A project whose files each make a table as the project's own do, and change the one before.
fn write(folder: &Path, files: usize) -> Vec<PathBuf> {
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    let contract = concat!(
        "version = 1\n[api]\nschemas = [\"public\"]\npre_request = \"none\"\n[actors.anon]\nrole = \"anon\"\n",
        "[actors.user]\nrole = \"authenticated\"\n"
    );
    put("policies/access.toml", contract);
    let file = |number: usize| {
        let before = match number {
            1 => String::new(),
            _ => format!("ALTER TABLE public.t{} ADD COLUMN added_later timestamptz DEFAULT now();\n", number - 1),
        };
        format!(
            "-- Table {number}, closed in the file that makes it.
CREATE TABLE public.t{number} (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
    title varchar(50) NOT NULL,
    body text CHECK (length(body) < 10000),
    created_at timestamptz DEFAULT now()
);
ALTER TABLE public.t{number} ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.t{number} FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.t{number} FROM PUBLIC, anon, authenticated;
CREATE INDEX t{number}_owner ON public.t{number} (owner_id);
COMMENT ON TABLE public.t{number} IS 'The table of file {number}.';
CREATE POLICY t{number}_own ON public.t{number} FOR ALL TO authenticated
    USING (owner_id = (SELECT auth.uid())) WITH CHECK (owner_id = (SELECT auth.uid()));
{before}"
        )
    };
    (1..=files).map(|number| put(&format!("migrations/V{number:03}__t{number}.sql"), &file(number))).collect()
}

/// Where `install-peers.sh` puts it.
fn squawk() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let peers = env::var_os("CHARTCHEK_DB_PEERS").map(PathBuf::from);
    let peers = peers.or_else(|| cache.map(|at| at.join("chartchek-db-peers")))?;
    Some(peers.join("bin/squawk")).filter(|program| program.is_file())
}

/// Prints the median and the fastest of all runs but the first, which also reads the program from the disk.
fn time(name: &str, command: &mut Command, runs: usize) {
    let mut times: Vec<Duration> = (0..=runs)
        .map(|_| {
            let started = Instant::now();
            let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(matches!(ran.code(), Some(0 | 1)), "{name}: {ran}");
            started.elapsed()
        })
        .skip(1)
        .collect();
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{name}: median {:.1} ms, fastest {:.1} ms", ms(times[times.len() / 2]), ms(times[0]));
}
