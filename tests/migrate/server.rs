//! A PostgreSQL for these tests, in a temporary folder and reached by socket only; a database and a project for each.

use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::server::{Regime, stand_in};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// What makes a database look like Supabase, as far as the migrations ask.
const STAND_IN: &str = "
    CREATE SCHEMA auth;
    CREATE TABLE auth.users (id uuid PRIMARY KEY);
    CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE
        AS $$ SELECT nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
    CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT (auth.jwt() ->> 'sub')::uuid $$;";

/// The key of the migration lock.
pub(crate) const KEY: &str = "7163082351539611755";

/// The roles of all databases; `locked` has a password, all others are trusted.
const ROLES: &str = "
    CREATE ROLE anon NOLOGIN; CREATE ROLE authenticated NOLOGIN; CREATE ROLE service_role NOLOGIN BYPASSRLS;
    CREATE ROLE powerless LOGIN; CREATE ROLE owner LOGIN; CREATE ROLE reader LOGIN;
    CREATE ROLE locked LOGIN PASSWORD 'the-right-one';";

struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

/// One server for all tests that run at the same time; the last one ends it.
static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

impl Server {
    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts one, and panics where there is none to start: a test that can't run has not passed.
    fn start() -> Self {
        let bin = binaries();
        let folder = tempfile::tempdir().unwrap();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = folder.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let made = command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb failed");
        let rules = data.join("pg_hba.conf");
        let trusted = std::fs::read_to_string(&rules).unwrap();
        std::fs::write(&rules, format!("local all locked scram-sha-256\n{trusted}")).unwrap();
        let socket = folder.path().display().to_string();
        let process = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"])
            .args(["-c", &format!("unix_socket_directories={socket}")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = rows(&server.settings("postgres", "postgres"), "SELECT 1") {
            assert!(Instant::now() < deadline, "the server did not start: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        rows(&server.settings("postgres", "postgres"), ROLES).unwrap();
        server
    }

    fn settings(&self, database: &str, user: &str) -> String {
        format!("host={} user={user} dbname={database}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ended = self.process.wait();
    }
}

/// A database of one test.
pub(crate) struct Database {
    server: Arc<Server>,
    pub(crate) name: String,
}

impl Database {
    /// An empty database; its public schema belongs to role `owner`, as the database does.
    pub(crate) fn plain() -> Self {
        let server = Server::shared();
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        rows(&server.settings("postgres", "postgres"), &format!("CREATE DATABASE {name} OWNER owner")).unwrap();
        Self { server, name }
    }

    /// One that looks like Supabase.
    pub(crate) fn supabase() -> Self {
        let database = Self::plain();
        database.run(STAND_IN);
        database
    }

    /// One with all that Supabase brings, and a migrator who is no superuser.
    pub(crate) fn stand_in(regime: Regime) -> Self {
        let database = Self::plain();
        // The roles are the whole server's, and their settings bear no two writers.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        runtime().block_on(async {
            let conninfo = Conninfo::resolve(Some(&database.url("postgres")), |_| None).unwrap();
            let superuser = connect(&conninfo).await.unwrap();
            stand_in::install(&superuser, regime, None).await.unwrap();
            // The roles were there, without the settings that Supabase gives them.
            let settings =
                "ALTER ROLE anon SET statement_timeout = '3s'; ALTER ROLE authenticated SET statement_timeout = '8s'";
            superuser.batch(settings).await.unwrap();
            superuser.close().await;
        });
        database
    }

    /// The connection string of a role.
    pub(crate) fn url(&self, user: &str) -> String {
        self.server.settings(&self.name, user)
    }

    /// The folder of the server's socket.
    pub(crate) fn folder(&self) -> &Path {
        self.server.folder.path()
    }

    /// Runs statements as superuser.
    pub(crate) fn run(&self, sql: &str) {
        rows(&self.url("postgres"), sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The first column of every row, one a line.
    pub(crate) fn text(&self, sql: &str) -> String {
        rows(&self.url("postgres"), sql).unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
    }

    /// Everything that a migration could leave: relations, functions, types and schemas outside the system's.
    pub(crate) fn contents(&self) -> String {
        self.text(
            "SELECT 'relation ' || oid::regclass FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relkind <> 'i'
             UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE oid >= 16384
             UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384 ORDER BY 1",
        )
    }

    /// Runs the program as superuser.
    pub(crate) fn migrate(&self, project: &Project, arguments: &[&str]) -> Ran {
        run("migrate", &self.url("postgres"), project, arguments)
    }

    /// A connection that stays open.
    pub(crate) fn session(&self) -> Held {
        let (begin, told) = std::sync::mpsc::channel::<(String, std::sync::mpsc::Sender<()>)>();
        let settings = self.url("postgres");
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
                tokio::spawn(connection);
                while let Ok((sql, done)) = told.recv() {
                    client.batch_execute(&sql).await.unwrap();
                    done.send(()).unwrap();
                }
            });
        });
        Held { sender: Some(begin), thread: Some(thread) }
    }
}

/// An open session of a test's own; dropping it closes it.
pub(crate) struct Held {
    sender: Option<std::sync::mpsc::Sender<(String, std::sync::mpsc::Sender<()>)>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Held {
    pub(crate) fn run(&self, sql: &str) {
        let (done, wait) = std::sync::mpsc::channel();
        self.sender.as_ref().unwrap().send((sql.to_owned(), done)).unwrap();
        wait.recv().unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.sender = None;
        let _ended = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// A project folder of one test.
pub(crate) struct Project {
    root: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Project {
    /// This repository's.
    pub(crate) fn own() -> Self {
        Self { root: env!("CARGO_MANIFEST_DIR").into(), _folder: None }
    }

    /// One with these migrations.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        std::fs::create_dir_all(root.join("policies")).unwrap();
        std::fs::create_dir_all(root.join("migrations")).unwrap();
        std::fs::write(root.join("policies/access.toml"), "version = 1\n").unwrap();
        let project = Self { root, _folder: Some(folder) };
        for (name, text) in files {
            project.write(name, text);
        }
        project
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root.join("migrations").join(name), text).unwrap();
    }

    /// The names of the migrations, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join("migrations")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A migration's text.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.root.join("migrations").join(name)).unwrap()
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.root.join("migrations").join(name)).unwrap();
    }
}

/// What the program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Holds the exit code and that standard error says all of `parts`.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not said in:\n{}", self.err);
        }
    }

    /// Holds that it went well.
    #[track_caller]
    pub(crate) fn succeeded(&self, parts: &[&str]) {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is not said in:\n{}", self.out);
        }
    }
}

/// The program, with nothing of this process' settings that it would read.
pub(crate) fn program(command: &str, url: &str, project: &Project, arguments: &[&str]) -> Command {
    let mut program = without_database(command, project, arguments);
    program.args(["--database-url", url]);
    program
}

/// The program, told of no database.
pub(crate) fn without_database(command: &str, project: &Project, arguments: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        program.env_remove(name);
    }
    program.env_remove("DATABASE_URL").env_remove("RUST_LOG").env("NO_COLOR", "1").current_dir("/");
    program.args([command, "--project"]).arg(&project.root).args(arguments);
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    program
}

pub(crate) fn run(command: &str, url: &str, project: &Project, arguments: &[&str]) -> Ran {
    ran(program(command, url, project, arguments).output().unwrap())
}

pub(crate) fn ran(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

pub(crate) fn rows(settings: &str, sql: &str) -> Result<String, tokio_postgres::Error> {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(settings, NoTls).await?;
        tokio::spawn(connection);
        let rows = client.simple_query(sql).await?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        });
        Ok(rows.collect::<Vec<_>>().join("\n"))
    })
}

/// A pgbouncer that serves on a socket.
pub(crate) struct Pooler {
    process: Child,
    folder: tempfile::TempDir,
}

impl Pooler {
    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        format!("host={} port=6432 user={user} dbname={database}", self.folder.path().display())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ended = Command::new("kill").args(["-KILL", &self.process.id().to_string()]).status();
        let _ended = self.process.wait();
    }
}

/// Starts pgbouncer with these settings.
pub(crate) fn serve(program: &str, settings: &str) -> Pooler {
    let folder = tempfile::tempdir().unwrap();
    let user = unprivileged();
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, format!("{settings}unix_socket_dir = {}\n", folder.path().display())).unwrap();
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        chown(folder.path(), Some(uid), Some(gid)).unwrap();
        command.uid(uid).gid(gid);
    }
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let process = command.arg(&file).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    let pooler = Pooler { process: process.unwrap(), folder };
    let deadline = Instant::now() + Duration::from_secs(20);
    // The socket is there before anyone listens on it.
    while std::os::unix::net::UnixStream::connect(pooler.folder.path().join(".s.PGSQL.6432")).is_err() {
        let log = std::fs::read_to_string(pooler.folder.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "pgbouncer did not start: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    pooler
}

/// Where initdb is: PGBIN, PATH, or where Debian puts it.
fn binaries() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = (15..=18).rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    std::env::var_os("PGBIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(debian)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .expect("these tests need initdb and postgres: install PostgreSQL 15 or newer, or set PGBIN")
}

/// The user and group to run the server as where we are root, which PostgreSQL refuses.
fn unprivileged() -> Option<(u32, u32)> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    root.then(|| {
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().expect("these tests need the user postgres")
        };
        (id("-u"), id("-g"))
    })
}
