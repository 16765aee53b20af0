//! Supabase's addresses: which one is a pooler in transaction mode, and which to use in its place.
//!
//! Supabase's documentation, "Connect to your database". By address only; what a server behind another name does is to
//! be found out by trying.

use crate::db::conninfo::Conninfo;
use crate::model::failure::Failure;

/// The port on which Supabase's poolers run in transaction mode.
const TRANSACTION_PORT: u16 = 6543;

/// Refuses an address of Supabase's at which every transaction may run on another connection.
///
/// # Errors
/// Usage: `*.pooler.supabase.com:6543` or `*.supabase.co:6543`; it says which address to use.
pub fn refuse_transaction_pooler(conninfo: &Conninfo) -> Result<(), Failure> {
    let host = normal(conninfo.host());
    let shared = host.ends_with(".pooler.supabase.com");
    if conninfo.port() != TRANSACTION_PORT || !(shared || host.ends_with(".supabase.co")) {
        return Ok(());
    }
    let failure = Failure::usage(format!("{host}:{TRANSACTION_PORT} is a pooler in transaction mode"))
        .note("every transaction can run on another connection there: locks between runs do not hold, and SET is lost");
    Err(if shared {
        let direct = match conninfo.user().split_once('.') {
            Some((_, project)) => format!("db.{project}.supabase.co"),
            None => "db.<project ref>.supabase.co".to_owned(),
        };
        failure
            .help(format!("use the session pooler: {host}, port 5432, the same user"))
            .help(format!("or the database itself, where IPv6 is at hand: {direct}, port 5432, user postgres"))
    } else {
        failure.help(format!("use the database itself: {host}, port 5432"))
    })
}

/// What stands between this tool and the database, as far as the address tells.
pub fn kind(host: &str) -> Option<&'static str> {
    normal(host).ends_with(".pooler.supabase.com").then_some("Supabase's pooler in session mode")
}

/// The project's reference, where the host is a project's own (`db.<ref>.supabase.co`), which has an IPv6 address only.
pub(crate) fn direct_project(host: &str) -> Option<String> {
    let host = normal(host);
    let project = host.strip_prefix("db.")?.strip_suffix(".supabase.co")?;
    (!project.is_empty() && !project.contains('.')).then(|| project.to_owned())
}

/// Whether the host is one of hosted Supabase's.
pub fn is_supabase(host: &str) -> bool {
    let host = normal(host);
    host.ends_with(".supabase.com") || host.ends_with(".supabase.co")
}

/// A host name as it compares.
fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> Option<Failure> {
        refuse_transaction_pooler(&Conninfo::parse(url).unwrap()).err()
    }

    #[test]
    fn a_transaction_pooler_is_refused_with_the_address_to_use() {
        let shared =
            refusal("postgres://postgres.abcd:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres").unwrap();
        let help = shared.helps().join("\n");
        assert!(help.contains("aws-0-eu-central-1.pooler.supabase.com, port 5432"), "{help}");
        assert!(help.contains("db.abcd.supabase.co, port 5432"), "{help}");
        let own = refusal("postgres://postgres:pw@DB.abcd.supabase.co.:6543/postgres").unwrap();
        assert_eq!(own.helps(), ["use the database itself: db.abcd.supabase.co, port 5432"]);
    }

    #[test]
    fn other_addresses_are_taken() {
        for url in [
            "postgres://u@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
            "postgres://u@db.abcd.supabase.co/postgres",
            "postgres://u@localhost:6543/postgres",
            "postgres://u@example.com:6543/postgres",
            "postgres://u@supabase.co.example.com:6543/postgres",
            "postgres://u@notsupabase.co:6543/postgres",
        ] {
            assert!(refusal(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_pooler_is_named() {
        assert!(kind("aws-0-eu-central-1.pooler.supabase.com").is_some());
        assert_eq!(kind("db.abcd.supabase.co"), None);
    }

    #[test]
    fn a_projects_own_host_is_known() {
        assert_eq!(direct_project("db.abcd.supabase.co").as_deref(), Some("abcd"));
        assert_eq!(direct_project("aws-0-eu.pooler.supabase.com"), None);
        assert_eq!(direct_project("db.x.y.supabase.co"), None);
    }
}
