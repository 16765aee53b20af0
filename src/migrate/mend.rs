//! What a statement with CONCURRENTLY left whose client died: an INVALID index, or work that is done and not recorded.

mod create;
mod drop;
mod reindex;

use crate::db::session::Session;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::sql;
use crate::model::failure::{Failure, FailureKind};
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// What was found of an earlier run of a file, and done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// The index was INVALID: it was dropped, and the file runs.
    Dropped,
    /// The index was INVALID, and dropping it is what the file does: it runs.
    Resumed,
    /// The index is there, and what the file makes: the file is recorded and does not run.
    There,
    /// The index that the file drops is gone: the file is recorded and does not run.
    Gone,
}

impl Mending {
    /// What is said of the index.
    pub fn words(self) -> &'static str {
        match self {
            Self::Dropped => "was INVALID and is dropped",
            Self::Resumed => "was left INVALID by a run that was cut off; it is dropped now",
            Self::There => "is there already: not run, only recorded",
            Self::Gone => "is gone already: not run, only recorded",
        }
    }

    /// Whether the file still has to run.
    pub(crate) fn runs(self) -> bool {
        matches!(self, Self::Dropped | Self::Resumed)
    }
}

/// Looks what an earlier run of `file` left, and mends it where `mend` allows that. Gives the indexes and what came of
/// each; none where nothing stands in the file's way. Call it outside of a transaction, under the migration lock.
///
/// # Errors
/// Migration: something is there and `mend` is not given, or the index is another than the file makes. Lock: it is being
/// built. The server's.
pub(crate) async fn mend(
    session: &Session,
    file: &MigrationFile,
    mend: bool,
) -> Result<Vec<(String, Mending)>, Failure> {
    match work(file) {
        Some(Work::Create(wanted)) => create::mend(session, file, wanted, mend).await,
        Some(Work::Drop(unwanted)) => drop::mend(session, file, &unwanted, mend).await,
        Some(Work::Reindex(tables)) => reindex::mend(session, file, &tables, mend).await,
        None => Ok(Vec::new()),
    }
}

/// What a file does CONCURRENTLY, as its text says it.
enum Work {
    Create(create::Wanted),
    Drop(drop::Unwanted),
    /// A query for the tables whose indexes are built anew.
    Reindex(String),
}

fn work(file: &MigrationFile) -> Option<Work> {
    let source = file.source();
    let parsed = squawk_syntax::SourceFile::parse(&source.text[sql::bom(source)..]);
    let mut statements = parsed.syntax_node().children().filter(|node| node.kind() != SyntaxKind::EMPTY_STMT);
    let node = statements.next().filter(|node| sql::has(node, SyntaxKind::CONCURRENTLY_KW))?;
    if statements.next().is_some() {
        return None;
    }
    match node.kind() {
        SyntaxKind::CREATE_INDEX => create::wanted(&node).map(Work::Create),
        SyntaxKind::DROP_INDEX => drop::unwanted(&node).map(Work::Drop),
        SyntaxKind::REINDEX => reindex::tables(node).map(Work::Reindex),
        _ => None,
    }
}

/// The text of a part of a statement, without the space around it.
fn text(node: &SyntaxNode) -> String {
    node.text().to_string().trim().to_owned()
}

/// Drops indexes that are INVALID, where that was asked for.
///
/// # Errors
/// Migration: it was not asked for; `why` says where they come from. The server's.
async fn drop_invalid(
    session: &Session,
    file: &MigrationFile,
    indexes: Vec<String>,
    mend: bool,
    why: &str,
) -> Result<Vec<(String, Mending)>, Failure> {
    let Some(first) = indexes.first() else { return Ok(Vec::new()) };
    if !mend {
        let what = format!("index {first} of {} is there, and INVALID", file.source().path);
        let mut failure = Failure::new(FailureKind::Migration, what)
            .at(file::top(file.source(), "was cut off in an earlier run"))
            .note(why);
        for index in &indexes {
            failure = failure.help(format!("drop it and run `migrate` again: drop index concurrently {index};"));
        }
        return Err(failure.help("or let it be done: chartchek-db migrate --mend"));
    }
    let mut mended = Vec::with_capacity(indexes.len());
    for index in indexes {
        session
            .batch(&format!("drop index concurrently {index}"))
            .await
            .map_err(|error| error.into_failure(&format!("the invalid index {index} was not dropped")))?;
        mended.push((index, Mending::Dropped));
    }
    Ok(mended)
}

/// The failure of a file whose index another session works on.
fn being_built(file: &MigrationFile, index: &str) -> Failure {
    let what = format!("index {index} of {} is being built by another session", file.source().path);
    Failure::new(FailureKind::Lock, what)
        .note("an index of its table is built right now; before that ends nothing can be mended")
        .help("see how far it is: select * from pg_stat_progress_create_index;")
        .help("run `migrate` again when it has ended")
}
