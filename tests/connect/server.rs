//! A PostgreSQL of the test's own, with or without TLS, that is gone when the test is.

use super::certificate::Certificate;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The password of every role; no failure may hold it.
pub(crate) const PASSWORD: &str = "hunter2-very-secret";

/// pg_hba.conf: scram for all, but two roles that may come in one way only.
const RULES: &str = "\
local   all all scram-sha-256
hostssl all plain_only all reject
hostnossl all tls_only all reject
host    all all all scram-sha-256
";

/// A running server; stopped and removed when dropped.
pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// Starts one on 127.0.0.1 and in a socket folder; with TLS if there's a certificate.
    pub(crate) fn start(certificate: Option<&Certificate>) -> Self {
        let programs = programs();
        let owner = owner();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let data = path.join("data");
        std::fs::create_dir(&data).expect("a data folder");
        give(&data, owner, 0o700);
        give(path, owner, 0o755);
        write(&path.join("password"), PASSWORD, owner);
        let mut initdb = as_owner(&programs.join("initdb"), owner);
        initdb.args(["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.arg(format!("--pwfile={}", path.join("password").display())).arg("-D").arg(&data);
        let made = initdb.output().expect("initdb");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        write(&data.join("pg_hba.conf"), RULES, owner);
        if let Some(certificate) = certificate {
            write(&data.join("server.crt"), &certificate.chain, owner);
            write(&data.join("server.key"), &certificate.key, owner);
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port();
        let mut postgres = as_owner(&programs.join("postgres"), owner);
        postgres.arg("-D").arg(&data).arg("-k").arg(path).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        postgres.args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c"]);
        postgres.arg(if certificate.is_some() { "ssl=on" } else { "ssl=off" });
        let log = std::fs::File::create(path.join("log")).expect("a log");
        let process = postgres.stdout(Stdio::null()).stderr(log).spawn().expect("postgres");
        let mut server = Self { folder, process, port };
        server.wait_until_ready();
        server
    }

    /// The folder of its socket, and of the test's files.
    pub(crate) fn folder(&self) -> &str {
        self.folder.path().to_str().expect("UTF-8")
    }

    fn wait_until_ready(&mut self) {
        let log = self.folder.path().join("log");
        let deadline = Instant::now() + Duration::from_secs(30);
        let ready =
            |log: &Path| std::fs::read_to_string(log).is_ok_and(|text| text.contains("ready to accept connections"));
        while !(ready(&log) && TcpStream::connect(("127.0.0.1", self.port)).is_ok()) {
            let ended = self.process.try_wait().expect("its state");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "postgres did not start: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT: fast shutdown. std can send SIGKILL alone, which would leave shared memory behind.
        let pid = self.process.id().to_string();
        let _sent = Command::new("kill").args(["-INT", &pid]).status();
        let _ended = self.process.wait();
    }
}

/// The folder of `initdb` and `postgres`. Without it there is nothing to test against, and the test fails.
fn programs() -> PathBuf {
    let mut places: Vec<PathBuf> = std::env::var_os("PGBIN").map(PathBuf::from).into_iter().collect();
    for version in ["18", "17", "16", "15"] {
        places.push(format!("/usr/lib/postgresql/{version}/bin").into());
        places.push(format!("/opt/homebrew/opt/postgresql@{version}/bin").into());
        places.push(format!("/usr/local/opt/postgresql@{version}/bin").into());
    }
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places
        .into_iter()
        .find(|place| place.join("initdb").exists() && place.join("postgres").exists())
        .expect("NOT TESTED: no initdb and postgres found; install PostgreSQL 15 or newer, or name its folder in PGBIN")
}

/// As root, whom PostgreSQL refuses, the user `postgres`; else none.
fn owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().expect("id");
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    (id(&["-u"]) == Some(0)).then(|| {
        let name = "NOT TESTED: run as root, and there's no user postgres to run the server as";
        (id(&["-u", "postgres"]).expect(name), id(&["-g", "postgres"]).expect(name))
    })
}

fn as_owner(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn give(path: &Path, owner: Option<(u32, u32)>, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    if let Some((user, group)) = owner {
        chown(path, Some(user), Some(group)).expect("another owner");
    }
}

fn write(path: &Path, text: &str, owner: Option<(u32, u32)>) {
    std::fs::write(path, text).expect("a file");
    give(path, owner, 0o600);
}
