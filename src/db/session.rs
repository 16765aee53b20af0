//! One connection to a server: batches in one round trip, single statements through the extended protocol.

use crate::db::conninfo::Conninfo;
use crate::db::error::DbError;
use crate::db::tls::Connector;
use futures::{StreamExt, TryStreamExt, pin_mut};
use std::any::Any;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

pub use tokio_postgres::Row;

/// Where a session is connected: for headers and errors. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, address or socket folder.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Database name.
    pub database: String,
    /// Role that connected.
    pub user: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl std::fmt::Display for Endpoint {
    /// `database on host:port as user`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}:{} as {}", self.database, self.host, self.port, self.user)
    }
}

/// What one statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementResult {
    /// The first column of each row, as text; the column must be of type text (or absent).
    pub keys: Vec<Option<String>>,
    /// The count in the command tag: rows returned or changed.
    pub count: u64,
}

/// A statement that the server keeps prepared for one session.
#[derive(Debug, Clone)]
pub struct Prepared {
    statement: tokio_postgres::Statement,
    sql: String,
}

/// A batch that stopped at an error.
#[derive(Debug, Clone)]
pub struct BatchError {
    /// How many statements of the batch had finished before: the 0-based index of the one that failed.
    pub finished: usize,
    /// The error.
    pub error: DbError,
}

/// How the connection was made: for a second one, and for a request to cancel.
pub(crate) struct Origin {
    /// Where to, at the address that answered.
    pub(crate) conninfo: Conninfo,
    /// The TLS that was offered.
    pub(crate) tls: Option<Connector>,
}

/// An open connection. Futures that are polled together are pipelined: no round trip is waited for between them.
pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
    endpoint: Endpoint,
    origin: Origin,
    /// What is given back when the session ends: an engine's only connection.
    held: Option<Box<dyn Any + Send + Sync>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Session {
    /// Wraps a connected client and the task that drives its connection.
    pub(crate) fn new(client: Client, driver: JoinHandle<()>, endpoint: Endpoint, origin: Origin) -> Self {
        Self { client, driver, endpoint, origin, held: None }
    }

    /// Keeps `guard` for as long as the session lives.
    #[cfg(feature = "embedded")]
    pub(crate) fn hold(&mut self, guard: impl Any + Send + Sync) {
        self.held = Some(Box::new(guard));
    }

    /// Where this session is connected.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What another connection to the same server is made from; none where this is an engine's only one.
    pub(crate) fn beside(&self) -> Option<&Conninfo> {
        self.held.is_none().then_some(&self.origin.conninfo)
    }

    /// Asks the server to cancel what runs here now, over a connection of the request's own. Whether that helped is seen
    /// by what runs; where this is an engine's only connection nothing is asked.
    ///
    /// # Errors
    /// The request did not reach the server.
    pub(crate) async fn cancel(&self) -> Result<(), DbError> {
        if self.held.is_some() {
            return Ok(());
        }
        let token = self.client.cancel_token();
        match &self.origin.tls {
            Some(connector) => token.cancel_query(connector.clone()).await?,
            None => token.cancel_query(NoTls).await?,
        }
        Ok(())
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements through the simple protocol: one message, one round trip, results thrown away.
    ///
    /// # Errors
    /// The first statement's error; those after it did not run.
    pub async fn batch(&self, sql: &str) -> Result<(), DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql);
        self.client.batch_execute(sql).await.map_err(DbError::from)
    }

    /// As [`Session::batch`], counting the statements that finish.
    ///
    /// # Errors
    /// The first error and how many statements had finished before it.
    pub async fn batch_counting(&self, sql: &str) -> Result<usize, BatchError> {
        tracing::trace!(target: "chartchek_db::sql", sql);
        let mut finished = 0;
        let stream = match self.client.simple_query_raw(sql).await {
            Ok(stream) => stream,
            Err(error) => return Err(BatchError { finished, error: error.into() }),
        };
        pin_mut!(stream);
        loop {
            match stream.next().await {
                Some(Ok(SimpleQueryMessage::CommandComplete(_))) => finished += 1,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(BatchError { finished, error: error.into() }),
                None => return Ok(finished),
            }
        }
    }

    /// Runs statements through the simple protocol and gives every row of every statement as text.
    ///
    /// # Errors
    /// The first statement's error.
    pub async fn text_rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql);
        let messages = self.client.simple_query(sql).await?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
                }
                _ => None,
            })
            .collect())
    }

    /// Runs one statement through the extended protocol (one round trip, safe through a transaction pooler) with
    /// typed parameters, and gives its rows.
    ///
    /// # Errors
    /// The statement's error.
    pub async fn rows(&self, sql: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql);
        self.client.query_typed(sql, params).await.map_err(DbError::from)
    }

    /// Runs one statement without parameters through the extended protocol, so that no text can smuggle in a second
    /// one. Its first column, if it gives rows, must be of type text.
    ///
    /// # Errors
    /// The statement's error.
    pub async fn statement(&self, sql: &str) -> Result<StatementResult, DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql);
        let no_parameters: [(&(dyn ToSql + Sync), Type); 0] = [];
        let stream = self.client.query_typed_raw(sql, no_parameters).await?;
        pin_mut!(stream);
        let mut keys = Vec::new();
        while let Some(row) = stream.try_next().await? {
            keys.push(if row.is_empty() { None } else { row.try_get::<_, Option<String>>(0)? });
        }
        let count = stream.rows_affected().unwrap_or(keys.len() as u64);
        Ok(StatementResult { keys, count })
    }

    /// Prepares a statement without parameters, for [`Session::run`].
    ///
    /// # Errors
    /// The server's error.
    pub async fn prepare(&self, sql: &str) -> Result<Prepared, DbError> {
        Ok(Prepared { statement: self.client.prepare(sql).await?, sql: sql.to_owned() })
    }

    /// Runs a prepared statement whose first column is of type text, and gives that column.
    ///
    /// # Errors
    /// The statement's error.
    pub async fn run(&self, prepared: &Prepared) -> Result<StatementResult, DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql = prepared.sql);
        let no_parameters: [&(dyn ToSql + Sync); 0] = [];
        let rows = self.client.query(&prepared.statement, &no_parameters).await?;
        let keys: Result<Vec<Option<String>>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let keys = keys?;
        let count = keys.len() as u64;
        Ok(StatementResult { keys, count })
    }

    /// Runs a prepared `COPY … TO STDOUT` in its text format, and gives its first column.
    ///
    /// # Errors
    /// The statement's error.
    pub async fn copy_out(&self, prepared: &Prepared) -> Result<StatementResult, DbError> {
        tracing::trace!(target: "chartchek_db::sql", sql = prepared.sql);
        let parts: Vec<_> = self.client.copy_out(&prepared.statement).await?.try_collect().await?;
        let text = String::from_utf8_lossy(&parts.concat()).into_owned();
        let keys: Vec<Option<String>> = text.lines().map(copied_field).collect();
        let count = keys.len() as u64;
        Ok(StatementResult { keys, count })
    }

    /// Closes the connection and waits until the server has been told.
    pub async fn close(self) {
        drop(self.client);
        // The driver ends by itself once the client is gone; a panic in it has nothing left to harm.
        let _ended = self.driver.await;
        drop(self.held);
    }
}

/// The first field of a line of COPY's text format.
fn copied_field(line: &str) -> Option<String> {
    let field = line.split('\t').next().unwrap_or_default();
    if field == "\\N" {
        return None;
    }
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        let character = if character == '\\' { characters.next().map(unescaped) } else { Some(character) };
        text.extend(character);
    }
    Some(text)
}

fn unescaped(character: char) -> char {
    match character {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::copied_field;

    #[test]
    fn copied_text_is_read_as_it_was() {
        assert_eq!(copied_field("plain\tmore").as_deref(), Some("plain"));
        assert_eq!(copied_field(r"a\tb\nc\\d\.").as_deref(), Some("a\tb\nc\\d."));
        assert_eq!(copied_field(""), Some(String::new()));
        assert_eq!(copied_field(r"\N"), None);
        assert_eq!(copied_field(r"\\N").as_deref(), Some(r"\N"));
    }
}
