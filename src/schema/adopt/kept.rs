//! What an adoption may not lose: tables and columns by their identity, rows, and values that are there.

use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Finding, Reach};
use crate::schema::facts::COMMON;
use std::collections::BTreeMap;

/// What is there at one moment: tables by their oid, columns by their number. Names may change, these do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The tables of the schemas that are read.
    tables: BTreeMap<u32, Table>,
    /// Other tables of which this transaction deleted rows, and how many.
    deleted: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    name: String,
    rows: u64,
    /// Rows that this transaction wrote so far.
    inserted: u64,
    updated: u64,
    /// Each column's name and how many rows have a value there, by its number.
    columns: BTreeMap<i32, (String, u64)>,
}

/// Tables are locked against everybody, so that what is counted twice is the same but for what the file does; readers
/// would meet the file's own locks anyway, and a lock that grows can deadlock.
const LOCK: &str = "SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', string_agg(rel.name, ', ' order by rel.oid)) \
                    FROM rel WHERE rel.relkind IN ('r', 'p')";
const COLUMNS: &str = "SELECT c.oid::text, c.oid::regclass::text, a.attnum::text, quote_ident(a.attname), \
      coalesce(pg_stat_get_xact_tuples_inserted(c.oid), 0)::text, coalesce(pg_stat_get_xact_tuples_updated(c.oid), 0)::text \
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    WHERE c.relkind IN ('r', 'p') AND c.oid = ANY ";

const DELETED: &str = "SELECT relid::text, relid::regclass::text, n_tup_del::text \
                       FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_del > 0";

/// Locks every table of the schemas that are read, and counts. In the transaction of the adoption, after the facts were
/// read in it.
///
/// # Errors
/// Lock: a table's lock was not had in time. Connection: not enough rights to lock or to see every row.
pub(super) async fn lock_and_count(session: &Session) -> Result<Kept, Failure> {
    let failed = "the tables were not locked";
    let lock = session.text_rows(&format!("{COMMON}\n{LOCK}")).await.map_err(|error| error.into_failure(failed))?;
    if let Some(lock) = lock.into_iter().flatten().flatten().next() {
        session.batch(&lock).await.map_err(|error| error.into_failure(failed).note("nothing was changed"))?;
    }
    let list = format!("{COMMON}\nSELECT rel.oid::text FROM rel WHERE rel.relkind IN ('r', 'p')");
    let oids = session.text_rows(&list).await.map_err(|error| error.into_failure(failed))?;
    let oids: Vec<String> = oids.into_iter().flatten().flatten().collect();
    count(session, &oids).await
}

/// Counts what is left of `before`.
///
/// # Errors
/// Connection: not enough rights to see every row.
pub(super) async fn count_again(session: &Session, before: &Kept) -> Result<Kept, Failure> {
    let oids: Vec<String> = before.tables.keys().map(u32::to_string).collect();
    count(session, &oids).await
}

async fn count(session: &Session, oids: &[String]) -> Result<Kept, Failure> {
    let failed = |error: crate::db::error::DbError| {
        let failure = error.into_failure("the rows were not counted").note("nothing was changed");
        failure.help("every row has to be seen: connect as a role with BYPASSRLS, as postgres on Supabase is")
    };
    // Row security would count some rows only; this way it is an error.
    let list = format!(
        "SELECT pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('row_security', 'off', true), \
           pg_catalog.current_setting('track_counts'); \
         {COLUMNS} ('{{{}}}'::oid[]) ORDER BY c.oid, a.attnum",
        oids.join(",")
    );
    let mut kept = Kept::default();
    for row in session.text_rows(&list).await.map_err(failed)? {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        if cell(2) == "off" {
            let failure =
                Failure::new(FailureKind::Inconclusive, "the server does not count what a transaction writes");
            return Err(failure.note("nothing was changed").help("set track_counts to on, as it is by default"));
        }
        let Ok(oid) = cell(0).parse() else { continue };
        let table = kept.tables.entry(oid).or_default();
        table.name = cell(1);
        if let Ok(number) = cell(2).parse() {
            table.columns.insert(number, (cell(3), 0));
        }
        table.inserted = cell(4).parse().unwrap_or(0);
        table.updated = cell(5).parse().unwrap_or(0);
    }
    for row in session.text_rows(DELETED).await.map_err(failed)? {
        let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        if !cell(0).parse().is_ok_and(|oid: u32| kept.tables.contains_key(&oid)) {
            kept.deleted.insert(cell(1), cell(2).parse().unwrap_or(0));
        }
    }
    let counts = kept.tables.iter().map(|(oid, table)| {
        let columns: String = table.columns.values().map(|(column, _)| format!(", count({column})::text")).collect();
        format!("SELECT '{oid}', count(*)::text{columns} FROM {}", table.name)
    });
    let counts = counts.collect::<Vec<_>>().join(";\n");
    let mut counted = 0;
    for row in session.text_rows(&counts).await.map_err(failed)? {
        let mut numbers = row.iter().map(|cell| cell.as_deref().and_then(|text| text.parse::<u64>().ok()));
        let table = numbers.next().flatten().and_then(|oid| kept.tables.get_mut(&u32::try_from(oid).ok()?));
        let (Some(table), Some(Some(rows))) = (table, numbers.next()) else { continue };
        table.rows = rows;
        for (column, number) in table.columns.values_mut().zip(numbers) {
            column.1 = number.unwrap_or(0);
        }
        counted += 1;
    }
    if counted == kept.tables.len() {
        Ok(kept)
    } else {
        Err(Failure::new(FailureKind::Inconclusive, "the rows were not counted").note("nothing was changed"))
    }
}

/// What was there before and is not there after.
pub(super) fn lost(before: &Kept, after: &Kept) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, count) in &after.deleted {
        let deleted = count - before.deleted.get(table).unwrap_or(&0).min(count);
        if deleted > 0 {
            findings.push(finding(format!("{} of {table} are gone", rows_in_words(deleted)), table));
        }
    }
    for (oid, table) in &before.tables {
        let Some(now) = after.tables.get(oid) else {
            findings.push(finding(format!("table {} is gone", table.name), &table.name));
            continue;
        };
        // What the file inserted does not stand for what it deleted.
        let inserted = now.inserted.saturating_sub(table.inserted);
        let left = now.rows.saturating_sub(inserted);
        if left < table.rows {
            let what = format!("{} of {} rows of {} are gone", table.rows - left, table.rows, table.name);
            findings.push(finding(what, &table.name));
            continue;
        }
        for (number, (column, values)) in &table.columns {
            match now.columns.get(number) {
                None => findings.push(finding(format!("column {}.{column} is gone", table.name), &table.name)),
                Some((_, left)) if left < values => findings.push(finding(
                    format!("{} of {values} values of {}.{column} are gone", values - left, table.name),
                    &table.name,
                )),
                Some(_) => {}
            }
        }
    }
    findings
}

/// Which tables' rows the file wrote, in words: to be read by whoever approved it.
pub(super) fn written(before: &Kept, after: &Kept) -> Vec<String> {
    let mut lines = Vec::new();
    for (oid, now) in &after.tables {
        let Some(then) = before.tables.get(oid) else { continue };
        for (count, then, verb) in [(now.inserted, then.inserted, "inserted"), (now.updated, then.updated, "updated")] {
            if count > then {
                lines.push(format!("{verb} by the file: {} of {}", rows_in_words(count - then), now.name));
            }
        }
    }
    lines
}

/// How much there is, in words.
pub(super) fn summary(kept: &Kept) -> String {
    let rows: u64 = kept.tables.values().map(|table| table.rows).sum();
    format!("{rows} rows in {} tables", kept.tables.len())
}

fn rows_in_words(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn finding(what: String, table: &str) -> Finding {
    Finding {
        check: "data-lost".to_owned(),
        what,
        object: table.to_owned(),
        place: None,
        why: "it was there before the file ran, and was not after".to_owned(),
        remedy: "take the statement out of the file: an adoption loses nothing; what must go, delete by hand before"
            .to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    }
}
