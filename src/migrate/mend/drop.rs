//! What a DROP INDEX CONCURRENTLY left: an index that is INVALID on its way out, or one that is gone and not recorded.

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::mend::{Mending, text};
use crate::model::failure::{Failure, FailureKind};
use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{AstNode, DropIndex};

/// The index that a file drops, as its text names it.
pub(super) struct Unwanted {
    name: String,
    if_exists: bool,
}

/// The index of a DROP INDEX CONCURRENTLY, which takes one only.
pub(super) fn unwanted(node: &SyntaxNode) -> Option<Unwanted> {
    let statement = DropIndex::cast(node.clone())?;
    let mut names = statement.index_refs();
    let name = text(names.next()?.syntax());
    names.next().is_none().then(|| Unwanted { name, if_exists: statement.if_exists().is_some() })
}

/// An index that is INVALID is dropped by the file itself. One that is not there is recorded where `mend` allows it.
///
/// # Errors
/// Migration: it is not there, and `mend` is not given. The server's.
pub(super) async fn mend(
    session: &Session,
    file: &MigrationFile,
    unwanted: &Unwanted,
    mend: bool,
) -> Result<Vec<(String, Mending)>, Failure> {
    let name = &unwanted.name;
    let rows = session
        .text_rows(&format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid::text \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE c.oid = pg_catalog.to_regclass({})",
            quote::literal(name)
        ))
        .await
        .map_err(|error| error.into_failure("cannot see whether the index is there"))?;
    let Some(row) = rows.into_iter().next() else {
        return match (unwanted.if_exists, mend) {
            (true, _) => Ok(Vec::new()),
            (false, true) => Ok(vec![(name.clone(), Mending::Gone)]),
            (false, false) => {
                let what = format!("index {name} of {} is not there, and the file is not recorded", file.source().path);
                Err(Failure::new(FailureKind::Migration, what)
                    .at(file::top(file.source(), "drops an index of that name"))
                    .note("an earlier run may have been cut off just before it was recorded")
                    .help("see that the name is right, then record the file: chartchek-db migrate --mend"))
            }
        };
    };
    let mut columns = row.into_iter();
    let (index, valid) = (columns.next().flatten().unwrap_or_default(), columns.next().flatten());
    Ok(if valid.as_deref() == Some("false") { vec![(index, Mending::Resumed)] } else { Vec::new() })
}
