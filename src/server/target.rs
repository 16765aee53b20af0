//! The database that the user names: connected to, never created, never dropped.

use crate::db::connect::connect;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::Failure;

/// Connects to the target.
///
/// # Errors
/// Connection: it can't be reached, or refuses.
pub async fn open(conninfo: &Conninfo) -> Result<Session, Failure> {
    connect(conninfo).await
}

/// For the header: the server's version, the database, where, and the role.
///
/// # Errors
/// The connection broke.
pub async fn header(session: &Session) -> Result<String, Failure> {
    let rows = session
        .text_rows("SELECT current_setting('server_version'), current_user")
        .await
        .map_err(|error| error.into_failure("the server does not say its version"))?;
    let value = |column: usize| rows.first().and_then(|row| row.get(column)).cloned().flatten().unwrap_or_default();
    let endpoint = session.endpoint();
    Ok(format!(
        "PostgreSQL {}, database {} on {}:{}, role {}",
        value(0),
        endpoint.database,
        endpoint.host,
        endpoint.port,
        value(1)
    ))
}
