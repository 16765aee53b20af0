//! `--plan --trace`: the pending files for real, statement by statement on a scratch database, and the locks that the
//! server then shows.

use crate::db::error::{DbError, ErrorPosition};
use crate::db::quote;
use crate::db::session::{BatchError, Session};
use crate::migrate::diagnose::{self, Prefix, Progress};
use crate::migrate::file::MigrationFile;
use crate::migrate::history;
use crate::migrate::plan::Plan;
use crate::migrate::sql::{self, Script};
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::lock::LockMode;
use crate::model::plan::{Effect, PlannedFile, Traced};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What this backend holds, and every relation with the file that keeps its rows.
const LOOK: &str = "
    SELECT 'lock', relation::text, mode, '', '', '' FROM pg_catalog.pg_locks
    WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND relation >= 16384;
    SELECT 'relation', c.oid::text, n.nspname, c.relname, c.relkind::text || coalesce(pg_catalog.pg_relation_filenode(c.oid)::text, ''),
        coalesce(i.indrelid, (SELECT d.refobjid FROM pg_catalog.pg_depend d
            WHERE c.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
              AND d.deptype IN ('a', 'i') LIMIT 1))::text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S') AND n.nspname !~ '^pg_'";

/// A relation as the server shows it.
#[derive(Debug, Clone)]
struct Relation {
    name: String,
    kind: char,
    filenode: String,
    /// The table of an index or of a column's sequence.
    table: Option<String>,
}

/// What the server showed at one moment, by oid.
#[derive(Debug, Clone, Default)]
struct Seen {
    locks: BTreeSet<(String, LockMode)>,
    relations: BTreeMap<String, Relation>,
}

/// Runs the plan's files on a scratch database that has what the target has, and enters into `files` what happened.
/// Nothing is recorded in a history: the database is to be thrown away.
///
/// # Errors
/// A file that fails: of kind migration.
pub async fn trace(
    scratch: &Session,
    plan: &Plan<'_>,
    files: &mut [PlannedFile],
    show_detail: bool,
) -> Result<(), Failure> {
    let restore = history::look(scratch).await?.restore();
    for ((file, script), planned) in plan.pending.iter().zip(files) {
        let started = Instant::now();
        if script.statements.iter().any(|statement| statement.outside.is_some()) {
            outside(scratch, file, script, planned, show_detail).await?;
        } else {
            inside(scratch, file, script, planned, show_detail).await?;
        }
        planned.elapsed = Some(match planned.statements.as_slice() {
            [one] => one.traced.as_ref().map_or_else(|| started.elapsed(), |traced| traced.elapsed),
            statements => statements.iter().filter_map(|one| one.traced.as_ref()).map(|one| one.elapsed).sum(),
        });
        run(scratch, &restore).await.map_err(|error| error.into_failure("the scratch database is not as it was"))?;
    }
    Ok(())
}

async fn run(scratch: &Session, sql: &str) -> Result<Duration, DbError> {
    let started = Instant::now();
    scratch.batch(sql).await?;
    Ok(started.elapsed())
}

/// A file of one statement that PostgreSQL refuses in a transaction: its locks are gone when it ends.
async fn outside(
    scratch: &Session,
    file: &MigrationFile,
    script: &Script,
    planned: &mut PlannedFile,
    show_detail: bool,
) -> Result<(), Failure> {
    for (index, statement) in planned.statements.iter_mut().enumerate() {
        let done = run(scratch, &statement.sql).await;
        let elapsed = done.map_err(|error| failed(file, script, index, error, show_detail))?;
        statement.traced = Some(Traced { elapsed, ..Traced::default() });
    }
    Ok(())
}

/// A file in its transaction.
async fn inside(
    scratch: &Session,
    file: &MigrationFile,
    script: &Script,
    planned: &mut PlannedFile,
    show_detail: bool,
) -> Result<(), Failure> {
    run(scratch, "BEGIN").await.map_err(|error| error.into_failure("no transaction could be begun"))?;
    let mut before = look(scratch).await?;
    let existed: BTreeSet<String> = before.relations.keys().cloned().collect();
    for (index, statement) in planned.statements.iter_mut().enumerate() {
        let elapsed = match run(scratch, &statement.sql).await {
            Ok(elapsed) => elapsed,
            Err(error) => {
                let _rolled_back = scratch.batch("ROLLBACK").await;
                return Err(failed(file, script, index, error, show_detail));
            }
        };
        let mut after = look(scratch).await?;
        let mut traced = compare(&before, &after, &existed, &statement.effect);
        traced.elapsed = elapsed;
        statement.traced = Some(traced);
        // What was dropped is still locked, under the name that it had.
        let gone: Vec<_> = before.relations.into_iter().filter(|(oid, _)| !after.relations.contains_key(oid)).collect();
        after.relations.extend(gone);
        before = after;
    }
    if let Err(error) = run(scratch, "COMMIT").await {
        return Err(failed(file, script, script.statements.len(), error, show_detail));
    }
    Ok(())
}

async fn look(scratch: &Session) -> Result<Seen, Failure> {
    let rows = scratch.text_rows(LOOK).await.map_err(|error| error.into_failure("the locks could not be read"))?;
    let mut seen = Seen::default();
    for row in rows {
        let table = row.get(5).cloned().flatten();
        let Ok([what, oid, a, b, c, _]) =
            <[String; 6]>::try_from(row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>())
        else {
            continue;
        };
        if what == "lock" {
            seen.locks.extend(LockMode::from_server(&a).map(|mode| (oid, mode)));
        } else {
            let kind = c.chars().next().unwrap_or('r');
            let name = quote::table(&TableName { schema: a, name: b });
            seen.relations.insert(oid, Relation { name, kind, filenode: c, table });
        }
    }
    Ok(seen)
}

/// What a statement did between two looks, and where that is not what was predicted.
fn compare(before: &Seen, after: &Seen, existed: &BTreeSet<String>, effect: &Effect) -> Traced {
    let mut traced = Traced::default();
    let known = |oid: &String| before.relations.get(oid).filter(|_| existed.contains(oid));
    let mut held = Vec::new();
    for (oid, mode) in after.locks.difference(&before.locks) {
        let Some(relation) = known(oid) else { continue };
        // An index is locked with its table, and nobody uses it without the table; so is a column's sequence.
        let with_table = relation
            .table
            .as_ref()
            .is_some_and(|table| after.locks.iter().any(|(of, held)| of == table && held >= mode));
        if !with_table && (relation.kind != 'S' || *mode > LockMode::RowExclusive) {
            held.push((relation.name.clone(), *mode));
        }
    }
    for (oid, relation) in &after.relations {
        let was = known(oid).filter(|was| was.filenode != relation.filenode);
        traced.rewritten.extend(was.filter(|was| !['i', 'I', 'S'].contains(&was.kind)).map(|was| was.name.clone()));
    }
    for lock in &effect.locks {
        let found = before.relations.iter().find(|(oid, one)| one.name == lock.relation && existed.contains(*oid));
        let Some((oid, relation)) = found else { continue };
        if !after.locks.contains(&(oid.clone(), lock.mode)) {
            traced.mismatches.push(format!("{} on {} was predicted, and not taken", lock.mode.word(), lock.relation));
        }
        let rewritten = traced.rewritten.contains(&lock.relation);
        if lock.rewrite.is_some() && !rewritten && ['r', 'm'].contains(&relation.kind) {
            traced.mismatches.push(format!("{} was to be written anew, and was not", lock.relation));
        }
    }
    let predicted = |name: &str| effect.locks.iter().find(|lock| lock.relation == name);
    for (name, mode) in &held {
        // What a statement reads is not listed for all of them.
        let allowed = predicted(name).map_or(LockMode::RowExclusive, |lock| lock.mode);
        if *mode > allowed && effect.unknown.is_none() {
            traced.mismatches.push(format!("{} on {name} was taken, and not predicted", mode.word()));
        }
    }
    for name in &traced.rewritten {
        if predicted(name).is_none_or(|lock| lock.rewrite.is_none()) && effect.unknown.is_none() {
            traced.mismatches.push(format!("{name} was written anew, and that was not predicted"));
        }
    }
    traced.held = Some(held);
    traced
}

/// The failure for a statement that was sent alone.
fn failed(file: &MigrationFile, script: &Script, index: usize, mut error: DbError, show_detail: bool) -> Failure {
    let source = file.source();
    if let (Some(ErrorPosition::Sent(at)), Some(statement)) = (&mut error.position, script.statements.get(index)) {
        let before = source.text.get(sql::bom(source)..statement.span.start).unwrap_or_default();
        *at += u32::try_from(before.chars().count()).unwrap_or(0);
    }
    let progress = Progress { applied: &[], waiting: Vec::new() };
    let error = BatchError { finished: index, error };
    diagnose::diagnose(source, script, error, &Prefix::new(&[]), &progress, show_detail)
        .note("this was on a scratch database: the target was not touched")
}
