//! What the pending migrations would do to a database: locks, work on whole tables, and who may see what afterwards.

use crate::model::lock::{Blocks, LockMode};
use std::time::Duration;

/// All that `migrate --plan` has to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// The target, `database on host:port as user`, and how it is reached; empty where the plan is for an empty database.
    pub database: String,
    /// Who holds the migration lock; empty where nobody does.
    pub lock: String,
    /// The server's version.
    pub server: String,
    /// The role that statements run as.
    pub role: String,
    /// The project and its hash.
    pub project: String,
    /// The engine on which the files were tried; empty without --trace.
    pub traced_on: String,
    /// How many files are applied.
    pub applied: usize,
    /// How many more are pending beyond the version asked for.
    pub beyond: usize,
    /// The pending files, in order.
    pub files: Vec<PlannedFile>,
}

/// A pending file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: i32,
    /// Its statements, in order.
    pub statements: Vec<PlannedStatement>,
    /// How long it took on the scratch engine.
    pub elapsed: Option<Duration>,
}

/// A lock that a file keeps until it ends, since it runs in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLock {
    /// `schema.name`.
    pub relation: String,
    /// The strongest mode in which the file locks it.
    pub mode: LockMode,
    /// The line of the statement that takes it.
    pub line: usize,
}

impl PlannedFile {
    /// The locks that hold up people who read or write, each relation once, with all that follows in the file; none of a
    /// file that runs without a transaction.
    pub fn kept(&self) -> Vec<KeptLock> {
        let mut kept: Vec<KeptLock> = Vec::new();
        for statement in self.statements.iter().filter(|statement| statement.outside.is_none()) {
            for lock in statement.effect.locks.iter().filter(|lock| lock.blocks() > Some(Blocks::SchemaChanges)) {
                let new = KeptLock { relation: lock.relation.clone(), mode: lock.mode, line: statement.line };
                match kept.iter_mut().find(|one| one.relation == lock.relation) {
                    Some(one) if one.mode < lock.mode => *one = new,
                    Some(_) => {}
                    None => kept.push(new),
                }
            }
        }
        kept
    }
}

/// A statement of a pending file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStatement {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// Why it can't run in a transaction: the words for people.
    pub outside: Option<&'static str>,
    /// What it would do.
    pub effect: Effect,
    /// What it did on the scratch engine.
    pub traced: Option<Traced>,
}

/// What a statement would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// The locks on relations, each relation once, in the order in which they are taken.
    pub locks: Vec<TableLock>,
    /// Why more may happen than is listed; `None` where the list is all.
    pub unknown: Option<String>,
    /// What else to know before running it.
    pub notes: Vec<String>,
    /// What changes in row security, grants and policies.
    pub security: Vec<SecurityChange>,
}

/// A lock on a relation, and what is done under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableLock {
    /// `schema.name`, quoted where it must be.
    pub relation: String,
    /// `table`, `view`, `index`, …; empty where the database has no such relation.
    pub kind: &'static str,
    /// The mode.
    pub mode: LockMode,
    /// The pending file that makes the relation: nobody else uses it yet.
    pub made_by: Option<String>,
    /// Why all of it is written anew.
    pub rewrite: Option<String>,
    /// Why all of it is read.
    pub scan: Option<String>,
    /// How large it is; `None` for a new one and where there are no rows to hold.
    pub size: Option<Size>,
}

impl TableLock {
    /// Whom it holds up; `None` is nobody: the relation is new, or not there.
    pub fn blocks(&self) -> Option<Blocks> {
        if self.made_by.is_some() || self.kind.is_empty() { None } else { Some(self.mode.blocks()) }
    }
}

/// How large a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// With its indexes and out-of-line values.
    pub bytes: u64,
    /// The planner's estimate; `None` where it was never analyzed.
    pub rows: Option<u64>,
}

/// A change of who may see or do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityChange {
    /// The object: `policy own on public.notes`, `grants on public.notes`.
    pub object: String,
    /// What happens to it.
    pub change: String,
    /// Why it may let someone see or do more than before.
    pub opens: Option<String>,
}

/// What a statement did on a scratch engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traced {
    /// How long it took, with no rows but those that the migrations write.
    pub elapsed: Duration,
    /// The locks that it added, on relations that were there before the file; `None` where it ran without a transaction.
    pub held: Option<Vec<(String, LockMode)>>,
    /// The relations that were there before and were written anew.
    pub rewritten: Vec<String>,
    /// Where this is not what was predicted.
    pub mismatches: Vec<String>,
}

/// The counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanSummary {
    /// Statements.
    pub statements: usize,
    /// Those that block reads and writes of a table in use.
    pub block_reads: usize,
    /// Those that block writes, and not reads, of a table in use.
    pub block_writes: usize,
    /// Those that write a table in use anew.
    pub rewrites: usize,
    /// Those of which more may happen than is listed.
    pub unknown: usize,
    /// Changes that may let someone see or do more.
    pub opening: usize,
    /// Differences between what was predicted and what happened.
    pub mismatches: usize,
}

impl PlanReport {
    /// Counts.
    pub fn summary(&self) -> PlanSummary {
        let mut summary = PlanSummary::default();
        for statement in self.files.iter().flat_map(|file| &file.statements) {
            let effect = &statement.effect;
            let worst = effect.locks.iter().filter_map(TableLock::blocks).max();
            let rewrites = effect.locks.iter().any(|lock| lock.made_by.is_none() && lock.rewrite.is_some());
            summary.statements += 1;
            summary.block_reads += usize::from(worst == Some(Blocks::ReadsAndWrites));
            summary.block_writes += usize::from(worst == Some(Blocks::Writes));
            summary.rewrites += usize::from(rewrites);
            summary.unknown += usize::from(effect.unknown.is_some());
            summary.opening += effect.security.iter().filter(|change| change.opens.is_some()).count();
            summary.mismatches += statement.traced.as_ref().map_or(0, |traced| traced.mismatches.len());
        }
        summary
    }
}
