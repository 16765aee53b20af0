//! A PostgreSQL for these tests, in a temporary folder and reached by socket only; a database and a project for each.

use crate::cluster::{Cluster, Setup, Small, owner};
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::server::{Regime, stand_in};
use std::io::Write;
use std::os::unix::fs::chown;
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

/// One server for all tests that run at the same time; the last one ends it.
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

fn shared() -> Arc<Cluster> {
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(start(None).unwrap());
    *shared = Arc::downgrade(&server);
    server
}

/// Starts one.
///
/// # Errors
/// Why there can't be a small disk here.
fn start(small: Option<Small>) -> Result<Cluster, String> {
    let rules = "local all locked scram-sha-256\n";
    let server = Cluster::try_with(&Setup { rules, socket_only: true, small, ..Setup::default() })?;
    server.sql(ROLES);
    Ok(server)
}

/// A database of one test.
pub(crate) struct Database {
    server: Arc<Cluster>,
    pub(crate) name: String,
}

impl Database {
    /// An empty database; its public schema belongs to role `owner`, as the database does.
    pub(crate) fn plain() -> Self {
        let server = shared();
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        rows(&server.settings("postgres", "postgres"), &format!("CREATE DATABASE {name} OWNER owner")).unwrap();
        Self { server, name }
    }

    /// An empty database on a server of its own, a part of which may lie on a small disk.
    ///
    /// # Errors
    /// Why there can't be a small disk here.
    pub(crate) fn alone(small: Option<Small>) -> Result<Self, String> {
        let server = Arc::new(start(small)?);
        Ok(Self { server, name: "postgres".to_owned() })
    }

    /// Ends the server with a signal and starts it again.
    pub(crate) fn restart(&self, signal: &str) {
        self.server.restart(signal);
    }

    /// Gives the small disk room.
    pub(crate) fn room(&self) {
        self.server.room();
    }

    /// One that looks like Supabase.
    pub(crate) fn supabase() -> Self {
        let database = Self::plain();
        database.run(STAND_IN);
        database
    }

    /// A copy of a database that nobody is connected to.
    pub(crate) fn copy(of: &Self) -> Self {
        let name = format!("d{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let copy = format!("CREATE DATABASE {name} OWNER owner TEMPLATE {}", of.name);
        let deadline = Instant::now() + Duration::from_secs(20);
        // 55006: a connection that has just ended is still counted, or another copy is being made.
        while let Err(error) = rows(&of.server.settings("postgres", "postgres"), &copy) {
            assert!(error.code().is_some_and(|code| code.code() == "55006"), "{error:?}");
            assert!(Instant::now() < deadline, "{error:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { server: of.server.clone(), name }
    }

    /// Drops it, which costs what many databases would: every checkpoint and start.
    pub(crate) fn remove(self) {
        rows(&self.server.settings("postgres", "postgres"), &format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .unwrap();
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
        self.server.folder()
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

    /// The project's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.root
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.root.join("migrations").join(name), text).unwrap();
    }

    /// The folder of the migrations.
    pub(crate) fn migrations(&self) -> PathBuf {
        self.root.join("migrations")
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

/// Says that a test did not run, to people and to the file that the test script counts from.
pub(crate) fn not_run(test: &str, why: &str) {
    eprintln!("NOT RUN: {test}: {why}");
    if let Some(path) = std::env::var_os("CHARTCHEK_DB_TESTS_NOT_RUN") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}\t{why}").unwrap();
    }
}

/// What a program did that was started, and must have ended by then: one that hangs fails its test.
pub(crate) fn within(deadline: Duration, mut child: Child) -> Ran {
    let end = Instant::now() + deadline;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it still ran after {deadline:?}: {:?}", ran(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ran(child.wait_with_output().unwrap())
}

/// For what must be waited for.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
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
    let user = owner();
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
