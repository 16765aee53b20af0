//! Connects: a minimal stand-in until the full one is merged.

use crate::db::conninfo::Conninfo;
use crate::db::error::DbError;
use crate::db::session::{Endpoint, Session};
use crate::model::failure::Failure;

/// Connects without TLS.
///
/// # Errors
/// No connection.
pub async fn connect(conninfo: &Conninfo) -> Result<Session, Failure> {
    let (client, connection) = conninfo
        .0
        .connect(tokio_postgres::NoTls)
        .await
        .map_err(|error| DbError::from(error).into_failure("cannot connect"))?;
    let driver = tokio::spawn(async move {
        let _ended = connection.await;
    });
    let endpoint = Endpoint {
        host: format!("{:?}", conninfo.0.get_hosts().first()),
        port: conninfo.0.get_ports().first().copied().unwrap_or(5432),
        database: conninfo.0.get_dbname().unwrap_or_default().to_owned(),
        user: conninfo.0.get_user().unwrap_or_default().to_owned(),
        tls: false,
    };
    Ok(Session::new(client, driver, endpoint))
}
