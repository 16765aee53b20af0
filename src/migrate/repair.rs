//! How files and history differ, and the acceptance of differences that are named. Only the history is ever written.

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::apply::Event;
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look, Row, Server};
use crate::migrate::lock;
use crate::migrate::status::{Entry, State, compare};
use crate::migrate::stop::Stop;
use crate::model::failure::{Failure, FailureKind};
use std::time::Duration;

/// A name and a checksum: what the history recorded, or what the file has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name after the version.
    pub name: String,
    /// refinery's checksum of name, version and text.
    pub checksum: u64,
}

/// One version that files and history do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The version.
    pub version: i32,
    /// [`State::Changed`], [`State::Missing`] or [`State::Late`].
    pub state: State,
    /// The file's path, or `V<version>__<name>` where there is no file.
    pub file: String,
    /// What the history recorded; `None` where the file is late.
    pub recorded: Option<Identity>,
    /// What the file has; `None` where it is missing.
    pub found: Option<Identity>,
    /// When it was applied, in RFC 3339, as UTC.
    pub applied_on: Option<String>,
}

/// Files and history, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences {
    /// The server.
    pub server: Server,
    /// The history table, with its schema; `None` where there is none yet.
    pub history: Option<String>,
    /// How many migrations the history holds.
    pub recorded: usize,
    /// The next version that no file and no row has.
    pub next: i32,
    /// What differs, by version.
    pub list: Vec<Difference>,
}

/// Compares files and history, in one round trip, without a lock, a write or a right to either.
///
/// # Errors
/// The server's; a history row that does not parse.
pub async fn differences(session: &Session, files: &[MigrationFile]) -> Result<Differences, Failure> {
    Ok(made(files, &history::look(session).await?))
}

/// Accepts the differences of `versions`, all or none, in one transaction under the migration lock: a changed row takes
/// name and checksum of the file, a missing one's row is deleted. Gives what was accepted, and what still differs.
///
/// # Errors
/// Usage: a version that does not differ, or a late one (nothing was written). Lock: not had in time. Connection:
/// read-only, not enough rights. Inconclusive: a row was changed by someone else meanwhile.
pub async fn accept(
    session: &Session,
    files: &[MigrationFile],
    versions: &[i32],
    lock_wait: Duration,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
) -> Result<(Vec<Difference>, Differences), Failure> {
    let look = history::look(session).await?;
    // What is refused anyway is refused without waiting for a lock.
    chosen(&made(files, &look), files, versions)?;
    look.server.refuse_read_only(|failure| failure.note("nothing was written"))?;
    let look = lock::acquire(session, lock_wait, &Stop::default(), on_event).await?;
    let done = match chosen(&made(files, &look), files, versions) {
        Ok(accepted) => match write(session, &accepted, &look.table).await {
            Ok(()) => history::look(session).await.map(|look| (accepted, made(files, &look))),
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    lock::release(session).await;
    done
}

fn made(files: &[MigrationFile], look: &Look) -> Differences {
    let rows = look.rows.as_deref().unwrap_or_default();
    let newest = [files.last().map(MigrationFile::version), rows.last().map(|row| row.version)];
    let list = compare(files, rows)
        .into_iter()
        .filter(|entry| !matches!(entry.state, State::Applied | State::Pending))
        .map(|entry| difference(entry, files, rows))
        .collect();
    Differences {
        server: look.server.clone(),
        history: look.rows.as_ref().map(|_| look.table.clone()),
        recorded: rows.len(),
        next: newest.into_iter().flatten().max().unwrap_or(0).saturating_add(1),
        list,
    }
}

fn difference(entry: Entry, files: &[MigrationFile], rows: &[Row]) -> Difference {
    let row = rows.iter().find(|row| row.version == entry.version);
    let file = files.iter().find(|file| file.version() == entry.version);
    Difference {
        recorded: row.map(|row| Identity { name: row.name.clone(), checksum: row.checksum }),
        found: file.map(|file| Identity { name: file.name().to_owned(), checksum: file.migration().checksum() }),
        version: entry.version,
        state: entry.state,
        file: entry.file,
        applied_on: entry.applied_on,
    }
}

/// The differences of these versions, each once and by version.
fn chosen(all: &Differences, files: &[MigrationFile], versions: &[i32]) -> Result<Vec<Difference>, Failure> {
    let mut versions = versions.to_vec();
    versions.sort_unstable();
    versions.dedup();
    let mut accepted = Vec::with_capacity(versions.len());
    for version in versions {
        let failure = match all.list.iter().find(|difference| difference.version == version) {
            Some(difference) if difference.state == State::Late => {
                Failure::usage(format!("{} is late: there is nothing to accept", difference.file))
                    .note("it was never applied here, so the history has no row that could be changed")
                    .help(format!("renumber it, with the next free version: {}", renumbered(difference, all.next)))
            }
            Some(difference) => {
                accepted.push(difference.clone());
                continue;
            }
            None if files.iter().any(|file| file.version() == version) => {
                Failure::usage(format!("version {version} does not differ: there is nothing to accept"))
            }
            None => Failure::usage(format!("version {version}: neither the history nor the project has it")),
        };
        return Err(failure
            .note("nothing was written")
            .help("`chartchek-db repair` without --accept shows what differs"));
    }
    Ok(accepted)
}

/// How a late file is renamed.
pub(crate) fn renumbered(difference: &Difference, next: i32) -> String {
    let name = difference.found.as_ref().map_or("", |found| found.name.as_str());
    let folder = difference.file.rfind(['/', '\\']).map_or("", |end| &difference.file[..=end]);
    format!("mv {} {folder}V{next:03}__{name}.sql", difference.file)
}

impl Difference {
    /// What to do about it, as a command; `next` is [`Differences::next`].
    pub fn remedy(&self, next: i32) -> String {
        match self.state {
            State::Late => renumbered(self, next),
            _ => format!("chartchek-db repair --accept {}", self.version),
        }
    }

    /// The statement that accepts it, returning one row; nothing where there is nothing to accept.
    fn statement(&self, table: &str) -> Option<String> {
        let recorded = self.recorded.as_ref()?;
        // The row as it was seen, and no other.
        let row = format!(
            "WHERE version = {} AND name = {} AND checksum = {} RETURNING version::text",
            self.version,
            quote::literal(&recorded.name),
            quote::literal(&recorded.checksum.to_string())
        );
        Some(match &self.found {
            None => format!("DELETE FROM {table} {row}"),
            Some(found) => format!(
                "UPDATE {table} SET name = {}, checksum = {} {row}",
                quote::literal(&found.name),
                quote::literal(&found.checksum.to_string())
            ),
        })
    }
}

/// Writes all or nothing: it is committed only once every statement has met its one row.
async fn write(session: &Session, accepted: &[Difference], table: &str) -> Result<(), Failure> {
    let mut message = format!("BEGIN; SET LOCAL lock_timeout = '3s'; SET LOCAL row_security = off; {}", lock::guard());
    for statement in accepted.iter().filter_map(|one| one.statement(table)) {
        message.push_str("; ");
        message.push_str(&statement);
    }
    let written = session.text_rows(&message).await;
    let end = if written.as_ref().is_ok_and(|rows| rows.len() == accepted.len()) { "COMMIT" } else { "ROLLBACK" };
    let ended = session.batch(end).await;
    let rows = written.map_err(|error| {
        error
            .into_failure("the history was not changed")
            .help(format!("connect as the role that owns {table}, the one that runs `chartchek-db migrate`"))
    })?;
    ended.map_err(|error| {
        error
            .into_failure("it is not known whether the history was changed")
            .help("`chartchek-db repair` shows what differs now")
    })?;
    if rows.len() == accepted.len() {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Inconclusive, "the history was changed by someone else meanwhile")
        .note("nothing was written")
        .help("`chartchek-db repair` shows what differs now"))
}
