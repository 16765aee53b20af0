//! Connections to real servers: TLS in all its modes, and what is said when there's no connection.

#[path = "connect/certificate.rs"]
mod certificate;
#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;

use certificate::{Authority, Certificate, file, self_signed};
use chartchek_db::db::connect::connect;
use chartchek_db::db::conninfo::Conninfo;
use chartchek_db::db::session::Session;
use chartchek_db::model::failure::{Failure, FailureKind};
use chartchek_db::report;
use cluster::{Cluster, PASSWORD, Setup};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

/// pg_hba.conf: two roles that may come in one way only.
const RULES: &str = "hostssl all plain_only all reject\nhostnossl all tls_only all reject\n";

/// A server on 127.0.0.1 and a socket; with TLS if there's a certificate.
fn server(certificate: Option<&Certificate>) -> Cluster {
    let tls = certificate.map(|certificate| (certificate.chain.as_str(), certificate.key.as_str()));
    Cluster::with(&Setup { rules: RULES, tls, ..Setup::default() })
}

/// Connects by a keyword string; whether the server sees TLS, which must be what the endpoint says.
async fn encrypted(text: &str) -> Result<bool, String> {
    let session = connect(&Conninfo::parse(text).expect(text)).await.map_err(|failure| told(&failure))?;
    let sql = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";
    let rows = session.text_rows(sql).await.expect("a row");
    let seen = rows[0][0].as_deref() == Some("true");
    assert_eq!(session.endpoint().tls, seen, "{text}");
    session.close().await;
    Ok(seen)
}

/// All that is shown of a failure, and all that `{:?}` would show; the password is nowhere in it.
fn told(failure: &Failure) -> String {
    let text = format!("{}\n{failure:?}", report::failure::render(failure));
    assert!(!text.contains(PASSWORD), "{text}");
    text
}

/// The failure of a connection that must not come about.
async fn failure(text: &str) -> Failure {
    let info = Conninfo::parse(text).expect(text);
    assert!(!format!("{info:?}").contains(PASSWORD));
    let failure = connect(&info).await.map(|session| session.endpoint().clone()).expect_err(text);
    told(&failure);
    failure
}

fn assert_says(failure: &Failure, words: &[&str]) {
    assert_eq!(failure.kind(), FailureKind::Connection, "{failure:?}");
    assert!(!failure.helps().is_empty(), "no help: {failure:?}");
    let mut text = failure.to_string();
    for line in failure.notes().iter().chain(failure.helps()) {
        let _written = write!(text, "\n{line}");
    }
    for words in words {
        assert!(text.contains(words), "not said: {words}\n{text}");
    }
}

async fn superuser(server: &Cluster) -> Session {
    let info = Conninfo::parse(&server.settings("postgres", "postgres")).expect("settings");
    connect(&info).await.unwrap_or_else(|failure| panic!("{}", told(&failure)))
}

#[tokio::test]
async fn every_sslmode_does_what_libpq_says() {
    let authority = Authority::new();
    let server = server(Some(&authority.sign("localhost")));
    let (root, other) = (file(&authority.root), file(&Authority::new().root));
    // A file of two authorities with one subject, the right one last.
    let both = file(&format!("{}{}", Authority::new().root, authority.root));
    let (root, other, both) = (root.path().display(), other.path().display(), both.path().display());
    let roles =
        format!("create role tls_only login password '{PASSWORD}'; create role plain_only login password '{PASSWORD}'");
    superuser(&server).await.batch(&roles).await.expect("roles");
    let base = format!("port={} user=postgres dbname=postgres password={PASSWORD}", server.port);

    for (settings, tls) in [
        ("host=127.0.0.1 sslmode=disable".to_owned(), false),
        ("host=127.0.0.1 sslmode=allow".to_owned(), false),
        ("host=127.0.0.1 sslmode=prefer".to_owned(), true),
        ("host=127.0.0.1".to_owned(), true),
        // localhost can be ::1 first, where nothing listens.
        ("host=localhost sslmode=require".to_owned(), true),
        (format!("host=127.0.0.1 sslmode=require sslrootcert={root}"), true),
        (format!("host=127.0.0.1 sslmode=verify-ca sslrootcert={root}"), true),
        (format!("host=localhost sslmode=verify-full sslrootcert={root}"), true),
        (format!("host=localhost sslmode=verify-full sslrootcert={both}"), true),
        (format!("host=localhost hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={root}"), true),
        // pg_hba.conf decides, and the second attempt meets it.
        ("host=127.0.0.1 sslmode=allow user=tls_only".to_owned(), true),
        ("host=127.0.0.1 sslmode=prefer user=plain_only".to_owned(), false),
        // A certificate of another authority: prefer goes on without TLS, as libpq does.
        (format!("host=127.0.0.1 sslmode=prefer sslrootcert={other}"), false),
        // Over a socket there is no TLS, whatever is asked for.
        (format!("host={} sslmode=verify-full", server.folder().display()), false),
    ] {
        assert_eq!(encrypted(&format!("{base} {settings}")).await, Ok(tls), "{settings}");
    }

    let stranger = "authority that isn't trusted";
    for (settings, words) in [
        (
            format!("host=127.0.0.1 sslmode=verify-full sslrootcert={root}"),
            ["is not for 127.0.0.1, but for", "hostaddr="],
        ),
        (format!("host=localhost sslmode=verify-full sslrootcert={other}"), [stranger, "sslrootcert=FILE"]),
        (format!("host=localhost sslmode=verify-ca sslrootcert={other}"), [stranger, "sslrootcert=FILE"]),
        (format!("host=localhost sslmode=require sslrootcert={other}"), [stranger, "sslrootcert=FILE"]),
        // Not a local name, so verify-full without being asked for; the system knows no such authority.
        ("host=db.example.test hostaddr=127.0.0.1".to_owned(), [stranger, "sslmode is verify-full"]),
        ("host=localhost sslrootcert=system".to_owned(), [stranger, "sslmode is verify-full"]),
        ("host=x.supabase.co hostaddr=127.0.0.1".to_owned(), [stranger, "Dashboard > Database"]),
        ("host=127.0.0.1 sslmode=require user=plain_only".to_owned(), ["SQLSTATE 28000", "pg_hba.conf"]),
        ("host=127.0.0.1 sslmode=disable user=tls_only".to_owned(), ["SQLSTATE 28000", "pg_hba.conf"]),
    ] {
        assert_says(&failure(&format!("{base} {settings}")).await, &words);
    }

    let missing = failure(&format!("{base} host=localhost sslmode=require sslrootcert=/nowhere/root.crt")).await;
    assert_eq!(missing.kind(), FailureKind::Usage);
    assert!(missing.what().contains("/nowhere/root.crt"), "{missing}");
    let no_certificate = file("nothing of the kind");
    let empty = format!("{base} host=localhost sslmode=verify-ca sslrootcert={}", no_certificate.path().display());
    assert!(failure(&empty).await.notes()[0].contains("no usable certificate"));
}

#[tokio::test]
async fn an_expired_certificate_is_refused_where_certificates_count() {
    let authority = Authority::new();
    let certificate = authority.sign_expired("localhost");
    let server = server(Some(&certificate));
    let base = format!("host=localhost port={} user=postgres password={PASSWORD}", server.port);
    // The second trusts the certificate as it is, not its authority.
    for root in [file(&authority.root), file(&certificate.chain)] {
        for mode in ["verify-ca", "verify-full"] {
            let text = format!("{base} sslmode={mode} sslrootcert={}", root.path().display());
            assert_says(&failure(&text).await, &["has expired", "renew"]);
        }
    }
    assert_eq!(encrypted(&format!("{base} sslmode=require")).await, Ok(true));
}

#[tokio::test]
async fn a_self_signed_certificate_can_be_its_own_root() {
    let certificate = self_signed("localhost");
    let server = server(Some(&certificate));
    let root = file(&certificate.chain);
    let base = format!("port={} user=postgres password={PASSWORD} sslrootcert={}", server.port, root.path().display());
    assert_eq!(encrypted(&format!("{base} host=localhost sslmode=verify-full")).await, Ok(true));
    assert_eq!(encrypted(&format!("{base} host=127.0.0.1 sslmode=verify-ca")).await, Ok(true));
    assert_says(&failure(&format!("{base} host=127.0.0.1 sslmode=verify-full")).await, &["is not for 127.0.0.1"]);
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let server = server(None);
    let base = format!("host=127.0.0.1 port={} user=postgres password={PASSWORD}", server.port);
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(encrypted(&format!("{base} sslmode={mode}")).await, Ok(false), "{mode}");
    }
    let root = file(&Authority::new().root);
    for mode in ["require", "verify-ca", "verify-full"] {
        let text = format!("{base} sslmode={mode} sslrootcert={}", root.path().display());
        assert_says(&failure(&text).await, &["does not support TLS", "sslmode=disable"]);
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_said_with_what_to_do() {
    let server = server(None);
    let base = format!("port={} sslmode=disable", server.port);
    let right = format!("user=postgres password={PASSWORD}");
    let tcp = "host=127.0.0.1";
    for (settings, words) in [
        (format!("{tcp} user=postgres password={PASSWORD}x"), ["SQLSTATE 28P01", "percent-encode"]),
        (format!("{tcp} user=nobody password={PASSWORD}"), ["as nobody", "check role and password"]),
        (format!("{tcp} user=postgres"), ["none is given", "PGPASSWORD"]),
        (format!("{tcp} {right} dbname=nowhere"), ["no connection to nowhere on 127.0.0.1", "SQLSTATE 3D000"]),
        (format!("host=/nowhere {right}"), ["/nowhere/.s.PGSQL.", "there is no such socket"]),
        (
            format!("{tcp} {right} target_session_attrs=read-only"),
            ["database is not read only", "target_session_attrs"],
        ),
    ] {
        assert_says(&failure(&format!("{base} {settings}")).await, &words);
    }

    // By URL, with variables for what it leaves out, and every setting that the server can tell us.
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?application_name=a%20b&options=-c%20lock_timeout%3D7",
        server.port
    );
    let info =
        Conninfo::resolve(Some(&url), |name| (name == "PGPASSWORD").then(|| PASSWORD.to_owned())).expect("a URL");
    let session = connect(&info).await.unwrap_or_else(|failure| panic!("{}", told(&failure)));
    let rows =
        session.text_rows("select current_setting('application_name') || ' ' || current_setting('lock_timeout')").await;
    assert_eq!(rows.expect("a row")[0][0].as_deref(), Some("a b 7ms"));
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_named_with_its_reason() {
    let right = format!("user=postgres password={PASSWORD} sslmode=disable");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let nothing = failure(&format!("{right} host=localhost port={free}")).await;
    assert_says(&nothing, &["127.0.0.1: nothing listens there", "start the server"]);

    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    let late = failure(&format!("{right} host=127.0.0.1 port={port} connect_timeout=1")).await;
    assert_says(&late, &["no answer within 1 s", "connect_timeout"]);

    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let (mut stream, _) = other.accept().expect("a client");
        let _gone = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_says(
        &failure(&format!("{right} host=127.0.0.1 port={port}")).await,
        &["a PostgreSQL server, and nothing else"],
    );

    assert_says(&failure(&format!("{right} host=nowhere.invalid")).await, &["could not be resolved", "spelling"]);
    // Whether the name isn't resolved or its IPv6 address isn't reached: the way out is the same.
    let project = failure(&format!("{right} host=db.abcdefghijklmnopqrst.supabase.co connect_timeout=2")).await;
    assert_says(&project, &["session pooler", "port 5432, user postgres.abcdefghijklmnopqrst"]);
}

/// The log of one test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn notices_are_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _kept = tracing::subscriber::set_default(subscriber);
    let server = server(None);
    let session = superuser(&server).await;
    session
        .batch("do $$ begin raise warning 'mind the gap' using detail = 'of a row'; end $$")
        .await
        .expect("a notice");
    session.batch("select pg_terminate_backend(pg_backend_pid())").await.expect_err("the end");
    session.close().await;
    let text = String::from_utf8(log.0.lock().expect("the log").clone()).expect("UTF-8");
    assert!(text.contains("WARN chartchek_db::notice: WARNING: mind the gap"), "{text}");
    assert!(!text.contains("of a row") && !text.contains(PASSWORD), "{text}");
}
