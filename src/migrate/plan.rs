//! What would run: the pending files, once files and history agree.

use crate::db::session::Session;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::history::{Look, Row, Server};
use crate::migrate::lock::Holder;
use crate::migrate::sql::{self, Script};
use crate::migrate::status::{self, State, compare};
use crate::model::failure::Failure;

/// What `migrate` would do.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The server.
    pub server: Server,
    /// Who holds the migration lock: another run.
    pub holder: Option<Holder>,
    /// How many files are applied.
    pub applied: usize,
    /// The files to run, in order, with their statements; every one passed the checks.
    pub pending: Vec<(&'a MigrationFile, Script)>,
    /// How many more are pending beyond the version asked for.
    pub beyond: usize,
}

/// Makes the plan, in one round trip and a read-only transaction: nothing can be written by it.
///
/// # Errors
/// As [`crate::migrate::apply()`] before it writes.
pub async fn plan<'a>(session: &Session, files: &'a [MigrationFile], to: Option<i32>) -> Result<Plan<'a>, Failure> {
    let (look, holder) = status::look(session).await?;
    Ok(Plan { holder, ..make(files, &look, to)? })
}

/// The plan for what a look saw.
pub(crate) fn make<'a>(files: &'a [MigrationFile], look: &Look, to: Option<i32>) -> Result<Plan<'a>, Failure> {
    let rows = look.rows.as_deref().unwrap_or_default();
    if let Some(to) = to
        && files.iter().all(|file| file.version() != to)
    {
        return Err(Failure::usage(format!("--to {to}: there is no migration of that version")).help(
            files.last().map_or("there is none at all".to_owned(), |last| format!("the newest is {}", last.version())),
        ));
    }
    agree(files, rows).map_err(|failure| look.told(failure))?;
    let newest = rows.last().map(|row| row.version);
    let pending: Vec<_> = files.iter().filter(|file| newest.is_none_or(|newest| file.version() > newest)).collect();
    let (wanted, beyond): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|file| to.is_none_or(|to| file.version() <= to));
    let mut checked = Vec::with_capacity(wanted.len());
    for file in wanted {
        let script = file.script();
        sql::check(file.source(), &script)?;
        checked.push((file, script));
    }
    Ok(Plan { server: look.server.clone(), holder: None, applied: rows.len(), pending: checked, beyond: beyond.len() })
}

/// Files and history must agree before anything runs.
fn agree(files: &[MigrationFile], rows: &[Row]) -> Result<(), Failure> {
    for entry in compare(files, rows) {
        let file = files.iter().find(|file| file.version() == entry.version);
        let row = rows.iter().find(|row| row.version == entry.version);
        let failure = match (entry.state, file, row) {
            (State::Applied | State::Pending, ..) => continue,
            (State::Changed, Some(file), Some(row)) => changed(file, row),
            (State::Missing, ..) => Failure::usage(format!("{} is applied, but its file is missing", entry.file))
                .note("the history has it, the project does not: an older checkout, or a deleted file")
                .help("take the checkout that has the file; a migration that is applied is never deleted"),
            (_, Some(file), _) => late(file, rows),
            (_, None, _) => continue,
        };
        return Err(failure.note("nothing was applied"));
    }
    Ok(())
}

fn changed(file: &MigrationFile, row: &Row) -> Failure {
    let path = &file.source().path;
    if row.name == file.name() {
        Failure::usage(format!("{path} was edited after it was applied"))
            .at(file::top(file.source(), "differs from what the history recorded"))
            .note(format!("recorded with checksum {}, the file has {}", row.checksum, file.migration().checksum()))
            .help("undo the edit, and put the change into a new migration")
            .help("where the database is as the file says: chartchek-db repair")
    } else {
        Failure::usage(format!("{path} is applied under another name: V{}__{}", row.version, row.name))
            .note("the file was renamed after it was applied, or two branches took the same version")
            .help("give the file its name back; if it is another migration, give it the next free version")
    }
}

fn late(file: &MigrationFile, rows: &[Row]) -> Failure {
    let newest = rows.last().map_or(0, |row| row.version);
    Failure::usage(format!("{} comes late: version {newest} is applied already", file.source().path))
        .note("it would run after migrations that were written to follow it; two branches may have met")
        .help(format!("give it the next free version, above {newest}"))
}
