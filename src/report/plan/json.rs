//! The plan as JSON, version 1: frozen structs of its own, so that no change of the model changes the format.

use crate::model::plan;
use serde::Serialize;
use std::time::Duration;

/// The version that the document begins with.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    command: &'a str,
    environment: Environment<'a>,
    summary: Summary,
    files: Vec<File<'a>>,
}

#[derive(Serialize)]
struct Environment<'a> {
    database: &'a str,
    server: &'a str,
    role: &'a str,
    project: &'a str,
    lock_holder: Option<&'a str>,
    traced_on: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    pending: usize,
    applied: usize,
    beyond: usize,
    statements: usize,
    blocks_reads_and_writes: usize,
    blocks_writes: usize,
    rewrites: usize,
    unknown: usize,
    opening: usize,
    mismatches: usize,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    version: i32,
    traced_ms: Option<f64>,
    kept_locks: Vec<KeptLock>,
    statements: Vec<Statement<'a>>,
}

#[derive(Serialize)]
struct KeptLock {
    relation: String,
    mode: &'static str,
    blocks: &'static str,
    from_line: usize,
}

#[derive(Serialize)]
struct Statement<'a> {
    line: usize,
    sql: &'a str,
    outside_transaction: Option<&'a str>,
    locks: Vec<Lock<'a>>,
    unknown: Option<&'a str>,
    notes: &'a [String],
    security: Vec<Change<'a>>,
    traced: Option<Traced<'a>>,
}

#[derive(Serialize)]
struct Lock<'a> {
    relation: &'a str,
    kind: Option<&'a str>,
    mode: &'a str,
    blocks: &'a str,
    made_by: Option<&'a str>,
    rewrite: Option<&'a str>,
    scan: Option<&'a str>,
    bytes: Option<u64>,
    rows: Option<u64>,
}

#[derive(Serialize)]
struct Change<'a> {
    object: &'a str,
    change: &'a str,
    opens: Option<&'a str>,
}

#[derive(Serialize)]
struct Traced<'a> {
    ms: f64,
    held: Option<Vec<Held<'a>>>,
    rewritten: &'a [String],
    mismatches: &'a [String],
}

#[derive(Serialize)]
struct Held<'a> {
    relation: &'a str,
    mode: &'a str,
}

/// The plan as one JSON object, indented, with a line feed at its end.
///
/// # Errors
/// None that a plan can cause; the serializer's are passed on.
pub fn render(report: &plan::PlanReport) -> Result<String, serde_json::Error> {
    let summary = report.summary();
    let document = Document {
        version: VERSION,
        command: "migrate --plan",
        environment: Environment {
            database: &report.database,
            server: &report.server,
            role: &report.role,
            project: &report.project,
            lock_holder: (!report.lock.is_empty()).then_some(report.lock.as_str()),
            traced_on: (!report.traced_on.is_empty()).then_some(report.traced_on.as_str()),
        },
        summary: Summary {
            pending: report.files.len(),
            applied: report.applied,
            beyond: report.beyond,
            statements: summary.statements,
            blocks_reads_and_writes: summary.block_reads,
            blocks_writes: summary.block_writes,
            rewrites: summary.rewrites,
            unknown: summary.unknown,
            opening: summary.opening,
            mismatches: summary.mismatches,
        },
        files: report.files.iter().map(of_file).collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

fn of_file(file: &plan::PlannedFile) -> File<'_> {
    File {
        file: &file.path,
        version: file.version,
        traced_ms: file.elapsed.map(milliseconds),
        kept_locks: file.kept().into_iter().map(of_kept).collect(),
        statements: file.statements.iter().map(of_statement).collect(),
    }
}

fn of_kept(lock: plan::KeptLock) -> KeptLock {
    let blocks = lock.mode.blocks().word();
    KeptLock { relation: lock.relation, mode: lock.mode.word(), blocks, from_line: lock.line }
}

fn of_statement(statement: &plan::PlannedStatement) -> Statement<'_> {
    let effect = &statement.effect;
    let security = effect.security.iter();
    Statement {
        line: statement.line,
        sql: &statement.sql,
        outside_transaction: statement.outside,
        locks: effect.locks.iter().map(of_lock).collect(),
        unknown: effect.unknown.as_deref(),
        notes: &effect.notes,
        security: security
            .map(|one| Change { object: &one.object, change: &one.change, opens: one.opens.as_deref() })
            .collect(),
        traced: statement.traced.as_ref().map(of_trace),
    }
}

fn of_lock(lock: &plan::TableLock) -> Lock<'_> {
    Lock {
        relation: &lock.relation,
        kind: (!lock.kind.is_empty()).then_some(lock.kind),
        mode: lock.mode.word(),
        blocks: lock.blocks().map_or("nobody", |blocks| blocks.word()),
        made_by: lock.made_by.as_deref(),
        rewrite: lock.rewrite.as_deref(),
        scan: lock.scan.as_deref(),
        bytes: lock.size.map(|size| size.bytes),
        rows: lock.size.and_then(|size| size.rows),
    }
}

fn of_trace(traced: &plan::Traced) -> Traced<'_> {
    let held = traced.held.as_ref();
    Traced {
        ms: milliseconds(traced.elapsed),
        held: held.map(|held| held.iter().map(|(relation, mode)| Held { relation, mode: mode.word() }).collect()),
        rewritten: &traced.rewritten,
        mismatches: &traced.mismatches,
    }
}
