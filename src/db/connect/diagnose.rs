//! Why a connection was not had, and what to do about it.

use super::Address;
use crate::db::conninfo::Conninfo;
use crate::db::error::DbError;
use crate::db::tls::SslMode;
use crate::db::{pooler, sqlstate};
use crate::model::failure::{Failure, FailureKind};
use rustls::CertificateError;
use std::error::Error as _;
use std::io;

/// How far an attempt came.
#[derive(Debug)]
enum Stage {
    /// No socket was opened.
    Unreached(Option<io::ErrorKind>),
    /// Nothing more came in time.
    Timeout,
    /// The server has no TLS.
    NoTls,
    /// TLS was begun and failed; with the certificate's fault, where that was it.
    Tls(Option<CertificateError>),
    /// The server takes writes, or takes none, against `target_session_attrs`.
    WrongKind,
    /// The server asks for a password and none is given.
    NoPassword,
    /// The server answered with an error, or with something that is no answer.
    Answered,
}

/// Why one attempt at one address failed.
#[derive(Debug)]
pub(super) struct Fault {
    stage: Stage,
    error: DbError,
    /// What the attempt before it said, where `sslmode` made a second one.
    before: Option<Box<Fault>>,
}

impl Fault {
    /// The connection's time was up.
    pub(super) fn timeout() -> Self {
        let error = DbError { message: "no answer in time".to_owned(), ..DbError::default() };
        Self { stage: Stage::Timeout, error, before: None }
    }

    /// This one, after another attempt at the same address.
    pub(super) fn after(self, before: Self) -> Self {
        Self { before: Some(Box::new(before)), ..self }
    }

    /// Whether the next address may do better.
    pub(super) fn is_unreached(&self) -> bool {
        matches!(self.stage, Stage::Unreached(_) | Stage::Timeout)
    }

    /// Whether TLS failed.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.stage, Stage::Tls(_))
    }

    /// Whether pg_hba.conf refused it, which may depend on TLS.
    pub(super) fn is_refused_by_rule(&self) -> bool {
        self.error.code == sqlstate::INVALID_AUTHORIZATION
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let source = error.source();
        let io = source.and_then(|source| source.downcast_ref::<io::Error>());
        let cause = source.map(ToString::to_string).unwrap_or_default();
        // The library keeps its error's kind to itself but for these words; tests/connect.rs notices when they change.
        let stage = match error.to_string().as_str() {
            "error connecting to server" if cause.starts_with("database ") => Stage::WrongKind,
            "error connecting to server" => Stage::Unreached(io.map(io::Error::kind)),
            "error performing TLS handshake" if cause == "server does not support TLS" => Stage::NoTls,
            "error performing TLS handshake" => Stage::Tls(io.and_then(certificate_error)),
            "invalid configuration" if cause == "password missing" => Stage::NoPassword,
            _ => Stage::Answered,
        };
        Self { stage, error: error.into(), before: None }
    }
}

/// What rustls has against the certificate.
fn certificate_error(error: &io::Error) -> Option<CertificateError> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => Some(error.clone()),
        _ => None,
    }
}

/// The failure that all others are made of.
fn no_connection(conninfo: &Conninfo) -> Failure {
    let (host, port) = (conninfo.host(), conninfo.port());
    let place = match conninfo.hostaddr() {
        Some(address) if address.to_string() != host => format!("{host} ({address})"),
        _ => host.to_owned(),
    };
    Failure::new(
        FailureKind::Connection,
        format!("no connection to {} on {place}:{port} as {}", conninfo.database(), conninfo.user()),
    )
}

/// The host's name has no address.
pub(super) fn unresolved(conninfo: &Conninfo, cause: &str) -> Failure {
    let failure = no_connection(conninfo).note(format!("the host's name could not be resolved: {cause}"));
    match pooler::direct_project(conninfo.host()) {
        Some(project) => session_pooler(failure, conninfo, &project),
        None => failure.help("check the host's spelling, and the network"),
    }
}

/// No address let a connection in.
pub(super) fn unreached(conninfo: &Conninfo, attempts: &[(Address, Fault)]) -> Failure {
    let mut failure = no_connection(conninfo);
    for (address, fault) in attempts {
        let place = match address {
            Address::Socket(folder) => format!("{folder}/.s.PGSQL.{}", conninfo.port()),
            Address::Tcp(ip) => ip.to_string(),
        };
        failure = failure.note(format!("{place}: {}", reason(conninfo, fault)));
    }
    if let Some(project) = pooler::direct_project(conninfo.host()) {
        return session_pooler(failure, conninfo, &project);
    }
    let timeout = attempts.iter().any(|(_, fault)| fault.is_timeout());
    let socket = conninfo.socket_folder().is_some();
    failure.help(match (timeout, socket) {
        (true, _) => "check the address and the firewalls between; connect_timeout=SECONDS waits longer",
        (false, true) => "start the server, or name the folder of its socket: host=/folder, with its port",
        (false, false) => "start the server, or name the host and port where it listens",
    })
}

impl Fault {
    fn is_timeout(&self) -> bool {
        matches!(self.stage, Stage::Timeout | Stage::Unreached(Some(io::ErrorKind::TimedOut)))
    }
}

/// Why an address was not reached, in a few words.
fn reason(conninfo: &Conninfo, fault: &Fault) -> String {
    match &fault.stage {
        Stage::Unreached(Some(io::ErrorKind::ConnectionRefused)) => "nothing listens there".to_owned(),
        Stage::Unreached(Some(io::ErrorKind::NotFound)) => "there is no such socket".to_owned(),
        Stage::Timeout | Stage::Unreached(Some(io::ErrorKind::TimedOut)) => {
            format!("no answer within {} s", conninfo.connect_timeout().unwrap_or_default().as_secs())
        }
        _ => fault.error.message.clone(),
    }
}

/// A project's own host has an IPv6 address only, which many networks lack.
fn session_pooler(failure: Failure, conninfo: &Conninfo, project: &str) -> Failure {
    failure
        .note("this host has an IPv6 address only, unless the project has the IPv4 add-on")
        .help(format!(
            "without IPv6 use the session pooler: aws-….pooler.supabase.com, port 5432, user {}.{project} (Dashboard > \
             Connect > Session pooler has the exact host)",
            conninfo.user()
        ))
        .help("else check the project's reference, and whether the project is paused")
}

/// A server answered and did not let us in.
pub(super) fn refused(conninfo: &Conninfo, fault: &Fault) -> Failure {
    let failure = no_connection(conninfo);
    let failure = match &fault.stage {
        Stage::Tls(Some(certificate)) => bad_certificate(failure, conninfo, certificate),
        Stage::Tls(None) => failure.note(format!("TLS failed: {}", fault.error)),
        Stage::NoTls => failure
            .note("the server does not support TLS")
            .note(format!("sslmode is {}", mode(conninfo)))
            .help("turn TLS on at the server, or pass sslmode=disable where the network between is trusted"),
        Stage::WrongKind => failure
            .note(fault.error.to_string())
            .help("target_session_attrs asks for the other kind of server: name that server, or leave it out"),
        Stage::NoPassword => failure
            .note("the server asks for a password, and none is given; ~/.pgpass is not read yet")
            .help("put it in the URL, percent-encoded, or in PGPASSWORD"),
        _ => answered(failure, conninfo, &fault.error),
    };
    match &fault.before {
        Some(first) => failure.note(format!("before that, sslmode={}: {}", mode(conninfo), first.error)),
        None => failure,
    }
}

fn mode(conninfo: &Conninfo) -> &'static str {
    conninfo.tls().mode.word()
}

/// The server's certificate is not good enough for `sslmode`.
fn bad_certificate(failure: Failure, conninfo: &Conninfo, error: &CertificateError) -> Failure {
    let failure = failure.note(match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate is of an authority that isn't trusted here".to_owned()
        }
        // Authorities that share a name, as two of Supabase's do.
        CertificateError::BadSignature => {
            "the server's certificate is of an authority that isn't trusted here: one of the same name is, with another key"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired (or this machine's clock is wrong)".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet (or this machine's clock is wrong)".to_owned()
        }
        CertificateError::NotValidForName => {
            format!("the server's certificate is not for {}", conninfo.host())
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("the server's certificate is not for {}: it names no host in subjectAltName", conninfo.host())
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("the server's certificate is not for {}, but for {}", conninfo.host(), presented.join(", "))
        }
        other => format!("the server's certificate can't be relied on: {other}"),
    });
    let failure = failure.note(format!("sslmode is {}", mode(conninfo)));
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => failure.help(
            "connect by the name in the certificate (with hostaddr=… for its address), or pass sslmode=verify-ca to \
             check the authority alone",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            failure.help("renew the server's certificate")
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature if pooler::is_supabase(conninfo.host()) => {
            failure.help(
                "download Supabase's certificate (Dashboard > Database > Settings > SSL Configuration) and pass \
             sslrootcert=FILE",
            )
        }
        _ => {
            let failure = failure.help("name the authority that signed it: sslrootcert=FILE, a PEM file");
            if conninfo.tls().mode >= SslMode::VerifyCa {
                failure.help("sslmode=require encrypts without checking who answers: only where the network is trusted")
            } else {
                failure
            }
        }
    }
}

/// The server said no.
fn answered(failure: Failure, conninfo: &Conninfo, error: &DbError) -> Failure {
    let failure = failure.note(error.to_string());
    let failure = match &error.hint {
        Some(hint) => failure.help(hint.as_str()),
        None => failure,
    };
    match error.code.as_str() {
        sqlstate::INVALID_PASSWORD if !conninfo.has_password() => {
            failure.help("no password is given: put it in the URL, percent-encoded, or in PGPASSWORD")
        }
        sqlstate::INVALID_PASSWORD => failure
            .help("check role and password; in a URL percent-encode what the password holds of / ? # @ % & and space"),
        sqlstate::INVALID_AUTHORIZATION if error.message.contains("no encryption") => {
            failure.help("the server may want TLS: sslmode=require or stronger")
        }
        sqlstate::INVALID_AUTHORIZATION => {
            failure.help("the role doesn't exist, or the server's pg_hba.conf doesn't let it in from here")
        }
        sqlstate::INVALID_CATALOG_NAME => {
            failure.help("check the database's name, which without dbname is that of the user; Supabase's is postgres")
        }
        "53300" => failure.help("close other connections, or raise max_connections"),
        "57P03" => failure.help("the server is starting or stopping: try again in a moment"),
        _ if error.message.contains("Tenant or user not found") => failure
            .help("at a Supabase pooler the user is postgres.<project ref>, and the host that of the project's region"),
        "" => failure.help("check that a PostgreSQL server, and nothing else, answers at this host and port"),
        _ => failure,
    }
}
