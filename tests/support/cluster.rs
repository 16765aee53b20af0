//! A PostgreSQL of a test's own: in a temporary folder, gone when the test is. Shared by the test files through #[path].

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The superuser's password; no output may hold it.
pub(crate) const PASSWORD: &str = "cluster-secret-word";

/// What a server has that others have not.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Lines of pg_hba.conf before the ordinary ones: the first that fits decides.
    pub(crate) rules: &'a str,
    /// Certificate chain and key, as PEM; without them the server knows no TLS.
    pub(crate) tls: Option<(&'a str, &'a str)>,
    /// Reached by socket alone, of the ordinary port.
    pub(crate) socket_only: bool,
    /// What lies on a small disk of its own, which only root can have.
    pub(crate) small: Option<Small>,
    /// The folder of its programs, where it is not the ordinary PostgreSQL.
    pub(crate) bin: Option<&'a Path>,
}

/// What lies on a small disk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Small {
    Data,
    Wal,
}

/// A running server: on a socket, where everyone is trusted, and on 127.0.0.1, where passwords are asked for.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    process: Mutex<Child>,
    pub(crate) port: u16,
    /// The arguments that it was started with.
    args: Vec<OsString>,
    /// Where the small disk is mounted.
    disk: Option<PathBuf>,
    /// The folder of its programs, where it is not the ordinary one.
    bin: Option<PathBuf>,
}

impl Cluster {
    /// Starts an ordinary one.
    pub(crate) fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// Starts one, and panics where there is none to start: a test that cannot run has not passed.
    pub(crate) fn with(setup: &Setup<'_>) -> Self {
        Self::try_with(setup).unwrap()
    }

    /// As [`Cluster::with`].
    ///
    /// # Errors
    /// Why there can't be a small disk here.
    pub(crate) fn try_with(setup: &Setup<'_>) -> Result<Self, String> {
        let mut folder = tempfile::tempdir().unwrap();
        give(folder.path(), 0o755);
        let (data, wal) = (folder.path().join("data"), folder.path().join("wal"));
        let disk = match setup.small {
            None => None,
            Some(Small::Data) => Some(mounted(&data, "96m")?),
            Some(Small::Wal) => Some(mounted(&wal, "40m")?),
        };
        let bin = setup.bin.map(Path::to_owned);
        let mut initdb = owned(program_in(bin.as_deref(), "initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
        if disk.is_some() {
            initdb.arg("--waldir").arg(&wal);
        }
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let rules = format!("{}local all all trust\nhost all all all scram-sha-256\n", setup.rules);
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        if let Some((chain, key)) = setup.tls {
            for (name, text) in [("server.crt", chain), ("server.key", key)] {
                std::fs::write(data.join(name), text).unwrap();
                give(&data.join(name), 0o600);
            }
        }
        // Between the choice of a free port and its use another may take it: then another port.
        for _ in 0..5 {
            let port = if setup.socket_only {
                5432
            } else {
                TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
            };
            let mut args: Vec<OsString> = vec!["-D".into(), data.clone().into()];
            args.extend(["-h", if setup.socket_only { "" } else { "127.0.0.1" }, "-p"].map(OsString::from));
            args.extend([port.to_string().into(), "-k".into(), folder.path().into()]);
            let ssl = if setup.tls.is_some() { "ssl=on" } else { "ssl=off" };
            for setting in
                ["fsync=off", "max_connections=200", "max_prepared_transactions=4", "shared_buffers=16MB", ssl]
            {
                args.extend(["-c".into(), setting.into()]);
            }
            let process = Mutex::new(launch(bin.as_deref(), folder.path(), &args));
            let mut cluster = Self { folder, process, port, args, disk: disk.clone(), bin: bin.clone() };
            if cluster.ready() {
                cluster.sql(&format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'"));
                return Ok(cluster);
            }
            folder = std::mem::replace(&mut cluster.folder, tempfile::tempdir().unwrap());
        }
        panic!("no port could be had");
    }

    /// Waits until the server answers; false where its port was taken.
    fn ready(&self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "postgres", "SELECT 1").status.success() {
            let ended = self.process.lock().unwrap().try_wait().unwrap();
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if ended.is_some() && log.contains("already in use") {
                return false;
            }
            assert!(ended.is_none() && Instant::now() < deadline, "postgres did not start: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Ends the server with a signal and starts it again.
    pub(crate) fn restart(&self, signal: &str) {
        let mut process = self.process.lock().unwrap();
        let _gone_already = Command::new("kill").args([signal, &process.id().to_string()]).status();
        process.wait().unwrap();
        *process = launch(self.bin.as_deref(), self.folder.path(), &self.args);
        drop(process);
        assert!(self.ready(), "the server did not come back");
    }

    /// Gives the small disk room.
    pub(crate) fn room(&self) {
        let done = Command::new("mount").args(["-o", "remount,size=1g"]).arg(self.disk.as_ref().unwrap()).status();
        assert!(done.unwrap().success());
    }

    /// The folder of its socket, `.s.PGSQL.<port>`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The superuser's URL, with password, over TCP: what a CI service container gives.
    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// A role's URL on the socket, where no password is asked for.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgresql://{role}@{folder}:{}/postgres", self.port)
    }

    /// A role's connection string to a database, on the socket.
    pub(crate) fn settings(&self, database: &str, role: &str) -> String {
        format!("host={} port={} user={role} dbname={database}", self.folder.path().display(), self.port)
    }

    fn psql(&self, database: &str, role: &str, sql: &str) -> Output {
        let mut psql = Command::new(program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database, "-h"]);
        psql.arg(self.folder.path()).args(["-p", &self.port.to_string(), "-c", sql]).env_remove("PGOPTIONS");
        psql.output().unwrap()
    }

    /// Runs SQL as superuser and gives what it prints.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.sql_as("postgres", sql)
    }

    /// Runs SQL as superuser in a database and gives what it prints.
    pub(crate) fn sql_in(&self, database: &str, sql: &str) -> String {
        said(self.psql(database, "postgres", sql), sql)
    }

    /// Runs SQL as a role and gives what it prints.
    pub(crate) fn sql_as(&self, role: &str, sql: &str) -> String {
        said(self.psql("postgres", role, sql), sql)
    }

    /// Everything in the database as pg_dump writes it, roles included; without sequences' values, which no rollback
    /// takes back, and without pg_dump's own random words.
    pub(crate) fn dump(&self) -> String {
        let dump = |name: &str, args: &[&str]| {
            let mut command = Command::new(program(name));
            command.args(["-U", "postgres", "-h"]).arg(self.folder.path()).args(["-p", &self.port.to_string()]);
            let output = command.args(args).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let both = dump("pg_dump", &["postgres"]) + &dump("pg_dumpall", &["--globals-only", "--no-role-passwords"]);
        let own = |line: &&str| !line.contains("restrict ") && !line.starts_with("SELECT pg_catalog.setval");
        both.lines().filter(own).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is a fast shutdown; SIGKILL, all that std can send, would leave shared memory behind.
        let process = self.process.get_mut().unwrap();
        let _sent = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
        let _ended = process.wait();
        if let Some(disk) = &self.disk {
            // Lazily: a process of the server's may end late.
            let _unmounted = Command::new("umount").arg("-l").arg(disk).status();
        }
    }
}

fn said(output: Output, sql: &str) -> String {
    assert!(output.status.success(), "{}\n{sql}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn launch(bin: Option<&Path>, folder: &Path, args: &[OsString]) -> Child {
    let log = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("log")).unwrap();
    owned(program_in(bin, "postgres")).args(args).stderr(log).spawn().unwrap()
}

/// A disk in memory of this size; only root can have one.
///
/// # Errors
/// Why not.
fn mounted(at: &Path, size: &str) -> Result<PathBuf, String> {
    let (uid, gid) = owner().ok_or("only root can mount a small disk")?;
    std::fs::create_dir(at).unwrap();
    let options = format!("size={size},uid={uid},gid={gid},mode=0700");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
    match mount {
        Ok(output) if output.status.success() => Ok(at.to_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Gives a file or folder to whoever owns clusters.
fn give(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if let Some((uid, gid)) = owner() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// A program of the server, to be run as whoever owns clusters.
pub(crate) fn as_owner(name: &str) -> Command {
    owned(program(name))
}

/// A program in that folder, or where [`program`] finds it.
fn program_in(bin: Option<&Path>, name: &str) -> PathBuf {
    bin.map_or_else(|| program(name), |bin| bin.join(name))
}

fn owned(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some((uid, gid)) = owner() {
        command.uid(uid).gid(gid);
    }
    command
}

/// A program of PostgreSQL: in PGBIN, on PATH, or where Debian and Homebrew put it.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = (15..=18).rev().flat_map(|version| {
        [
            PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")),
            PathBuf::from(format!("/opt/homebrew/opt/postgresql@{version}/bin")),
        ]
    });
    std::env::var_os("PGBIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(known)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("this test needs {name}: install PostgreSQL 15 or newer, or set PGBIN"))
}

/// Whom to run the server as where we are root, which PostgreSQL refuses.
pub(crate) fn owner() -> Option<(u32, u32)> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    root.then(|| {
        let id = |flag: &str| {
            let output = Command::new("id").args([flag, "postgres"]).output().unwrap();
            String::from_utf8(output.stdout)
                .unwrap()
                .trim()
                .parse()
                .expect("as root, this test needs the user postgres")
        };
        (id("-u"), id("-g"))
    })
}
