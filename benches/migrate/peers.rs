//! The programs that are measured: where they are, what files they want, and how they are run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A program that applies migrations to PostgreSQL.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The last word of what it says of its version; `None` where it is absent.
    pub(crate) version: Option<String>,
    program: PathBuf,
    folder: PathBuf,
}

/// Writes `files` small migrations for every program, each into a folder of its own under `folder`.
pub(crate) fn all(ours: &Path, files: usize, folder: &Path) -> Vec<Peer> {
    let peers = ["chartchek-db", "refinery", "sqlx", "dbmate", "sqitch", "supabase"];
    peers
        .into_iter()
        .map(|name| {
            let program = if name == "chartchek-db" { Some(ours.to_owned()) } else { installed(name) };
            let version = program.as_ref().map(|program| {
                let output = Command::new(program).arg("--version").output().unwrap();
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                text.split_whitespace().last().unwrap_or("?").trim_start_matches('v').to_owned()
            });
            let peer = Peer { name, version, program: program.unwrap_or_default(), folder: folder.join(name) };
            peer.write(files);
            peer
        })
        .collect()
}

/// Where `install-peers.sh` puts them, or on PATH.
fn installed(name: &str) -> Option<PathBuf> {
    let peers = env::var_os("CHARTCHEK_DB_PEERS").map(PathBuf::from).or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        cache
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
            .map(|at| at.join("chartchek-db-peers"))
    });
    let path = env::var_os("PATH").unwrap_or_default();
    peers
        .map(|peers| peers.join("bin"))
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|at| at.join(name))
        .find(|at| at.is_file())
}

impl Peer {
    /// The files, in the form that the program wants.
    fn write(&self, files: usize) {
        let put = |path: String, text: &str| {
            let path = self.folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let mut plan = "%syntax-version=1.0.0\n%project=bench\n\n".to_owned();
        for number in 1..=files {
            let name = format!("t{number:03}");
            let sql = format!("CREATE TABLE {name} (id int PRIMARY KEY, name text NOT NULL);\n");
            match self.name {
                "sqlx" => put(format!("migrations/{number}_{name}.sql"), &sql),
                "dbmate" => put(
                    format!("migrations/{number:03}_{name}.sql"),
                    &format!("-- migrate:up\n{sql}\n-- migrate:down\n"),
                ),
                "supabase" => put(format!("supabase/migrations/20240101{number:06}_{name}.sql"), &sql),
                "sqitch" => {
                    put(format!("deploy/{name}.sql"), &format!("BEGIN;\n{sql}COMMIT;\n"));
                    plan.push_str(&format!("{name} 2024-01-01T00:00:00Z Bench <bench@example.org> # a table\n"));
                }
                _ => put(format!("migrations/V{number}__{name}.sql"), &sql),
            }
        }
        match self.name {
            "chartchek-db" => put("policies/access.toml".to_owned(), "version = 1\n"),
            "sqitch" => {
                put("sqitch.plan".to_owned(), &plan);
                put(
                    "sqitch.conf".to_owned(),
                    "[core]\n\tengine = pg\n[user]\n\tname = Bench\n\temail = bench@example.org\n",
                );
            }
            _ => {}
        }
    }

    /// What applies its migrations to a database on a port of 127.0.0.1.
    pub(crate) fn command(&self, port: u16, database: &str) -> Command {
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable");
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars().filter(|(name, _)| name.starts_with("PG") || name == "DATABASE_URL") {
            command.env_remove(name);
        }
        // What a program keeps for its user, or tells its maker, is no part of this.
        command.env("HOME", &self.folder).env("DO_NOT_TRACK", "1").current_dir(&self.folder);
        match self.name {
            "chartchek-db" => command.args(["migrate", "--project", ".", "--database-url", &url]),
            "refinery" => command.args(["migrate", "-e", "DATABASE_URL", "-p", "migrations"]).env("DATABASE_URL", &url),
            "sqlx" => command.args(["migrate", "run", "--no-dotenv", "--source", "migrations", "--database-url", &url]),
            "dbmate" => command.args(["--url", &url, "--migrations-dir", "migrations", "--no-dump-schema", "migrate"]),
            "sqitch" => {
                let target = format!("db:pg://postgres@127.0.0.1:{port}/{database}");
                command.args(["deploy", &target]).env("PGSSLMODE", "disable")
            }
            _ => {
                command.args(["db", "push", "--include-all", "--yes", "--workdir", "."]).arg(format!("--remote={url}"))
            }
        };
        command
    }
}
