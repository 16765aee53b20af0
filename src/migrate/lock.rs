//! The migration lock: one advisory lock a database, taken by polling, and shown to be this connection's own.

use crate::db::error::DbError;
use crate::db::session::Session;
use crate::migrate::apply::Event;
use crate::migrate::blockers;
use crate::migrate::history::{self, Look};
use crate::migrate::stop::Stop;
use crate::model::failure::{Failure, FailureKind};
use rand::Rng;
use std::time::{Duration, Instant};

/// The key: "chartchk" in ASCII.
const KEY: i64 = 0x6368_6172_7463_686b;
/// An expression: whether this backend holds the lock. pg_locks shows a bigint key as its two halves.
pub(crate) const HELD: &str = "EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' \
    AND pid = pg_catalog.pg_backend_pid() AND classid = 1667785074 AND objid = 1952671851 AND objsubid = 1 AND granted)";
/// A message of no effect that fails where the server can't notice within a statement that its client has gone. (Of two
/// statements, so that SET LOCAL warns of no missing transaction.)
const NOTICES: &str = "SET LOCAL client_connection_check_interval = 500; SELECT";
/// How long giving the lock back may take: a server that does not answer gives it back when it notices by itself.
const RELEASE: Duration = Duration::from_secs(2);
/// The SQLSTATE that [`guard`] raises.
pub(crate) const NOT_HELD: &str = "CDB01";

/// Another session that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id at the server.
    pub pid: i32,
    /// The name that it gave itself; may be empty.
    pub application: String,
    /// `active`, `idle in transaction`, …; empty where this role may not see it.
    pub state: String,
    /// For how long it has been connected, or in its transaction.
    pub age: Duration,
    /// The first words of what it runs or ran last, without values; empty where nobody asked, or may not see it.
    pub query: String,
}

impl std::fmt::Display for Holder {
    /// `pid 123 (psql, idle in transaction, for 12 s; query: select * from t)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            return f.write_str("a prepared transaction, which pg_prepared_xacts shows");
        }
        write!(f, "pid {} (", self.pid)?;
        for part in [&self.application, &self.state] {
            if !part.is_empty() {
                write!(f, "{part}, ")?;
            }
        }
        write!(f, "for {} s", self.age.as_secs())?;
        if !self.query.is_empty() {
            write!(f, "; query: {}", self.query)?;
        }
        f.write_str(")")
    }
}

impl Holder {
    /// The statement that ends it and rolls its work back.
    pub fn end(&self) -> String {
        if self.pid == 0 {
            return "rollback prepared '…'; with a gid of: select gid from pg_prepared_xacts;".to_owned();
        }
        format!("select pg_terminate_backend({});", self.pid)
    }
}

/// [`HELD`] for the backend `pid`.
pub(crate) fn held_by(pid: &str) -> String {
    HELD.replace("pg_catalog.pg_backend_pid()", pid)
}

/// A statement that fails unless this backend holds the lock: through a transaction pooler each transaction may meet
/// another backend.
pub(crate) fn guard() -> String {
    format!(
        "DO $guard$ BEGIN IF NOT {HELD} THEN RAISE EXCEPTION USING ERRCODE = '{NOT_HELD}', \
         MESSAGE = 'this backend does not hold the migration lock'; END IF; END $guard$"
    )
}

/// Takes the lock, polling with growing jittered pauses for at most `wait`, and looks at the history under it. Never
/// blocks in `pg_advisory_lock`: a backend that waits there keeps a snapshot, and CREATE INDEX CONCURRENTLY of the holder
/// would wait for it in turn.
///
/// # Errors
/// The lock was not had in time (kind lock); told to stop (interrupted); a transaction pooler stands between (kind connection); the server's.
pub(crate) async fn acquire(
    session: &Session,
    wait: Duration,
    stop: &Stop,
    on_event: &mut (dyn FnMut(&Event<'_>) + Send),
) -> Result<Look, Failure> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(50);
    let attempt = format!(
        "SELECT CASE WHEN {HELD} THEN 'before' WHEN pg_catalog.pg_try_advisory_lock({KEY}) THEN 'taken' ELSE 'busy' END"
    );
    loop {
        let (taken, notices, look) =
            futures::join!(session.text_rows(&attempt), session.batch(NOTICES), history::look(session));
        let taken = taken.map_err(|error| error.into_failure("cannot take the migration lock"))?;
        match taken.first().and_then(|row| row.first()).and_then(Option::as_deref) {
            Some("before") => return Err(pooled()),
            Some("taken") => match look {
                Ok(mut look) if look.holds_lock => {
                    look.notices_gone_clients = notices.is_ok();
                    return Ok(look);
                }
                Ok(_) => return Err(pooled()),
                Err(failure) => {
                    release(session).await;
                    return Err(failure);
                }
            },
            _ => {}
        }
        let holder = holder(session).await.map_err(|error| error.into_failure("cannot see who holds the lock"))?;
        let waited = started.elapsed();
        if stop.is_asked() {
            return Err(interrupted(holder.as_ref()));
        }
        if waited >= wait {
            return Err(busy(holder.as_ref(), waited));
        }
        on_event(&Event::Waiting { holder: holder.as_ref(), waited });
        let jittered = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        tokio::select! {
            () = tokio::time::sleep(jittered.min(wait.saturating_sub(waited))) => {}
            () = stop.asked() => {}
        }
        pause = (pause * 3 / 2).min(Duration::from_secs(1));
    }
}

/// Gives the lock back. Where that fails the connection is gone, and the lock with it.
pub(crate) async fn release(session: &Session) {
    let unlock = format!("SELECT pg_catalog.pg_advisory_unlock({KEY})");
    match tokio::time::timeout(RELEASE, session.batch(&unlock)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the migration lock was not given back"),
        Err(_) => tracing::debug!("the migration lock was not given back: no answer"),
    }
}

/// Who holds the lock, of other sessions.
///
/// # Errors
/// The server's.
pub(crate) async fn holder(session: &Session) -> Result<Option<Holder>, DbError> {
    let rows = session
        .text_rows(
            "SELECT l.pid::text, a.application_name, a.state, \
               greatest(extract(epoch FROM clock_timestamp() - a.backend_start), 0)::bigint::text \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.classid = 1667785074 AND l.objid = 1952671851 AND l.objsubid = 1 \
               AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() \
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())",
        )
        .await?;
    Ok(holders(&rows).into_iter().next())
}

/// Reads rows of pid, application name, state, seconds, and the query where there is one.
pub(crate) fn holders(rows: &[Vec<Option<String>>]) -> Vec<Holder> {
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    rows.iter()
        .filter_map(|row| {
            Some(Holder {
                pid: text(row, 0).parse().ok()?,
                application: text(row, 1),
                state: text(row, 2),
                age: Duration::from_secs(text(row, 3).parse().unwrap_or(0)),
                query: blockers::first_words(&text(row, 4)),
            })
        })
        .collect()
}

fn busy(holder: Option<&Holder>, waited: Duration) -> Failure {
    let failure = Failure::new(
        FailureKind::Lock,
        format!("the migration lock was not had within {:.0} s: another migration runs", waited.as_secs_f64()),
    )
    .note("nothing was applied");
    match holder {
        Some(holder) => failure
            .note(format!("held by {holder}"))
            .help("wait for it to end, or give more time with --lock-wait SECONDS")
            .help(format!("if it hangs, end it; its transaction rolls back: {}", holder.end())),
        None => failure.note("it was given back at the very end").help("run the command again"),
    }
}

fn interrupted(holder: Option<&Holder>) -> Failure {
    let failure = Failure::new(FailureKind::Interrupted, "interrupted while waiting for the migration lock")
        .note("nothing was applied");
    match holder {
        Some(holder) => failure.note(format!("held by {holder}")),
        None => failure,
    }
}

fn pooled() -> Failure {
    Failure::new(FailureKind::Connection, "a transaction pooler stands between this tool and the database")
        .note("the migration lock and the statements met different backends, so the lock protects nothing")
        .note("nothing was applied")
        .help("connect to the database directly, or to the pooler's session mode (port 5432 at Supabase, not 6543)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_the_key_are_what_pg_locks_shows() {
        assert!(HELD.contains(&format!("classid = {} AND objid = {}", KEY >> 32, KEY & 0xffff_ffff)));
    }
}
