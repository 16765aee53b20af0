//! Opens connections: the least that the engines need.

use crate::db::conninfo::Conninfo;
use crate::db::error::DbError;
use crate::db::session::{Endpoint, Session};
use crate::model::failure::Failure;

/// Opens a connection.
///
/// # Errors
/// Connection: the server can't be reached, or refuses.
pub async fn connect(conninfo: &Conninfo) -> Result<Session, Failure> {
    let (client, connection) = conninfo
        .client_config()
        .connect(tokio_postgres::NoTls)
        .await
        .map_err(|error| DbError::from(error).into_failure("cannot connect"))?;
    let driver = tokio::spawn(async move {
        let _ended = connection.await;
    });
    Ok(Session::new(
        client,
        driver,
        Endpoint {
            host: conninfo.host().to_owned(),
            port: conninfo.port(),
            database: conninfo.database().to_owned(),
            user: conninfo.user().to_owned(),
            tls: false,
        },
    ))
}
