//! The history of a database that has the schema already: rows up to a version, recorded without running the files.

use crate::db::session::Session;
use crate::db::sqlstate;
use crate::migrate::apply::{ApplyOptions, Event};
use crate::migrate::file::MigrationFile;
use crate::migrate::history::{self, Look};
use crate::migrate::{lock, runner};
use crate::model::failure::Failure;

/// Records the files up to `version` as applied, in one transaction under the migration lock, once `check` says that the
/// database is what they make. `check` is called with the lock held and gets the session outside of a transaction. Gives
/// whether it was recorded: `check`'s answer.
///
/// # Errors
/// Usage: no file of that version, or a history that is not empty. Lock: not had in time. Connection: read-only, not
/// enough rights. What `check` fails with.
pub async fn baseline(
    session: &Session,
    files: &[MigrationFile],
    version: i32,
    options: &ApplyOptions,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
    check: impl AsyncFnOnce(&Session) -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    if files.iter().all(|file| file.version() != version) {
        return Err(Failure::usage(format!("--baseline {version}: there is no migration of that version"))
            .help("name the newest one whose changes the database has already"));
    }
    let (recorded, pending): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.version() <= version);
    let look = history::look(session).await?;
    refuse_history(&look)?;
    on_event(&Event::Looked { server: &look.server, applied: 0, pending: pending.len() });
    look.server.refuse_read_only(|failure| failure.note("nothing was recorded"))?;
    let look = lock::acquire(session, options.lock_wait, &options.stop, on_event).await?;
    let done = async {
        refuse_history(&look)?;
        if !check(session).await? {
            return Ok(false);
        }
        record(session, &look, &recorded, options).await.map(|()| true)
    }
    .await;
    lock::release(session).await;
    done
}

fn refuse_history(look: &Look) -> Result<(), Failure> {
    match look.rows.as_deref().and_then(<[_]>::last) {
        None => Ok(()),
        Some(newest) => Err(Failure::usage(format!(
            "--baseline is for a database without history, and this one's reaches version {}",
            newest.version
        ))
        .note("nothing was recorded")
        .help("`chartchek-db status` shows the history; `chartchek-db repair` how it differs from the files")),
    }
}

async fn record(
    session: &Session,
    look: &Look,
    files: &[&MigrationFile],
    options: &ApplyOptions,
) -> Result<(), Failure> {
    let (table, inserts) = runner::records(files).await?;
    let mut statements = look.begin(options.lock_timeout, None);
    statements.extend(look.creation(&table));
    statements.extend(inserts);
    statements.push("COMMIT".to_owned());
    let Err(error) = session.batch(&statements.join(";\n")).await else { return Ok(()) };
    // Where this fails too the connection is gone, and the transaction with it.
    let _rolled_back = session.batch("ROLLBACK").await;
    let rights = error.code == sqlstate::INSUFFICIENT_PRIVILEGE;
    let failure = error.into_failure("the history was not written");
    Err(if rights {
        failure.help("connect as the database's owner, or: grant create on database … to …;")
    } else {
        failure.help("`chartchek-db status` shows what is recorded")
    })
}
