//! A PostgreSQL of its own for one test, in a temporary folder, reached by socket only.

use chartchek_db::model::catalog::{Catalog, Column, Role, Table};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Row};

pub(crate) struct Server {
    runtime: Runtime,
    client: Option<Client>,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts one, and panics where there is none to start: a test that can't run has not passed.
    pub(crate) fn start() -> Self {
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
        let socket = folder.path().display().to_string();
        let process = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", &format!("unix_socket_directories={socket}")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut server = Self { runtime, client: None, process, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while server.client.is_none() {
            assert!(Instant::now() < deadline, "the server did not start");
            std::thread::sleep(Duration::from_millis(20));
            let settings = format!("host={socket} user=postgres dbname=postgres");
            server.client = server.runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.ok()?;
                tokio::spawn(connection);
                Some(client)
            });
        }
        server
    }

    /// Runs statements.
    pub(crate) fn run(&mut self, sql: &str) {
        let client = self.client.as_ref().unwrap();
        self.runtime.block_on(client.batch_execute(sql)).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }

    /// The rows of a query.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Row> {
        let client = self.client.as_ref().unwrap();
        self.runtime.block_on(client.query(sql, &[])).unwrap_or_else(|error| panic!("{error:?}\n{sql}"))
    }

    /// As much of the catalogue as the contract asks for.
    pub(crate) fn catalog(&mut self) -> Catalog {
        let roles = self.rows("select rolname::text, rolsuper, rolbypassrls from pg_roles where rolname !~ '^pg_'");
        let roles = roles.iter().map(|row| Role {
            name: row.get(0),
            superuser: row.get(1),
            bypass_rls: row.get(2),
            ..Role::default()
        });
        let roles = roles.collect();
        let columns = self.rows(
            "select n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), t.typname::text
             from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
             join pg_type t on t.oid = a.atttypid
             where a.attnum > 0 and c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)' order by 1, 2, a.attnum",
        );
        let mut tables: Vec<Table> = Vec::new();
        for row in &columns {
            let (schema, table): (String, String) = (row.get(0), row.get(1));
            if tables.last().is_none_or(|last| last.schema != schema || last.table != table) {
                tables.push(Table { schema, table, kind: "r".to_owned(), ..Table::default() });
            }
            let column = Column { name: row.get(2), type_name: row.get(3), base_type: row.get(4), ..Column::default() };
            tables.last_mut().unwrap().columns.push(column);
        }
        for row in self.rows(
            "select n.nspname::text, c.relname::text, array(select a.attname::text from pg_attribute a
               where a.attrelid = c.oid and a.attnum = any(i.indkey::int2[]))
             from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
             where i.indisunique and n.nspname !~ '^pg_'",
        ) {
            let (schema, table): (String, String) = (row.get(0), row.get(1));
            let found = tables.iter_mut().find(|found| found.schema == schema && found.table == table).unwrap();
            found.uniques.push(row.get(2));
        }
        Catalog { roles, tables, ..Catalog::default() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.client = None;
        // SIGKILL leaves the server's own children to notice; the folder is thrown away all the same.
        let _ended = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ended = self.process.wait();
    }
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
        .expect("this test needs initdb and postgres: install PostgreSQL 15 or newer, or set PGBIN")
}

/// The user and group to run the server as where we are root, which PostgreSQL refuses.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0);
    root.then(|| {
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().parse().expect("this test needs the user postgres")
        };
        (id("-u"), id("-g"))
    })
}
