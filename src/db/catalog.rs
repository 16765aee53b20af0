//! Reads the catalogue, in one round trip.

use crate::db::error::DbError;
use crate::db::session::Session;
use crate::model::catalog::{Catalog, Role, Server, Table};
use crate::model::failure::{Failure, FailureKind};
use serde::de::DeserializeOwned;
use tokio_postgres::types::{ToSql, Type};

/// The catalogue of `schemas`, and of the tables that their foreign keys reach; with the rights of `roles`.
///
/// # Errors
/// Where the server refuses to tell, or tells something that is not understood.
pub async fn read(session: &Session, schemas: &[String], roles: &[String]) -> Result<Catalog, Failure> {
    // Polled together: pipelined, so that all three cost one round trip.
    let (server, asked, tables) = futures::join!(
        server(session),
        document::<Vec<Role>>(session, include_str!("catalog/roles.sql"), schemas, roles),
        document::<Vec<Table>>(session, include_str!("catalog/tables.sql"), schemas, roles),
    );
    Ok(Catalog { server: server?, roles: asked?, tables: tables? })
}

/// As [`read`], in a transaction of its own and in the same round trip, for a session that is in none. Nothing is
/// compiled: what these queries are reckoned to cost makes PostgreSQL do so for seconds, and they run in milliseconds.
///
/// # Errors
/// As [`read`].
pub async fn read_alone(session: &Session, schemas: &[String], roles: &[String]) -> Result<Catalog, Failure> {
    let begin = format!("BEGIN READ ONLY; {NOT_COMPILED}");
    let (_begun, catalog, _ended) =
        futures::join!(session.batch(&begin), read(session, schemas, roles), session.batch("ROLLBACK"));
    catalog
}

/// What keeps a transaction's queries from being compiled.
pub const NOT_COMPILED: &str = "SET LOCAL jit = off";

/// The server, and who we are on it.
///
/// # Errors
/// As [`read`].
pub async fn server(session: &Session) -> Result<Server, Failure> {
    document(session, include_str!("catalog/server.sql"), &[], &[]).await
}

/// The JSON document that `sql` gives, as text, as its only row's only column. `$1` are schemas and `$2` roles, both
/// text[]; a query need not use them.
///
/// # Errors
/// Where the server refuses to tell, or tells something that is not understood.
pub(crate) async fn document<T: DeserializeOwned>(
    session: &Session,
    sql: &str,
    schemas: &[String],
    roles: &[String],
) -> Result<T, Failure> {
    let params: [(&(dyn ToSql + Sync), Type); 2] = [(&schemas, Type::TEXT_ARRAY), (&roles, Type::TEXT_ARRAY)];
    let rows = session.rows(sql, &params).await.map_err(|error| error.into_failure("the catalogue was not read"))?;
    let text: String = rows
        .first()
        .ok_or_else(|| Failure::new(FailureKind::Inconclusive, "the catalogue answered nothing"))?
        .try_get(0)
        .map_err(|error| DbError::from(error).into_failure("the catalogue was not read"))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(FailureKind::Inconclusive, "the catalogue's answer was not understood").note(error.to_string())
    })
}
