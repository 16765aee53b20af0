//! What is applied, pending, changed and missing; reads only.

use crate::db::session::Session;
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look, Row, Server};
use crate::migrate::lock::{self, Holder};
use crate::model::failure::Failure;
use time::format_description::well_known::Rfc3339;

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Applied, and the file is the same.
    Applied,
    /// Not applied yet.
    Pending,
    /// Not applied, though a higher version is: it would never run.
    Late,
    /// Applied, and the file was edited or renamed since.
    Changed,
    /// Applied, and there is no such file.
    Missing,
}

impl State {
    /// The word in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Late => "late",
            Self::Changed => "changed",
            Self::Missing => "missing",
        }
    }
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The version.
    pub version: i32,
    /// The file's path, or `V<version>__<name>` where there is no file.
    pub file: String,
    /// How it stands.
    pub state: State,
    /// When it was applied, in RFC 3339, as UTC.
    pub applied_on: Option<String>,
}

/// Every migration of the project and of the history, by version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The server.
    pub server: Server,
    /// The history table, with its schema; `None` where there is none yet.
    pub history: Option<String>,
    /// Who holds the migration lock: another run.
    pub holder: Option<Holder>,
    /// The migrations.
    pub entries: Vec<Entry>,
}

impl Status {
    /// How many are in that state.
    pub fn count(&self, state: State) -> usize {
        self.entries.iter().filter(|entry| entry.state == state).count()
    }

    /// Whether all is applied and nothing differs.
    pub fn is_clean(&self) -> bool {
        self.entries.iter().all(|entry| entry.state == State::Applied)
    }
}

/// Compares files and history, in one round trip, without a lock, a write or a right to either.
///
/// # Errors
/// The server's; a history row that does not parse.
pub async fn status(session: &Session, files: &[MigrationFile]) -> Result<Status, Failure> {
    let (look, holder) = look(session).await?;
    let rows = look.rows.as_deref();
    let history = rows.map(|_| look.table.clone());
    Ok(Status { entries: compare(files, rows.unwrap_or_default()), holder, history, server: look.server })
}

/// The server and the history, and who else holds the migration lock: one round trip, in read-only transactions.
///
/// # Errors
/// As [`status`].
pub(crate) async fn look(session: &Session) -> Result<(Look, Option<Holder>), Failure> {
    let (look, begun, holder, ended) = futures::join!(
        history::look(session),
        session.batch("BEGIN TRANSACTION READ ONLY"),
        lock::holder(session),
        session.batch("ROLLBACK")
    );
    let look = look?;
    let holder = match (begun, holder, ended) {
        (Ok(()), Ok(holder), Ok(())) => Ok(holder),
        (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => Err(error),
    };
    Ok((look, holder.map_err(|error| error.into_failure("cannot see who holds the migration lock"))?))
}

/// Files against rows; both sorted by version.
pub(crate) fn compare(files: &[MigrationFile], rows: &[Row]) -> Vec<Entry> {
    let last = rows.last().map(|row| row.version);
    let mut entries: Vec<Entry> = files
        .iter()
        .map(|file| {
            let row = rows.iter().find(|row| row.version == file.version());
            let state = match row {
                Some(row) if row.name == file.name() && file.has_checksum(row.checksum) => State::Applied,
                Some(_) => State::Changed,
                None if last.is_some_and(|last| last > file.version()) => State::Late,
                None => State::Pending,
            };
            Entry {
                version: file.version(),
                file: file.source().path.clone(),
                state,
                applied_on: row.and_then(applied_on),
            }
        })
        .collect();
    entries.extend(rows.iter().filter(|row| files.iter().all(|file| file.version() != row.version)).map(|row| Entry {
        version: row.version,
        file: format!("V{}__{}", row.version, row.name),
        state: State::Missing,
        applied_on: applied_on(row),
    }));
    entries.sort_by_key(|entry| entry.version);
    entries
}

fn applied_on(row: &Row) -> Option<String> {
    let at = row.applied_on.to_offset(time::UtcOffset::UTC);
    at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}
