//! Which tables were written, whatever the statement named: PostgreSQL counts a transaction's writes by table, and goes
//! on counting through what is rolled back. Counting after every few statements costs next to nothing. TRUNCATE is not
//! counted: it is told by the table's new file, until that is rolled back.

use super::Trial;
use crate::db::error::DbError;
use crate::db::quote::{literal, table as quote_table};
use crate::db::session::{Prepared, Session};
use crate::model::access::Command;
use crate::model::failure::Failure;
use crate::verify::world::Subject;
use futures::try_join;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;

/// After how many writes it is counted at the latest which tables were written.
const MOST: usize = 40;

/// The statement that tells how often every table was written.
#[derive(Debug)]
pub(crate) struct Counter {
    statement: Prepared,
    /// A query for the subjects that lie in new files, each behind chr(31), where anything can TRUNCATE.
    pub(crate) emptied: Option<String>,
}

/// By subject: how many rows were written in it and its partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<usize, u64>);

impl Counter {
    /// Prepares it. `None` where the server does not count (`track_counts = off`).
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn prepare(session: &Session, subjects: &[Subject]) -> Result<Option<Self>, Failure> {
        let failed = |error: DbError| error.into_failure("what is written where could not be counted");
        let names = subjects.iter().enumerate().map(|(index, subject)| {
            format!("({index}, {}::regclass::oid)", literal(&quote_table(&subject.table.name())))
        });
        let tree = format!(
            "WITH RECURSIVE tree (subject, id) AS (SELECT * FROM (VALUES {}) AS named UNION \
             SELECT tree.subject, i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.id) \
             SELECT concat_ws(',', subject, id, coalesce(pg_relation_filenode(id), 0), current_setting('track_counts')) \
             FROM tree ORDER BY subject, id",
            names.collect::<Vec<_>>().join(", ")
        );
        // Only a function can TRUNCATE: without one that says so, or that runs text, there is nothing to look for.
        let truncates = "SELECT count(*)::text FROM pg_catalog.pg_proc f \
             JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace JOIN pg_catalog.pg_language l ON l.oid = f.prolang \
             WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND CASE WHEN l.lanname IN ('sql', 'plpgsql') \
             THEN f.prosrc ~* '\\m(truncate|execute)\\M' ELSE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
             WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e') END";
        let (tree, truncates) = try_join!(session.statement(&tree), session.statement(truncates)).map_err(failed)?;
        let mut list = String::new();
        for row in tree.keys.iter().flatten() {
            let Some((tuple, "on")) = row.rsplit_once(',') else { return Ok(None) };
            let _infallible = write!(list, "{}({tuple})", if list.is_empty() { "" } else { ", " });
        }
        let list = format!("(VALUES {list}) AS tree (subject, id, file)");
        let sql = format!(
            "SELECT subject || ' ' || sum(pg_stat_get_xact_tuples_inserted(id) + pg_stat_get_xact_tuples_updated(id) \
             + pg_stat_get_xact_tuples_deleted(id)) FROM {list} GROUP BY subject"
        );
        let truncates = truncates.keys.first().cloned().flatten().is_none_or(|count| count != "0");
        let emptied = truncates.then(|| {
            format!("SELECT chr(31) || subject FROM {list} WHERE coalesce(pg_relation_filenode(id), 0)::bigint <> file")
        });
        Ok(Some(Self { statement: session.prepare(&sql).await.map_err(failed)?, emptied }))
    }

    /// Counts, between two statements; `None` where the connection is lost. Unless `stepwise`, all messages are sent at
    /// the first poll.
    pub(super) async fn count(&self, session: &Session, stepwise: bool) -> Option<Counts> {
        let back = session.batch("ROLLBACK TO SAVEPOINT attempt");
        let counts = session.run(&self.statement);
        let counts = if stepwise {
            back.await.ok()?;
            counts.await
        } else {
            let (back, counts) = futures::join!(back, counts);
            back.and(counts)
        };
        let rows = counts.ok()?.keys;
        let pairs = rows.iter().flatten().map(|row| {
            let (subject, count) = row.split_once(' ')?;
            Some((subject.parse::<usize>().ok()?, count.parse::<u64>().ok()?))
        });
        pairs.collect::<Option<BTreeMap<_, _>>>().map(Counts)
    }
}

/// Trials in a row of one command on one table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) trials: Range<usize>,
    /// The table that they name; `None` where they write nothing.
    pub(super) subject: Option<usize>,
}

/// The trials, group by group, in their order.
pub(super) fn groups(trials: &[Trial]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut last: Option<(Option<usize>, Command)> = None;
    for (index, trial) in trials.iter().enumerate() {
        let subject = trial.reads_back.map(|(subject, _)| subject);
        let same = last.replace((subject, trial.command)) == Some((subject, trial.command));
        match groups.last_mut() {
            Some(group) if same && (subject.is_none() || group.trials.len() < MOST) => group.trials.end = index + 1,
            _ => groups.push(Group { trials: index..index + 1, subject }),
        }
    }
    groups
}

/// What the counts told so far.
#[derive(Debug)]
pub(super) struct Watch {
    before: Counts,
    /// So many trials are followed by a count.
    counted: usize,
    /// Trials after which other tables than theirs were found written, with those tables.
    pub(super) again: BTreeMap<usize, BTreeSet<usize>>,
}

impl Watch {
    pub(super) fn new(before: Counts) -> Self {
        Self { before, counted: 0, again: BTreeMap::new() }
    }

    /// `after` was counted when `made` trials had been made, the last of them the group's.
    pub(super) fn counted(&mut self, group: &Group, made: usize, after: Counts) {
        let moved = after.0.iter().filter(|(subject, count)| self.before.0.get(subject) != Some(count));
        let moved: BTreeSet<usize> =
            moved.map(|(subject, _)| *subject).filter(|subject| Some(*subject) != group.subject).collect();
        if !moved.is_empty() {
            for index in group.trials.start..made {
                self.again.entry(index).or_default().extend(&moved);
            }
        }
        self.counted = made;
        self.before = after;
    }

    /// The trial of that index emptied these tables.
    pub(super) fn emptied(&mut self, index: usize, trial: &Trial, emptied: &BTreeSet<usize>) {
        let named = trial.reads_back.map(|(subject, _)| subject);
        let others: BTreeSet<usize> = emptied.iter().copied().filter(|subject| Some(*subject) != named).collect();
        if !others.is_empty() {
            self.again.entry(index).or_default().extend(others);
        }
    }

    /// The group that was not finished, where the trials that were made end in one that writes.
    pub(super) fn open<'g>(&self, groups: &'g [Group], made: usize) -> Option<&'g Group> {
        groups.iter().find(|group| {
            group.subject.is_some() && group.trials.contains(&(made.wrapping_sub(1))) && self.counted < made
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::form::{Route, Who};

    fn trial(subject: Option<usize>, command: Command) -> Trial {
        Trial {
            who: Who::Persona(0),
            command,
            sql: String::new(),
            reads_back: subject.map(|subject| (subject, 0)),
            route: Route::Plain,
            holders: None,
        }
    }

    fn counts(of: [u64; 3]) -> Counts {
        Counts(of.into_iter().enumerate().collect())
    }

    #[test]
    fn only_trials_since_the_last_count_are_made_again() {
        let mut trials = vec![trial(None, Command::Select); 3];
        trials.extend(vec![trial(Some(0), Command::Insert); MOST + 1]);
        trials.push(trial(Some(0), Command::Delete));
        let groups = groups(&trials);
        let lengths: Vec<usize> = groups.iter().map(|group| group.trials.len()).collect();
        assert_eq!(lengths, [3, MOST, 1, 1]);
        let mut watch = Watch::new(counts([1, 1, 1]));
        assert_eq!(watch.open(&groups, 2), None, "what writes nothing needs no count");
        watch.counted(&groups[1], MOST + 3, counts([9, 1, 1]));
        assert!(watch.again.is_empty());
        assert_eq!(watch.open(&groups, MOST + 3), None);
        assert_eq!(watch.open(&groups, MOST + 4), Some(&groups[2]));
        watch.counted(&groups[2], MOST + 4, counts([9, 2, 3]));
        assert_eq!(watch.again, BTreeMap::from([(MOST + 3, BTreeSet::from([1, 2]))]));
    }
}
