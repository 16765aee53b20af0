//! What the tests of real servers share: a server of one's own, the project's files, one value of a query.
#![expect(dead_code, reason = "each test file takes what it needs")]

mod cluster;

use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::db::session::Session;
use chartchek_db::model::failure::Failure;
use chartchek_db::server::stand_in;
use cluster::{Cluster, Setup};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The project's own folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The development data.
pub(crate) fn development() -> String {
    fs::read_to_string(project().join("fixtures/development.sql")).unwrap()
}

/// The migrations, in their order.
pub(crate) fn migrations() -> Vec<String> {
    let mut paths: Vec<_> =
        fs::read_dir(project().join("migrations")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Runs the migrations as they stand, without a history.
///
/// # Errors
/// The first statement's.
pub(crate) async fn migrate(session: &mut Session) -> Result<(), Failure> {
    for text in migrations() {
        session.batch(&text).await.map_err(|error| error.into_failure("a migration failed"))?;
    }
    Ok(())
}

/// The first column of the first row, as text; `NULL` for a null, `(no row)` for none.
pub(crate) async fn one(session: &Session, sql: &str) -> String {
    let rows = session.text_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.first().map_or("(no row)".to_owned(), |row| row[0].clone().unwrap_or_else(|| "NULL".to_owned()))
}

/// The SQLSTATE that a statement fails with; `00000` where it doesn't.
pub(crate) async fn sqlstate(session: &Session, sql: &str) -> String {
    session.batch(sql).await.map_or_else(|error| error.code, |()| "00000".to_owned())
}

/// The folder of a further PostgreSQL's programs: of those that CHARTCHEK_DB_TEST_PGBINS names, divided by colons, the
/// one of that major. Where there is none, the test says that it was not run.
pub(crate) fn further(major: u32, test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("CHARTCHEK_DB_TEST_PGBINS").unwrap_or_default();
    let is = |bin: &PathBuf| {
        let output = Command::new(bin.join("postgres")).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("CHARTCHEK_DB_TEST_PGBINS: {}: {error}", bin.display()));
        String::from_utf8_lossy(&output.stdout).contains(&format!("(PostgreSQL) {major}."))
    };
    let found = std::env::split_paths(&named).filter(|bin| !bin.as_os_str().is_empty()).find(is);
    if found.is_none() {
        not_run(test, &format!("CHARTCHEK_DB_TEST_PGBINS names no PostgreSQL {major}"));
    }
    found
}

/// Says that a test did not run, to people and to the file that the test script counts from.
pub(crate) fn not_run(test: &str, why: &str) {
    eprintln!("NOT RUN: {test}: {why}");
    if let Some(path) = std::env::var_os("CHARTCHEK_DB_TESTS_NOT_RUN") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}\t{why}").unwrap();
    }
}

/// A plain PostgreSQL of one test's own, stopped and removed with it; the superuser is `postgres`.
pub(crate) struct Server {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

/// The superuser's password: with a space, which must be encoded, and to be looked for in output.
pub(crate) const PASSWORD: &str = "pass word";

impl Server {
    /// Starts it on 127.0.0.1 too, where it asks for a password.
    pub(crate) async fn start() -> Self {
        Self::start_in(None).await
    }

    /// As [`Server::start`], of the PostgreSQL whose programs are in that folder.
    pub(crate) async fn start_in(bin: Option<&Path>) -> Self {
        let cluster = Cluster::with(&Setup { bin, ..Setup::default() });
        let server = Self { cluster, folder: tempfile::tempdir().unwrap() };
        let superuser = server.connect("postgres", "postgres").await;
        stand_in::set_password(&superuser, "postgres", PASSWORD).await.unwrap();
        superuser.close().await;
        server
    }

    /// As a user of a database, through the socket, where no password is asked for.
    pub(crate) async fn connect(&self, user: &str, database: &str) -> Session {
        let info = Conninfo::parse(&self.cluster.settings(database, user)).unwrap();
        connect(&info).await.unwrap_or_else(|failure| panic!("{user}: {failure:?}"))
    }

    /// The superuser's URL.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{}@127.0.0.1:{}/{database}", PASSWORD.replace(' ', "%20"), self.cluster.port)
    }

    /// A role's URL on the socket, where no password is asked for.
    pub(crate) fn url_as(&self, role: &str) -> String {
        self.cluster.url_as(role)
    }

    /// A folder that lives as long.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
