//! Puts a world into the database, and reads with the contract's reference query how its rows stand.

use super::insert::{insert, key_expression, keys_condition};
use super::{Seen, Setting, Sight, Subject, World, parse_standing};
use crate::contract::reference;
use crate::db::error::DbError;
use crate::db::quote::table as quote_table;
use crate::db::session::{Prepared, Session};
use crate::model::access::{Ownership, Standing as RowStanding};
use crate::model::failure::{Failure, FailureKind};
use futures::future::{join_all, try_join_all};
use std::collections::{BTreeMap, BTreeSet};

/// Parts of a read-back row; no text of a database holds it by accident, and the key comes last.
const SEPARATOR: char = '\u{1f}';

/// A world that stands in the database: the keys of its rows in their order, and every table as every persona stands
/// to it (by subject, then persona).
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) keys: Vec<String>,
    pub(crate) sights: Vec<Vec<Sight>>,
}

/// Why a world could not be put up.
#[derive(Debug)]
pub(crate) struct Unmade {
    pub(crate) failure: Failure,
    /// The row that the database did not take, by its place in the world; `None` where it was something else.
    pub(crate) row: Option<usize>,
}

impl From<Failure> for Unmade {
    fn from(failure: Failure) -> Self {
        Self { failure, row: None }
    }
}

/// Inserts the rows, as the session's own role.
///
/// # Errors
/// Inconclusive, naming the table and the constraint, where the database does not take a row.
pub(crate) async fn insert_rows(session: &Session, world: &World, subjects: &[Subject]) -> Result<Vec<String>, Unmade> {
    if !world.support.is_empty() {
        session
            .batch(&world.support.join("; "))
            .await
            .map_err(|error| error.into_failure("the accounts and parents that the world needs could not be made"))?;
    }
    let statements: Vec<String> = world
        .rows
        .iter()
        .map(|row| {
            let table = &subjects[row.subject].table;
            format!("{} RETURNING {}", insert(table, &row.values), key_expression(table, ""))
        })
        .collect();
    let results = join_all(statements.iter().map(|sql| session.statement(sql))).await;
    let mut keys = Vec::with_capacity(results.len());
    for (place, (row, result)) in world.rows.iter().zip(results).enumerate() {
        let table = &subjects[row.subject].access.table;
        let result = result.map_err(|error| Unmade {
            row: (!error.is_connection()).then_some(place),
            failure: refused(&error, &table.to_string()),
        })?;
        let key = result.keys.into_iter().next().flatten().ok_or_else(|| {
            Failure::new(
                FailureKind::Inconclusive,
                format!("a row made for {table} was not taken: a trigger or rule dropped it"),
            )
        })?;
        keys.push(key);
    }
    // What the rows' own deferred triggers do belongs to the world, and not to the first attempt that makes them fire.
    let fired = session.batch("SET CONSTRAINTS ALL IMMEDIATE").await;
    fired.map_err(|error| error.into_failure("what the world's rows deferred failed"))?;
    Ok(keys)
}

/// Makes sure that rows made as somebody's are that: a trigger may have given them to another.
fn as_made(setting: &Setting<'_>, world: &World, keys: &[String], sights: &[Vec<Sight>]) -> Result<(), Failure> {
    let moved = world.rows.iter().zip(keys).find(|(row, key)| {
        let owned = matches!(setting.subjects[row.subject].access.ownership, Ownership::All(_) | Ownership::Any(_));
        owned
            && row.holder.is_some_and(|holder| {
                let seen = sights[row.subject][holder].get(*key);
                seen.is_none_or(|seen| seen.standing != RowStanding::Own)
            })
    });
    match moved {
        None => Ok(()),
        Some((row, _)) => {
            let table = &setting.subjects[row.subject].access.table;
            Err(Failure::new(
                FailureKind::Inconclusive,
                format!("a row of {table} that was made as one account's belongs to another: nothing can be concluded"),
            )
            .note("a trigger changes the owner, or other rows' owners, whenever a row is inserted")
            .help(format!("look at the triggers of {table} and at its default values")))
        }
    }
}

fn refused(error: &DbError, table: &str) -> Failure {
    let constraint = error.constraint.as_ref().map_or_else(String::new, |name| format!(" (constraint {name})"));
    error.clone().into_failure(&format!("a row made for {table} was refused{constraint}: nothing was verified")).help(
        format!(
            "exempt {table} in policies/access.toml with a reason, if no row for it can be made from the catalogue"
        ),
    )
}

/// The statement that reads a table back: locator, standing and key of each row; the standing is left out for rows
/// whose locator is `known`.
pub(crate) fn read_back_sql(
    setting: &Setting<'_>,
    subject: &Subject,
    uid: &str,
    known: &[&str],
    keys: Option<&[&str]>,
) -> String {
    let standing = reference::standing(setting.contract, setting.catalog, &subject.access, "r", uid);
    let key = key_expression(&subject.table, "r.");
    let locator = "r.tableoid::text || r.ctid::text";
    let known: Vec<String> = known.iter().map(|locator| format!("\"{locator}\"")).collect();
    let scope = keys.map_or_else(String::new, |keys| format!(" WHERE {}", keys_condition(&subject.table, "r.", keys)));
    format!(
        "SELECT {locator} || chr(31) || CASE WHEN {locator} = ANY ('{{{}}}'::text[]) THEN '' ELSE {standing} END \
         || chr(31) || {key} FROM {} r{scope}",
        known.join(","),
        quote_table(&subject.table.name()),
    )
}

/// What was read back of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadBack {
    pub(crate) key: String,
    pub(crate) locator: String,
    /// `None` where the locator was known.
    pub(crate) standing: Option<RowStanding>,
}

/// Parses the rows of a read-back statement; `None` where one is not understood.
pub(crate) fn parse_read_back(rows: Vec<Option<String>>) -> Option<Vec<ReadBack>> {
    rows.into_iter()
        .map(|row| {
            let row = row?;
            let mut parts = row.splitn(3, SEPARATOR);
            let (locator, standing, key) = (parts.next()?, parts.next()?, parts.next()?);
            let standing = if standing.is_empty() { None } else { Some(parse_standing(standing)?) };
            Some(ReadBack { key: key.to_owned(), locator: locator.to_owned(), standing })
        })
        .collect()
}

/// Takes the subjects that TRUNCATE emptied out of what a [`Reader`]'s statement gave.
pub(crate) fn take_emptied(rows: &mut Vec<Option<String>>) -> BTreeSet<usize> {
    let emptied = |row: &mut Option<String>| row.as_ref().is_some_and(|row| row.starts_with(SEPARATOR));
    let emptied = rows.extract_if(.., emptied).flatten();
    emptied.filter_map(|row| row.trim_start_matches(SEPARATOR).parse().ok()).collect()
}

/// Reads how every table stands to every persona, and makes sure that the whole world is seen.
///
/// # Errors
/// Inconclusive where the reading role does not see a row that it made.
pub(crate) async fn sights(
    session: &Session,
    setting: &Setting<'_>,
    world: &World,
    keys: &[String],
    whole: &[bool],
) -> Result<Vec<Vec<Sight>>, Failure> {
    let mut pairs = Vec::new();
    for (index, subject) in setting.subjects.iter().enumerate() {
        let scope = scope(world, keys, index);
        for persona in setting.personas {
            let uid = persona.uid_or_nobody();
            pairs.push(read_back_sql(setting, subject, uid, &[], if whole[index] { None } else { Some(&scope) }));
        }
    }
    let results = try_join_all(pairs.iter().map(|sql| session.statement(sql))).await;
    let results = results.map_err(|error| {
        error.into_failure("the reference query could not be answered: the reading role must see every row")
    })?;
    let mut sights: Vec<Vec<Sight>> = Vec::new();
    let mut results = results.into_iter();
    for (index, subject) in setting.subjects.iter().enumerate() {
        let mut of_subject = Vec::new();
        for _persona in setting.personas {
            let rows = results.next().map(|result| result.keys).unwrap_or_default();
            let rows = parse_read_back(rows).ok_or_else(|| unreadable(subject))?;
            let mut sight = Sight::new();
            for row in rows {
                let standing = row.standing.ok_or_else(|| unreadable(subject))?;
                sight.insert(row.key, Seen { locator: row.locator, standing });
            }
            if world.keyed(index, keys).any(|(_, key)| !sight.contains_key(key)) {
                return Err(Failure::new(
                    FailureKind::Inconclusive,
                    format!(
                        "the reading role does not see every row of {} that it made: nothing can be concluded",
                        subject.access.table
                    ),
                )
                .help("connect as a role with BYPASSRLS, such as Supabase's postgres"));
            }
            of_subject.push(sight);
        }
        sights.push(of_subject);
    }
    as_made(setting, world, keys, &sights)?;
    Ok(sights)
}

fn scope<'a>(world: &'a World, keys: &'a [String], subject: usize) -> Vec<&'a str> {
    world.keyed(subject, keys).map(|(_, key)| key.as_str()).collect()
}

fn unreadable(subject: &Subject) -> Failure {
    Failure::new(
        FailureKind::Inconclusive,
        format!("what was read back of {} was not understood", subject.access.table),
    )
}

/// What statements that read tables back are written from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) session: &'a Session,
    pub(crate) setting: Setting<'a>,
    pub(crate) standing: &'a Standing,
    /// For each subject whether it is read as a whole.
    pub(crate) whole: &'a [bool],
    /// Subject -> keys that attempts insert under, for tables too large to be read whole.
    pub(crate) fresh: &'a BTreeMap<usize, BTreeSet<String>>,
    /// A query for the subjects that TRUNCATE emptied, each behind [`SEPARATOR`].
    pub(crate) emptied: Option<&'a str>,
}

impl Reader<'_> {
    /// Prepares the read-back of (subject, persona) pairs.
    ///
    /// # Errors
    /// The first error of the server.
    pub(crate) async fn prepare(
        &self,
        pairs: &BTreeSet<(usize, usize)>,
    ) -> Result<BTreeMap<(usize, usize), Prepared>, Failure> {
        let statements = pairs.iter().map(|&(subject, persona)| {
            let sight = &self.standing.sights[subject][persona];
            let known: Vec<&str> = sight.values().map(|seen| seen.locator.as_str()).collect();
            let mut keys: Vec<&str> = sight.keys().map(String::as_str).collect();
            keys.extend(self.fresh.get(&subject).into_iter().flatten().map(String::as_str));
            let scope = if self.whole[subject] { None } else { Some(keys.as_slice()) };
            let (subject, persona) = (&self.setting.subjects[subject], &self.setting.personas[persona]);
            let sql = read_back_sql(&self.setting, subject, persona.uid_or_nobody(), &known, scope);
            self.emptied.map_or_else(|| sql.clone(), |emptied| format!("{sql} UNION ALL {emptied}"))
        });
        let statements: Vec<String> = statements.collect();
        // Whoever was asked about last may still be who is asking, and their policies may not even be parsed (42P17).
        self.session
            .batch("ROLLBACK TO SAVEPOINT attempt; SET LOCAL row_security = off")
            .await
            .map_err(|error| error.into_failure("the attempts' savepoint is gone"))?;
        let prepared = try_join_all(statements.iter().map(|sql| self.session.prepare(sql)))
            .await
            .map_err(|error| error.into_failure("the read-back could not be prepared"))?;
        Ok(pairs.iter().copied().zip(prepared).collect())
    }
}
