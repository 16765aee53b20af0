//! What a CREATE INDEX CONCURRENTLY left: an index that is INVALID, or one that is whole and not recorded.

use crate::db::quote;
use crate::db::session::Session;
use crate::migrate::file::{self, MigrationFile};
use crate::migrate::mend::{Mending, being_built, drop_invalid, text};
use crate::model::failure::{Failure, FailureKind};
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// The table that the file's statement is tried on.
const TRIAL: &str = "chartchek_db_trial";

/// The index that a file makes, as its text says it.
pub(super) struct Wanted {
    /// `None` where PostgreSQL chooses the name.
    name: Option<String>,
    table: String,
    if_not_exists: bool,
    /// The statement, for the empty table [`TRIAL`].
    trial: String,
}

/// The index of a CREATE INDEX CONCURRENTLY.
pub(super) fn wanted(node: &SyntaxNode) -> Option<Wanted> {
    let child = |kind: SyntaxKind| node.children().find(|child| child.kind() == kind);
    let concurrently = node.children_with_tokens().find(|one| one.kind() == SyntaxKind::CONCURRENTLY_KW)?.text_range();
    let name = child(SyntaxKind::INDEX).map(|name| text(&name)).filter(|name| !name.is_empty());
    let table = child(SyntaxKind::TABLE_RELATION_NAME)?
        .descendants()
        .find(|child| child.kind() == SyntaxKind::TABLE_NAME_REF)?;
    let if_not_exists = child(SyntaxKind::IF_NOT_EXISTS).as_ref().map(SyntaxNode::text_range);
    let start = usize::from(node.text_range().start());
    let mut trial = node.text().to_string();
    let instead = format!("pg_temp.{TRIAL}");
    // From the end, so that what stands before keeps its place.
    for (range, instead) in
        [(Some(table.text_range()), instead.as_str()), (if_not_exists, ""), (Some(concurrently), "")]
    {
        if let Some(range) = range {
            trial.replace_range(usize::from(range.start()) - start..usize::from(range.end()) - start, instead);
        }
    }
    Some(Wanted { name, table: text(&table), if_not_exists: if_not_exists.is_some(), trial })
}

/// Looks whether the index is there already, and mends that where `mend` allows it.
///
/// # Errors
/// Migration: it is there and `mend` is not given, or it is another than the file makes. Lock: it is being built. The
/// server's.
pub(super) async fn mend(
    session: &Session,
    file: &MigrationFile,
    wanted: Wanted,
    mend: bool,
) -> Result<Vec<(String, Mending)>, Failure> {
    let mut found = look(session, &wanted).await?;
    if wanted.name.is_none() && !found.is_empty() {
        // The names that PostgreSQL chose tell nothing: what was left is what is defined alike.
        match made(session, &wanted).await {
            Ok(made) => found.retain(|one| one.is_left(&made)),
            Err(failure) if found.iter().any(|one| !one.valid) => return Err(failure),
            // What is wrong with the statement is said when it runs.
            Err(_) => return Ok(Vec::new()),
        }
    }
    if let Some(one) = found.iter().find(|one| one.being_built) {
        return Err(being_built(file, &one.index));
    }
    let Some(valid) = found.iter().find(|one| one.valid) else {
        let why = "an earlier run was cut off while it was built: it costs writes and serves no query";
        return drop_invalid(session, file, found.into_iter().map(|one| one.index).collect(), mend, why).await;
    };
    let (path, index) = (&file.source().path, &valid.index);
    let drop = format!("drop index concurrently {index};");
    // The file itself says that it may be there.
    if wanted.if_not_exists {
        return Ok(Vec::new());
    }
    if !mend {
        let what = format!("index {index} of {path} is there, and the file is not recorded");
        return Err(Failure::new(FailureKind::Migration, what)
            .at(file::top(file.source(), "makes that index"))
            .note("the index is valid: an earlier run may have been cut off just before it was recorded")
            .help("record the file, if the index is what it makes: chartchek-db migrate --mend")
            .help(format!("or build it anew: {drop}")));
    }
    let made = made(session, &wanted).await?;
    if valid.definition == made.definition {
        return Ok(vec![(valid.index.clone(), Mending::There)]);
    }
    Err(Failure::new(FailureKind::Migration, format!("index {index} is not what {path} makes"))
        .note(format!("there is:       {}", valid.definition))
        .note(format!("the file makes: {}", made.definition))
        .help(format!("if nobody needs the one that is there, drop it and run `migrate` again: {drop}"))
        .help("else give the file's index another name"))
}

/// An index that is there.
struct Found {
    /// Schema and name, quoted where they must be.
    index: String,
    valid: bool,
    being_built: bool,
    definition: String,
    /// Its bare name and its table's.
    names: (String, String),
}

impl Found {
    /// Whether a run without a name may have left it: one that is INVALID and defined alike, or a valid one that has the
    /// name too that PostgreSQL chooses.
    fn is_left(&self, made: &Made) -> bool {
        let (name, table) = &self.names;
        let chosen = made.name.strip_prefix(TRIAL).map(|rest| format!("{table}{rest}"));
        let numbered = |chosen: String| {
            name.strip_prefix(&chosen).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.definition == made.definition && (!self.valid || chosen.is_some_and(numbered))
    }
}

/// An expression: what stands behind USING in an index's definition, which is all but the names, and whether it is unique.
fn definition(oid: &str) -> String {
    format!(
        "(SELECT CASE WHEN i.indisunique THEN 'UNIQUE' ELSE '' END || substr(d, strpos(d, ' USING ')) \
          FROM pg_catalog.pg_index i, pg_catalog.pg_get_indexdef(i.indexrelid) d WHERE i.indexrelid = {oid})"
    )
}

/// The index of that name on that table, or all of the table's where there is no name. Another table's, or another kind
/// of relation, is PostgreSQL's to refuse.
async fn look(session: &Session, wanted: &Wanted) -> Result<Vec<Found>, Failure> {
    let name = match &wanted.name {
        Some(name) => format!("c.relname = (pg_catalog.parse_ident({}))[1]::name", quote::literal(name)),
        None => "true".to_owned(),
    };
    // Other roles' builds show no table: any may be this one.
    let rows = session
        .text_rows(&format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid::text, \
               (NOT i.indisvalid AND EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p \
                 WHERE p.datname = pg_catalog.current_database() AND (p.relid = i.indrelid OR p.relid IS NULL)))::text, \
               {}, c.relname::text, t.relname::text \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE i.indrelid = pg_catalog.to_regclass({}) AND {name} ORDER BY 1",
            definition("c.oid"),
            quote::literal(&wanted.table)
        ))
        .await
        .map_err(|error| error.into_failure("cannot see whether the index is there"))?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut columns = row.into_iter().flatten();
            Some(Found {
                index: columns.next()?,
                valid: columns.next()? == "true",
                being_built: columns.next()? == "true",
                definition: columns.next()?,
                names: (columns.next()?, columns.next()?),
            })
        })
        .collect())
}

/// What the file makes.
struct Made {
    definition: String,
    name: String,
}

/// The index that the file makes on an empty copy of its table, which is rolled back.
async fn made(session: &Session, wanted: &Wanted) -> Result<Made, Failure> {
    let rows = session
        .text_rows(&format!(
            "BEGIN; SET LOCAL lock_timeout = '3s'; CREATE TEMPORARY TABLE {TRIAL} (LIKE {}); {}\n; \
             SELECT {}, c.relname::text FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid \
             WHERE x.indrelid = 'pg_temp.{TRIAL}'::regclass; ROLLBACK",
            wanted.table,
            wanted.trial.trim_end().trim_end_matches(';'),
            definition("c.oid")
        ))
        .await;
    let compared = "what is there could not be compared with what the file makes";
    match rows {
        Ok(rows) => {
            let mut columns = rows.into_iter().flatten().flatten();
            columns
                .next()
                .zip(columns.next())
                .map(|(definition, name)| Made { definition, name })
                .ok_or_else(|| Failure::new(FailureKind::Inconclusive, compared))
        }
        Err(error) => {
            // Where this fails too the connection is gone, and the transaction with it.
            let _rolled_back = session.batch("ROLLBACK").await;
            let failure = error.into_failure(compared);
            Err(failure.help(format!(
                "see the indexes of {}, drop the one that is INVALID, and run `migrate` again: drop index concurrently …;",
                wanted.table
            )))
        }
    }
}
