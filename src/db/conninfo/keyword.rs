//! The keywords of libpq and the variables that stand for them: which are read, which not yet.

use crate::model::failure::Failure;

/// The keywords that are read.
const READ: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The keywords that libpq has (version 18) and this tool does not read yet. To pass over one could connect elsewhere,
/// or more weakly, than was asked for; so they are refused.
const LATER: &[&str] = &[
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslpassword",
    "sslsni",
];

/// The variables that are read, with their keywords.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("PGAPPNAME", "application_name"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGDATABASE", "dbname"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGOPTIONS", "options"),
    ("PGPASSWORD", "password"),
    ("PGPORT", "port"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGUSER", "user"),
];

/// The variables of [`VARIABLES`] that choose a database; without any of them, and without a URL, none was chosen.
pub(super) const CHOOSING: &[&str] = &["PGDATABASE", "PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER"];

/// The variables that would choose a server or its protection and are not read yet, with their keywords.
pub(super) const LATER_VARIABLES: &[&str] = &["PGSERVICE", "PGREQUIREAUTH", "PGREQUIREPEER", "PGSSLCRL", "PGSSLCRLDIR"];

/// The keyword of that name.
///
/// # Errors
/// Usage: it is unknown, or not read yet. It is named where it can be no part of a password: `unnamed` says that it
/// can.
pub(super) fn known(name: &str, unnamed: bool) -> Result<&'static str, Failure> {
    if let Some(known) = READ.iter().find(|known| **known == name) {
        return Ok(known);
    }
    if let Some(later) = LATER.iter().find(|later| **later == name) {
        return Err(Failure::usage(format!("the connection string sets {later}, which is not supported yet"))
            .note("it is a keyword of libpq, and passing over it could connect otherwise than was asked for"));
    }
    if unnamed {
        return Err(Failure::usage("the keyword after the password is unknown")
            .help("put a password that holds spaces in single quotes: password='…'"));
    }
    let word = !name.is_empty() && name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word {
        return Err(Failure::usage("the connection string holds something that is no keyword before a =")
            .help("in a URL, percent-encode what user, password and parameters hold of / ? # @ % & and space"));
    }
    let failure = Failure::usage(format!("the connection string sets {name}, which is no keyword of libpq"));
    Err(match name {
        "pgbouncer" | "connection_limit" | "pool_timeout" | "schema" => {
            failure.help("it is a parameter of Prisma's: leave it out here")
        }
        "supa" | "ssl" | "sslaccept" | "workaround" => {
            failure.help("it is a parameter of another client's: leave it out here, and set sslmode for TLS")
        }
        _ => failure.help("for the keywords see section 34.1.2 of PostgreSQL's manual"),
    })
}
