//! Whom a file waits for: asked over a second connection while it waits, guessed afterwards where none is to be had.

use crate::db::connect;
use crate::db::error::DbError;
use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::lock::{self, Holder};
use crate::model::failure::Failure;
use std::convert::Infallible;
use std::time::Duration;

/// How long a message runs before anyone looks whether it waits, and how long between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a file's next try waits for the second connection.
const OPENING: Duration = Duration::from_secs(3);
/// The words of a query that are shown, at most.
const WORDS: usize = 8;

/// The sessions in a file's way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blockers {
    /// Whether the server named them while the file waited; else they hold locks on tables, and that is all that is known.
    pub named: bool,
    /// The sessions; those that wait themselves come last.
    pub holders: Vec<Holder>,
}

/// Looks at a session from beside it.
pub(crate) struct Watch<'a> {
    session: &'a Session,
    /// The backend of that session.
    pid: i32,
    beside: Beside,
    /// Whom the session waited for at the last look.
    seen: Vec<Holder>,
}

enum Beside {
    /// Nothing has waited yet.
    Unopened,
    Open(Box<Session>),
    /// The connections are used up, or the engine serves one.
    None,
}

impl<'a> Watch<'a> {
    /// Watches `session`, whose backend is `pid`. Nothing is opened yet.
    pub(crate) fn new(session: &'a Session, pid: i32) -> Self {
        Self { session, pid, beside: Beside::Unopened, seen: Vec::new() }
    }

    /// Looks again and again whom the session waits for, and tells where it is someone else; ends when it is dropped.
    pub(crate) async fn follow(&mut self, told: &mut (dyn FnMut(&[Holder]) + Send)) -> Infallible {
        self.seen.clear();
        let mut last = Vec::new();
        loop {
            tokio::time::sleep(PAUSE).await;
            match self.look().await {
                Some(holders) => self.seen = holders,
                None => std::future::pending().await,
            }
            let pids: Vec<i32> = self.seen.iter().map(|holder| holder.pid).collect();
            if !pids.is_empty() && pids != last {
                told(&self.seen);
                last = pids;
            }
        }
    }

    /// Opens the second connection before a file is tried again: within a short try there may be no time for it.
    pub(crate) async fn open(&mut self) {
        let _late: Result<(), _> = tokio::time::timeout(OPENING, self.connect()).await;
    }

    async fn connect(&mut self) {
        if let Beside::Unopened = self.beside {
            self.beside = match self.session.beside() {
                Some(conninfo) => connect::connect(conninfo).await.map_or_else(
                    |failure| {
                        tracing::debug!(%failure, "no second connection: blockers are guessed");
                        Beside::None
                    },
                    |session| Beside::Open(Box::new(session)),
                ),
                None => Beside::None,
            };
        }
    }

    /// Nothing where there is no second connection.
    async fn look(&mut self) -> Option<Vec<Holder>> {
        self.connect().await;
        let Beside::Open(beside) = &self.beside else { return None };
        match blocking(beside, self.pid).await {
            Ok(holders) => Some(holders),
            Err(error) => {
                tracing::debug!(%error, "the second connection does not answer: blockers are guessed");
                self.beside = Beside::None;
                None
            }
        }
    }

    /// Whom the last message waited for when it was seen last.
    pub(crate) fn seen(&self) -> &[Holder] {
        &self.seen
    }

    /// Who was in the way of a message that did not get a table's lock: those seen, else who holds locks on the tables
    /// that `statement` names.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn blockers(&self, statement: &str) -> Result<Blockers, Failure> {
        if self.seen.is_empty() {
            return Ok(Blockers { named: false, holders: table_holders(self.session, statement).await? });
        }
        Ok(Blockers { named: true, holders: self.seen.clone() })
    }

    /// Closes the second connection, if there is one.
    pub(crate) async fn close(self) {
        if let Beside::Open(beside) = self.beside {
            beside.close().await;
        }
    }
}

/// The sessions that `pg_blocking_pids` names. It stops all lock traffic for a moment, so it is asked only where the
/// backend waits for a lock; and that it is the backend that is meant is shown by the migration lock.
async fn blocking(beside: &Session, pid: i32) -> Result<Vec<Holder>, DbError> {
    let rows = beside
        .text_rows(&format!(
            "SELECT b.pid::text, a.application_name, a.state, \
               greatest(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 0)::bigint::text, \
               a.query \
             FROM pg_catalog.pg_stat_activity me CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(me.pid)) b(pid) \
             LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid \
             WHERE me.pid = {pid} AND me.wait_event_type = 'Lock' AND {} \
             ORDER BY coalesce(a.wait_event_type = 'Lock', false), a.xact_start",
            lock::held_by(&pid.to_string())
        ))
        .await?;
    let mut holders = lock::holders(&rows);
    // A parallel query is named once for each of its workers.
    holders.dedup_by_key(|holder| holder.pid);
    Ok(holders)
}

/// Sessions of this database that hold locks on tables in an open transaction: whom the file may have waited for. Those
/// on tables that `statement` names, or all where there is none such.
pub(crate) async fn table_holders(session: &Session, statement: &str) -> Result<Vec<Holder>, Failure> {
    let rows = session
        .text_rows(&format!(
            "SELECT a.pid::text, a.application_name, a.state, \
               greatest(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::bigint::text, a.query, \
               bool_or(strpos(lower({}), lower(c.relname)) > 0)::text \
             FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND l.granted \
               AND l.locktype = 'relation' AND l.relation >= 16384 \
             JOIN pg_catalog.pg_class c ON c.oid = l.relation \
             WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.datname = current_database() \
             GROUP BY 1, 2, 3, 5, a.xact_start ORDER BY a.xact_start",
            quote::literal(statement)
        ))
        .await
        .map_err(|error| error.into_failure("cannot see who holds the table's lock"))?;
    let is_named = |row: &Vec<Option<String>>| row.get(5).is_some_and(|named| named.as_deref() == Some("true"));
    let named: Vec<_> = rows.iter().filter(|row| is_named(row)).cloned().collect();
    Ok(lock::holders(if named.is_empty() { &rows } else { &named }))
}

/// The first words of a query, without anything that may be a row's value: it ends at the first quote, dollar sign,
/// comment or number.
pub(crate) fn first_words(query: &str) -> String {
    // What another role may see of it is `<insufficient privilege>`.
    if query.starts_with('<') {
        return String::new();
    }
    let mut shown = Vec::new();
    for word in query.split_whitespace() {
        let value = |word: &str| {
            word.contains(['\'', '"', '$', '`'])
                || word.contains("--")
                || word.contains("/*")
                || word
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .any(|part| part.starts_with(|c: char| c.is_numeric()))
        };
        if shown.len() == WORDS || value(word) {
            shown.push("…");
            break;
        }
        shown.push(word);
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::first_words;

    #[test]
    fn no_value_of_a_row_is_shown() {
        for (query, shown) in [
            ("select * from busy", "select * from busy"),
            ("UPDATE patients\n  SET name = 'Jane Roe' WHERE id = 7", "UPDATE patients SET name = …"),
            ("update patients set mrn=4711 where a", "update patients set …"),
            ("update patients set mrn=(4711) where a", "update patients set …"),
            ("select f(E'Jane')", "select …"),
            ("select $$Jane$$", "select …"),
            ("delete from t where \"Jane\"", "delete from t where …"),
            ("select a --Jane", "select a …"),
            ("select a /*Jane*/", "select a …"),
            ("select a where b=-5", "select a where …"),
            ("select t1.a1 from t1", "select t1.a1 from t1"),
            ("a b c d e f g h i j", "a b c d e f g h …"),
            ("<insufficient privilege>", ""),
            ("", ""),
        ] {
            assert_eq!(first_words(query), shown, "{query}");
        }
    }
}
