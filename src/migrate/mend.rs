//! What a CREATE INDEX CONCURRENTLY left whose client died: an index that is INVALID, or one that is whole and not
//! recorded.

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::file::MigrationFile;
use crate::migrate::sql;
use crate::model::failure::{Failure, FailureKind};
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// The table that the file's statement is tried on.
const TRIAL: &str = "pg_temp.chartchek_db_trial";

/// The index that a file makes, as its text names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    table: String,
    if_not_exists: bool,
    /// The statement, for the empty table [`TRIAL`].
    trial: String,
}

/// What is to be done with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mended {
    /// Nothing stands in its way: it runs.
    Nothing,
    /// An invalid index of its name was dropped: it runs.
    Dropped(String),
    /// Its index is there, and what it makes: it is recorded and does not run.
    There(String),
}

/// Looks whether the index that `file` makes is there already, and mends that where `mend` allows it. Call it outside of
/// a transaction, under the migration lock.
///
/// # Errors
/// Migration: the index is there and `mend` is not given, or it is another than the file makes. Lock: it is being built.
/// The server's.
pub(crate) async fn mend(session: &Session, file: &MigrationFile, mend: bool) -> Result<Mended, Failure> {
    let Some(wanted) = wanted(file) else { return Ok(Mended::Nothing) };
    let Some(found) = look(session, &wanted).await? else { return Ok(Mended::Nothing) };
    let (path, index) = (&file.source().path, &found.index);
    if found.being_built {
        return Err(Failure::new(
            FailureKind::Lock,
            format!("index {index} of {path} is being built by another session"),
        )
        .note("an index of its table is built right now; before that ends nothing can be mended")
        .help("see how far it is: select * from pg_stat_progress_create_index;")
        .help("run `migrate` again when it has ended"));
    }
    let drop = format!("drop index concurrently {index};");
    match (found.valid, mend) {
        (false, false) => {
            Err(Failure::new(FailureKind::Migration, format!("index {index} of {path} is there, and INVALID"))
                .at(crate::migrate::file::top(file.source(), "makes an index of that name"))
                .note("an earlier run was cut off while it was built: it costs writes and serves no query")
                .help(format!("drop it and run `migrate` again: {drop}"))
                .help("or let it be done: chartchek-db migrate --mend"))
        }
        (false, true) => {
            session
                .batch(&drop)
                .await
                .map_err(|error| error.into_failure(&format!("the invalid index {index} was not dropped")))?;
            Ok(Mended::Dropped(found.index))
        }
        // The file itself says that it may be there.
        (true, _) if wanted.if_not_exists => Ok(Mended::Nothing),
        (true, false) => Err(Failure::new(
            FailureKind::Migration,
            format!("index {index} of {path} is there, and the file is not recorded"),
        )
        .at(crate::migrate::file::top(file.source(), "makes an index of that name"))
        .note("the index is valid: an earlier run may have been cut off just before it was recorded")
        .help("record the file, if the index is what it makes: chartchek-db migrate --mend")
        .help(format!("or build it anew: {drop}"))),
        (true, true) => match same(session, &wanted, &found).await? {
            None => Ok(Mended::There(found.index)),
            Some((there, made)) => {
                Err(Failure::new(FailureKind::Migration, format!("index {index} is not what {path} makes"))
                    .note(format!("there is:       {there}"))
                    .note(format!("the file makes: {made}"))
                    .help(format!("if nobody needs the one that is there, drop it and run `migrate` again: {drop}"))
                    .help("else give the file's index another name"))
            }
        },
    }
}

/// The index of a file that is one CREATE INDEX CONCURRENTLY with a name.
fn wanted(file: &MigrationFile) -> Option<Wanted> {
    let source = file.source();
    let text = &source.text[sql::bom(source)..];
    let parsed = squawk_syntax::SourceFile::parse(text);
    let mut statements = parsed.syntax_node().children().filter(|node| node.kind() != SyntaxKind::EMPTY_STMT);
    let node = statements.next().filter(|node| node.kind() == SyntaxKind::CREATE_INDEX)?;
    if statements.next().is_some() {
        return None;
    }
    let child = |kind: SyntaxKind| node.children().find(|child| child.kind() == kind);
    let concurrently = node.children_with_tokens().find(|one| one.kind() == SyntaxKind::CONCURRENTLY_KW)?.text_range();
    let name = child(SyntaxKind::INDEX)?;
    let table = child(SyntaxKind::TABLE_RELATION_NAME)?
        .descendants()
        .find(|child| child.kind() == SyntaxKind::TABLE_NAME_REF)?;
    let if_not_exists = child(SyntaxKind::IF_NOT_EXISTS).as_ref().map(SyntaxNode::text_range);
    let start = usize::from(node.text_range().start());
    let mut trial = node.text().to_string();
    // From the end, so that what stands before keeps its place.
    for (range, instead) in [(Some(table.text_range()), TRIAL), (if_not_exists, ""), (Some(concurrently), "")] {
        if let Some(range) = range {
            trial.replace_range(usize::from(range.start()) - start..usize::from(range.end()) - start, instead);
        }
    }
    Some(Wanted {
        name: name.text().to_string().trim().to_owned(),
        table: table.text().to_string().trim().to_owned(),
        if_not_exists: if_not_exists.is_some(),
        trial,
    })
}

/// The index as it is.
struct Found {
    /// Schema and name, quoted where they must be.
    index: String,
    oid: String,
    valid: bool,
    being_built: bool,
}

/// The index of that name on that table. Another's index, or another kind of relation, is PostgreSQL's to refuse.
async fn look(session: &Session, wanted: &Wanted) -> Result<Option<Found>, Failure> {
    // Other roles' builds show no table: any may be this one.
    let rows = session
        .text_rows(&format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.oid::text, i.indisvalid::text, \
               EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p \
                 WHERE p.datname = pg_catalog.current_database() AND (p.relid = i.indrelid OR p.relid IS NULL))::text \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE i.indrelid = pg_catalog.to_regclass({}) AND c.relname = (pg_catalog.parse_ident({}))[1]::name",
            quote::literal(&wanted.table),
            quote::literal(&wanted.name)
        ))
        .await
        .map_err(|error| error.into_failure("cannot see whether the index is there"))?;
    Ok(rows.into_iter().next().and_then(|row| {
        let mut columns = row.into_iter().flatten();
        Some(Found {
            index: columns.next()?,
            oid: columns.next()?,
            valid: columns.next()? == "true",
            being_built: columns.next()? == "true",
        })
    }))
}

/// Nothing where the index that is there is defined as the one that the file makes on an empty copy of its table, else
/// both definitions. The copy is rolled back.
async fn same(session: &Session, wanted: &Wanted, found: &Found) -> Result<Option<(String, String)>, Failure> {
    // Behind USING stands all but the names, which differ by the table's.
    let definition = |oid: &str| {
        format!(
            "(SELECT CASE WHEN i.indisunique THEN 'UNIQUE' ELSE '' END || substr(d, strpos(d, ' USING ')) \
              FROM pg_catalog.pg_index i, pg_catalog.pg_get_indexdef(i.indexrelid) d WHERE i.indexrelid = {oid})"
        )
    };
    let made = format!("(SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = '{TRIAL}'::regclass)");
    let rows = session
        .text_rows(&format!(
            "BEGIN; SET LOCAL lock_timeout = '3s'; CREATE TEMPORARY TABLE {} (LIKE {}); {}\n; SELECT {}, {}; ROLLBACK",
            TRIAL.trim_start_matches("pg_temp."),
            wanted.table,
            wanted.trial.trim_end().trim_end_matches(';'),
            definition(&found.oid),
            definition(&made)
        ))
        .await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            // Where this fails too the connection is gone, and the transaction with it.
            let _rolled_back = session.batch("ROLLBACK").await;
            return Err(error
                .into_failure(&format!("index {} could not be compared with what the file makes", found.index))
                .help(format!("drop it and run `migrate` again: drop index concurrently {};", found.index)));
        }
    };
    let mut columns = rows.into_iter().flatten();
    match (columns.next().flatten(), columns.next().flatten()) {
        (Some(there), Some(made)) if there == made => Ok(None),
        (there, made) => Ok(Some((there.unwrap_or_default(), made.unwrap_or_default()))),
    }
}
