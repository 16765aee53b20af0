//! A history that refinery_cli began under its own table name: it is used where it is, so that either tool goes on with
//! what the other recorded.

use crate::db::session::Session;
use crate::migrate::history::{self, Row, TABLE};
use crate::model::failure::Failure;

/// Expressions about the table that refinery_cli means by its default name: schema and name, NULL where there is none;
/// and whether someone else than its owner may touch it.
pub(super) const FACTS: &str = "(SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
       WHERE c.oid = pg_catalog.to_regclass('refinery_schema_history') AND c.relkind = 'r'), \
     (SELECT NOT c.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee = 0 \
         OR a.grantee::pg_catalog.regrole::text IN ('anon', 'authenticated', 'service_role')) FROM pg_catalog.pg_class c \
       WHERE c.oid = pg_catalog.to_regclass('refinery_schema_history'))::text";

/// The rows of `table`; `None` where it holds none, and so is nobody's history.
///
/// # Errors
/// The server's; a row that does not parse.
pub(super) async fn rows(session: &Session, table: &str) -> Result<Option<Vec<Row>>, Failure> {
    let select = format!("BEGIN TRANSACTION READ ONLY; SET LOCAL row_security = off; {}", history::select(table));
    let (rows, ended) = futures::join!(session.text_rows(&select), session.batch("ROLLBACK"));
    let rows = rows.map_err(|error| history::unreadable(error, table))?;
    ended.map_err(|error| error.into_failure("cannot look at the server"))?;
    let rows = rows.iter().map(|row| history::parse(row, table)).collect::<Result<Vec<_>, _>>()?;
    Ok((!rows.is_empty()).then_some(rows))
}

/// Says which history it was that the files do not fit, where it isn't the tool's own.
pub(super) fn told(failure: Failure, table: &str) -> Failure {
    if table == TABLE {
        return failure;
    }
    failure.note(format!("the history is {table}, where refinery_cli keeps it")).help(format!(
        "if it is another program's: create schema chartchek_meta; create table {TABLE} (version int4 primary key, \
         name varchar(255), applied_on varchar(255), checksum varchar(255)); begins one of this project's own"
    ))
}
