//! The history table: looked at without writing, and made in the first file's transaction.

mod elsewhere;

use crate::db::error::DbError;
use crate::db::quote;
use crate::db::session::Session;
use crate::db::sqlstate;
use crate::migrate::lock;
use crate::model::failure::{Failure, FailureKind};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The schema that holds the history.
pub const SCHEMA: &str = "chartchek_meta";
/// The history table that the tool makes, as refinery pastes it into its SQL.
pub(crate) const TABLE: &str = "chartchek_meta.refinery_schema_history";

/// One row of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The version.
    pub(crate) version: i32,
    /// The name after the version.
    pub(crate) name: String,
    /// When it was applied.
    pub(crate) applied_on: OffsetDateTime,
    /// refinery's checksum of name, version and text.
    pub(crate) checksum: u64,
}

/// What a look at the server told of it, for headers and errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `15.8`, …
    pub version: String,
    /// The role that statements run as.
    pub role: String,
    /// Why it can't be written to, where it can't.
    pub read_only: Option<&'static str>,
}

impl Server {
    /// Nothing where it can be written to.
    ///
    /// # Errors
    /// Connection: it is read-only; `said` adds what was about to be written.
    pub(crate) fn refuse_read_only(&self, said: impl FnOnce(Failure) -> Failure) -> Result<(), Failure> {
        let Some(why) = self.read_only else { return Ok(()) };
        let failure = Failure::new(FailureKind::Connection, "the database is read-only").note(why);
        Err(said(failure).help("connect to the primary, as a role that may write"))
    }
}

/// The server and the history, as one read-only transaction saw them.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The server.
    pub(crate) server: Server,
    /// The rows by version; `None` where there is no table yet.
    pub(crate) rows: Option<Vec<Row>>,
    /// The history table: [`TABLE`], or the one that refinery_cli began.
    pub(crate) table: String,
    /// Whether that one is open to others than its owner.
    open: bool,
    /// Whether the schema is there.
    schema: bool,
    /// The API's roles that exist, quoted.
    api_roles: Vec<String>,
    /// The session's `role` setting, and what was SET in it: what a file's own SETs are undone to.
    role_setting: String,
    settings: Vec<(String, String)>,
    /// The backend.
    pub(crate) pid: i32,
    /// How long a backend waits for a lock before it looks whether it is in a deadlock.
    pub(crate) deadlock_timeout: Duration,
    /// Whether the server can notice within a statement that its client has gone; known once the lock is held.
    pub(crate) notices_gone_clients: bool,
    /// Whether this backend holds the migration lock.
    pub(crate) holds_lock: bool,
}

/// Looks at server and history in one round trip and one read-only transaction. The history is read without asking
/// first whether it exists: that answer would cost a round trip.
///
/// # Errors
/// The server's; a row that does not parse.
pub(crate) async fn look(session: &Session) -> Result<Look, Failure> {
    let facts = format!(
        "BEGIN TRANSACTION READ ONLY; SET LOCAL row_security = off; \
         SELECT 'server', pg_catalog.current_setting('server_version'), current_user::text, \
           CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' \
                WHEN pg_catalog.current_setting('default_transaction_read_only')::boolean THEN 'default' END, \
           (pg_catalog.to_regnamespace('{SCHEMA}') IS NOT NULL)::text, pg_catalog.current_setting('role'), \
           ({})::text, pg_catalog.pg_backend_pid()::text, \
           (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'), {}; \
         SELECT 'role', rolname::text FROM pg_catalog.pg_roles \
           WHERE rolname IN ('anon', 'authenticated', 'service_role'); \
         SELECT 'setting', name, setting FROM pg_catalog.pg_settings \
           WHERE source = 'session' AND name NOT LIKE 'transaction\\_%' AND name <> 'row_security'",
        lock::HELD,
        elsewhere::FACTS
    );
    let history = select(TABLE);
    let (facts, history, ended) =
        futures::join!(session.text_rows(&facts), session.text_rows(&history), session.batch("ROLLBACK"));
    let facts = facts.map_err(|error| error.into_failure("cannot look at the server"))?;
    let rows = match history {
        Ok(rows) => Some(rows.iter().map(|row| parse(row, TABLE)).collect::<Result<Vec<_>, _>>()?),
        Err(error) if error.code == sqlstate::UNDEFINED_TABLE => None,
        Err(error) => return Err(unreadable(error, TABLE)),
    };
    ended.map_err(|error| error.into_failure("cannot look at the server"))?;
    let (mut look, other) = read(&facts, rows)
        .ok_or_else(|| Failure::new(FailureKind::Inconclusive, "the server's answer about itself is incomplete"))?;
    // One round trip more, and only on a database that refinery_cli began.
    if let (None, Some((table, open))) = (&look.rows, other)
        && let Some(rows) = elsewhere::rows(session, &table).await?
    {
        look = Look { rows: Some(rows), table, open, ..look };
    }
    Ok(look)
}

/// What reads a history table, by version. The table's own column is named: the bare name is that of the text that is
/// selected, where 10 comes before 9.
fn select(table: &str) -> String {
    format!("SELECT h.version::text, h.name, h.applied_on, h.checksum FROM {table} h ORDER BY h.version")
}

/// The look, and refinery_cli's table: its name, and whether it is open.
fn read(facts: &[Vec<Option<String>>], rows: Option<Vec<Row>>) -> Option<(Look, Option<(String, bool)>)> {
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten();
    let of = |kind: &'static str| facts.iter().filter(move |row| text(row, 0).as_deref() == Some(kind));
    let server = of("server").next()?;
    let look = Look {
        server: Server {
            version: text(server, 1)?.split(' ').next().unwrap_or_default().to_owned(),
            role: text(server, 2)?,
            read_only: match text(server, 3).as_deref() {
                Some("standby") => Some("it is a standby, a read-only copy"),
                Some(_) => Some("default_transaction_read_only is on"),
                None => None,
            },
        },
        rows,
        table: TABLE.to_owned(),
        open: false,
        schema: text(server, 4)? == "true",
        role_setting: text(server, 5)?,
        holds_lock: text(server, 6)? == "true",
        pid: text(server, 7)?.parse().ok()?,
        deadlock_timeout: Duration::from_millis(text(server, 8)?.parse().ok()?),
        notices_gone_clients: false,
        api_roles: of("role").filter_map(|row| text(row, 1)).map(|role| quote::identifier(&role)).collect(),
        settings: of("setting").filter_map(|row| Some((text(row, 1)?, text(row, 2)?))).collect(),
    };
    Some((look, text(server, 9).map(|table| (table, text(server, 10).as_deref() == Some("true")))))
}

impl Look {
    /// The statements that make schema and table, nobody else's business; `table` is refinery's CREATE TABLE. Where the
    /// table is there they are none, but for one of refinery_cli's that is open: who writes there decides what runs.
    pub(crate) fn creation(&self, table: &str) -> Vec<String> {
        if self.rows.is_some() && !self.open {
            return Vec::new();
        }
        let mut nobody = vec!["PUBLIC".to_owned()];
        nobody.extend(self.api_roles.iter().cloned());
        let nobody = nobody.join(", ");
        let closed = [
            format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", self.table),
            format!("REVOKE ALL ON TABLE {} FROM {nobody}", self.table),
        ];
        if self.rows.is_some() {
            return closed.into();
        }
        let mut statements = Vec::new();
        if !self.schema {
            statements.push(format!("CREATE SCHEMA {SCHEMA}"));
            statements.push(format!("REVOKE ALL ON SCHEMA {SCHEMA} FROM {nobody}"));
        }
        statements.push(table.trim().trim_end_matches(';').to_owned());
        statements.extend(closed);
        statements
    }

    /// A failure of files that this history does not fit.
    pub(crate) fn told(&self, failure: Failure) -> Failure {
        elsewhere::told(failure, &self.table)
    }

    /// The statements that begin a file's transaction: short waits for locks, a limit for each statement where one is
    /// given, and an end with the client.
    pub(crate) fn begin(&self, lock_timeout: Duration, statement_timeout: Option<Duration>) -> Vec<String> {
        let mut statements = vec!["BEGIN".to_owned(), format!("SET LOCAL lock_timeout = {}", lock_timeout.as_millis())];
        if let Some(limit) = statement_timeout {
            statements.push(format!("SET LOCAL statement_timeout = {}", limit.as_millis()));
        }
        statements.extend(self.end_with_client("SET LOCAL"));
        statements.push(lock::guard());
        statements
    }

    /// The statement by which the server looks twice a second whether its client is there: else what runs when a
    /// `migrate` is killed runs on, and holds the migration lock. Nothing where the server's platform can't.
    pub(crate) fn end_with_client(&self, set: &str) -> Option<String> {
        self.notices_gone_clients.then(|| format!("{set} client_connection_check_interval = 500"))
    }

    /// The statements that undo a file's SETs, so that none leaks into the history's INSERT or the next file.
    pub(crate) fn restore(&self) -> String {
        let mut sql = String::from("RESET ALL; ");
        for (name, value) in std::iter::once(("role", self.role_setting.as_str()))
            .chain(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        {
            sql.push_str(&format!(
                "SELECT pg_catalog.set_config({}, {}, false); ",
                quote::literal(name),
                quote::literal(value)
            ));
        }
        sql
    }
}

fn parse(row: &[Option<String>], table: &str) -> Result<Row, Failure> {
    let text = |index: usize| row.get(index).cloned().flatten();
    let version = text(0).unwrap_or_else(|| "NULL".to_owned());
    let wrong = |column: &str| {
        Failure::new(
            FailureKind::Inconclusive,
            format!("a row of {table} does not parse: version {version}, column {column}"),
        )
        .note("nothing was applied: what is in the database can't be told from a damaged history")
        .help(format!("look at it with: select * from {table} where version = {version};"))
        .help(
            "applied_on is a time such as 2026-11-22T10:00:00Z, checksum a whole number; restore the row from a backup",
        )
    };
    Ok(Row {
        version: version.parse().map_err(|_| wrong("version"))?,
        name: text(1).ok_or_else(|| wrong("name"))?,
        applied_on: text(2)
            .and_then(|at| OffsetDateTime::parse(&at, &Rfc3339).ok())
            .ok_or_else(|| wrong("applied_on"))?,
        checksum: text(3).and_then(|sum| sum.parse().ok()).ok_or_else(|| wrong("checksum"))?,
    })
}

fn unreadable(error: DbError, table: &str) -> Failure {
    let rights = error.code == sqlstate::INSUFFICIENT_PRIVILEGE;
    let failure = error.into_failure("cannot read the migration history");
    if rights {
        failure.help(format!("connect as the role that owns {table}, the one that ran `chartchek-db migrate` first"))
    } else {
        failure
    }
}
