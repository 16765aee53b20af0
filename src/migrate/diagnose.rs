//! From PostgreSQL's error to the file's line and column, without a row's values.

use crate::db::error::{DbError, ErrorPosition};
use crate::db::session::BatchError;
use crate::db::sqlstate;
use crate::migrate::apply::FileTime;
use crate::migrate::blockers::Blockers;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::history;
use crate::migrate::lock::{self, Holder};
use crate::migrate::sql::{self, Script};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source::{Place, SourceFile};
use std::ops::Range;

/// syntax_error: found before the first statement of the message runs.
const SYNTAX_ERROR: &str = "42601";

/// What was sent before the file's text, in the same message.
#[derive(Debug)]
pub(crate) struct Prefix {
    /// The text.
    pub(crate) text: String,
    statements: usize,
    characters: usize,
}

impl Prefix {
    /// The statements, each ended.
    pub(crate) fn new(statements: &[String]) -> Self {
        let text: String = statements.iter().map(|statement| format!("{statement};\n")).collect();
        Self { statements: statements.len(), characters: text.chars().count(), text }
    }
}

/// Which files this run applied before, and which it did not reach.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    /// Applied.
    pub(crate) applied: &'a [FileTime],
    /// Not reached.
    pub(crate) waiting: Vec<&'a MigrationFile>,
}

/// The failure for an error while the file `source` ran.
pub(crate) fn diagnose(
    source: &SourceFile,
    script: &Script,
    error: BatchError,
    prefix: &Prefix,
    progress: &Progress<'_>,
    show_detail: bool,
) -> Failure {
    let BatchError { finished, error } = error;
    let path = &source.path;
    if error.is_connection() {
        return lost(path, error, progress);
    }
    let sent = match &error.position {
        Some(ErrorPosition::Sent(at)) => Some(*at as usize),
        _ => None,
    };
    // A syntax error is found before anything runs: its position tells, not the count.
    let within = sent.is_some_and(|at| at > prefix.characters);
    if finished < prefix.statements && !within {
        return ours(path, error, progress);
    }
    let index = finished.saturating_sub(prefix.statements);
    let message = message(&error, &source.text, show_detail);
    let span = match sent {
        Some(at) => from_position(source, at - prefix.characters.min(at)),
        None => script.statements.get(index).map(|statement| {
            inside(source, statement.span.clone(), &error).unwrap_or_else(|| sql::first_line(source, &statement.span))
        }),
    };
    let number = match &span {
        Some(span) if sent.is_some() => {
            script.statements.iter().position(|statement| statement.span.end > span.start).unwrap_or(index)
        }
        _ => index,
    };
    let kind = if error.code == sqlstate::LOCK_NOT_AVAILABLE { FailureKind::Lock } else { FailureKind::Migration };
    let mut failure = Failure::new(kind, format!("{path} failed: {message}"));
    failure = match span {
        Some(span) => failure.at(Place { file: source.clone(), span, label: error.code.clone() }),
        None => failure.at(file::top(source, &error.code)),
    };
    let count = script.statements.len();
    let which = match (number < count, sent.is_some() && error.code == SYNTAX_ERROR) {
        (false, _) => format!("at the end of the file, after its {count} statements"),
        // Behind a syntax error nobody can say where statements end.
        (true, true) => format!("statement {}", number + 1),
        (true, false) => format!("statement {} of {count}", number + 1),
    };
    failure = failure.note(format!("{which}, SQLSTATE {}", error.code));
    failure = described(failure, &error, show_detail);
    if script.statements.iter().all(|statement| statement.outside.is_none()) {
        failure = failure.note("the file was rolled back: it left nothing behind");
    }
    told(failure, progress)
}

/// Adds what the server said beside the message.
fn described(mut failure: Failure, error: &DbError, show_detail: bool) -> Failure {
    for name in [&error.constraint, &error.table].into_iter().flatten() {
        if !error.message.contains(name.as_str()) {
            failure = failure.note(format!("about {name}"));
        }
    }
    match &error.detail {
        Some(detail) if show_detail => failure = failure.note(format!("DETAIL: {detail}")),
        Some(_) => failure = failure.note("DETAIL withheld: may hold row values; --show-detail prints it"),
        None => {}
    }
    if let Some(context) = &error.context {
        // Other lines quote statements and COPY's rows.
        for line in context.lines().filter(|line| show_detail || line.contains(" function ") && !line.contains('"')) {
            failure = failure.note(format!("in {line}"));
        }
    }
    failure = limited(failure, error);
    if error.code == sqlstate::INSUFFICIENT_PRIVILEGE {
        failure = failure.help("connect as the role that owns the tables, or grant it what is missing");
    }
    match &error.hint {
        Some(hint) => failure.help(hint),
        None => failure,
    }
}

/// Adds what to do where a limit was reached: the disk's, or the time's.
fn limited(failure: Failure, error: &DbError) -> Failure {
    match error.code.as_str() {
        sqlstate::DISK_FULL => failure
            .note("the server's disk is full")
            .help("free space there, or give it a larger disk; then run `migrate` again, which goes on with this file"),
        // The code is the same for both; the words are not translated where they differ.
        sqlstate::QUERY_CANCELED if error.message.contains("user request") => {
            failure.note("someone else cancelled it: pg_cancel_backend, or an administrator's tool")
        }
        sqlstate::QUERY_CANCELED => failure.note("it ran for longer than statement_timeout allows").help(
            "give it more time: --statement-timeout SECONDS, where 0 is no limit; or do the work in smaller steps",
        ),
        _ => failure,
    }
}

/// Adds whom a statement waited for when its time was up.
pub(crate) fn waited(failure: Failure, holders: &[Holder]) -> Failure {
    holders.iter().take(5).fold(failure, |failure, holder| {
        failure
            .note(format!("when its time was up it waited for {holder}"))
            .help(format!("to end that, rolling its work back: {}", holder.end()))
    })
}

/// For a run that was told to stop before it began the next file.
pub(crate) fn stopped(progress: &Progress<'_>) -> Failure {
    let next = progress.waiting.first().map_or("", |file| file.source().path.as_str());
    again(told(Failure::new(FailureKind::Interrupted, format!("interrupted before {next} ran")), progress))
}

/// For a run that was told to stop while `file` ran, and whose statement was cancelled; `inside` is a transaction, which
/// is rolled back.
pub(crate) fn interrupted(file: &MigrationFile, inside: bool, progress: &Progress<'_>) -> Failure {
    let mut failure = Failure::new(FailureKind::Interrupted, format!("interrupted while {} ran", file.source().path));
    if inside {
        failure = failure.note("the file was rolled back: it left nothing behind");
    }
    again(told(failure, progress))
}

/// For a run that was told to stop, and a server that did not answer that.
pub(crate) fn unanswered(file: &MigrationFile, progress: &Progress<'_>) -> Failure {
    let failure = Failure::new(FailureKind::Interrupted, format!("interrupted while {} ran", file.source().path))
        .note("the server did not answer the request to cancel it")
        .help("`chartchek-db status` tells whether it was applied");
    again(told(failure, progress))
}

fn again(failure: Failure) -> Failure {
    failure.help("run `migrate` again: it goes on where this run stopped")
}

/// Adds which files were applied and which not.
pub(crate) fn told(failure: Failure, progress: &Progress<'_>) -> Failure {
    let failure = match progress.applied {
        [] => failure.note("no file was applied by this run"),
        [one] => failure.note(format!("applied by this run before: {}", one.file)),
        [first, .., last] => failure.note(format!(
            "applied by this run before, and kept: {} files, {} to {}",
            progress.applied.len(),
            first.file,
            last.file
        )),
    };
    match progress.waiting.as_slice() {
        [] => failure,
        [one] => failure.note(format!("not reached: {}", one.source().path)),
        [first, .., last] => failure.note(format!(
            "not reached: {} files, {} to {}",
            progress.waiting.len(),
            first.source().path,
            last.source().path
        )),
    }
}

/// The message; what a data exception quotes is kept only where it stands in the file anyway.
fn message(error: &DbError, text: &str, show_detail: bool) -> String {
    if show_detail || !error.code.starts_with("22") {
        return error.message.clone();
    }
    let (Some(start), Some(end)) = (error.message.find('"'), error.message.rfind('"')) else {
        return error.message.clone();
    };
    if start == end || text.contains(&error.message[start + 1..end]) {
        return error.message.clone();
    }
    format!("{}\"…\"{} (value withheld; --show-detail prints it)", &error.message[..start], &error.message[end + 1..])
}

/// The token at a 1-based character offset into the text as it was sent.
fn from_position(source: &SourceFile, at: usize) -> Option<Range<usize>> {
    let bom = sql::bom(source);
    let text = &source.text[bom..];
    let start = match text.char_indices().nth(at.checked_sub(1)?) {
        Some((start, _)) => start,
        // Past the end: something is missing after the last word.
        None => text.trim_end().len(),
    };
    Some(bom + start..bom + start + token(&text[start..]))
}

/// How many bytes the word, or the one character, at the start takes.
fn token(text: &str) -> usize {
    let word: usize = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').map(char::len_utf8).sum();
    if word > 0 { word } else { text.chars().next().map_or(0, char::len_utf8) }
}

/// The place inside a DO block or function body: the inner statement where it stands there word for word, else the line
/// that CONTEXT names.
fn inside(source: &SourceFile, span: Range<usize>, error: &DbError) -> Option<Range<usize>> {
    let text = source.text.get(span.clone())?;
    if let Some(ErrorPosition::Internal { position, query }) = &error.position
        && text.matches(query.as_str()).count() == 1
    {
        let within = query.char_indices().nth((*position as usize).checked_sub(1)?)?.0;
        let start = span.start + text.find(query.as_str())? + within;
        return Some(start..start + token(&source.text[start..]));
    }
    // `PL/pgSQL function inline_code_block line 3 at RAISE`: lines of the body, which begins after the dollar quote.
    let context = error.context.as_deref()?;
    let outermost = context.lines().rev().find(|line| line.starts_with("PL/pgSQL function inline_code_block line "))?;
    let line: usize = outermost.split(" line ").nth(1)?.split(' ').next()?.parse().ok()?;
    let opening = text.find('$')?;
    let body = opening + 1 + text[opening + 1..].find('$')? + 1;
    let mut start = body;
    for _ in 1..line {
        start += text[start..].find('\n')? + 1;
    }
    let content = text[start..].lines().next()?;
    let indent = content.len() - content.trim_start().len();
    Some(span.start + start + indent..span.start + start + content.trim_end().len())
}

/// An error of what the tool itself sends before the file.
fn ours(path: &str, error: DbError, progress: &Progress<'_>) -> Failure {
    let failure = match error.code.as_str() {
        lock::NOT_HELD => Failure::new(FailureKind::Connection, "a transaction pooler stands between this tool and the database")
            .note(format!("{path} met a backend that does not hold the migration lock; it was not run"))
            .help("connect to the database directly, or to the pooler's session mode (port 5432 at Supabase, not 6543)"),
        sqlstate::INSUFFICIENT_PRIVILEGE => Failure::new(FailureKind::Connection, "not enough rights to keep the migration history")
            .note(error.to_string())
            .help(format!(
                "{} is made with the first migration: connect as the database's owner, or: grant create on database … to …;",
                history::TABLE
            )),
        _ => limited(error.clone().into_failure("cannot begin a migration"), &error),
    };
    told(failure, progress)
}

/// The connection broke: the server may or may not have finished the file.
fn lost(path: &str, error: DbError, progress: &Progress<'_>) -> Failure {
    let failure = Failure::new(FailureKind::Connection, format!("the connection broke while {path} ran"))
        .note(error.to_string())
        .note("the file is either applied and recorded, or rolled back: never half")
        .help("`chartchek-db status` tells which; then run `migrate` again");
    told(limited(failure, &error), progress)
}

/// For a file that never got a table's lock.
pub(crate) fn blocked(failure: Failure, blockers: &Blockers) -> Failure {
    let mut failure = failure;
    let what = if blockers.named { "blocked by" } else { "holds locks on tables" };
    for holder in blockers.holders.iter().take(5) {
        failure = failure
            .note(format!("{what}: {holder}"))
            .help(format!("to end it, rolling its work back: {}", holder.end()));
    }
    failure.help("run `migrate` again when the table is less busy, or with a longer --lock-wait")
}

/// For a file that ran without a transaction.
pub(crate) fn outside(failure: Failure, invalid: &[String]) -> Failure {
    let mut failure =
        failure.note("the file runs without a transaction: what it did before the error may still be there");
    for index in invalid {
        failure = failure
            .note(format!("index {index} is INVALID: it costs writes and serves no query"))
            .help(format!("if it is this file's, drop it and run `migrate` again: drop index concurrently {index};"));
    }
    if !invalid.is_empty() {
        failure = failure.help("`chartchek-db migrate --mend` drops what the file left, and goes on");
    }
    failure
}
