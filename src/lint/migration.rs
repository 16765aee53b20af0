//! Lints of migration files: what each file does to tables that are in use when it runs, and what it leaves open. Needs
//! no database: what a file makes itself is nobody's yet, all else is taken to be in use and full of rows.

mod allow;
mod cascade;
mod check_validated_at_once;
mod column_dropped;
mod column_renamed;
mod column_type_changed;
mod constraint_builds_index;
mod data_in_migration;
mod definer_path_open;
mod foreign_key_validated_at_once;
mod guard_dropped;
mod index_drop_not_concurrent;
mod index_not_concurrent;
mod lock_beside_slow;
mod lost_by_rebuild;
mod not_null_scans;
mod not_null_without_default;
mod object_dropped;
mod policy_beside_slow;
mod policy_unqualified_name;
mod see;
mod stale_allow;
mod table_dropped;
mod table_left_open;
mod table_locked;
mod table_renamed;
mod table_rewritten;
mod table_scanned;
mod unread_statement;
mod volatile_default;

use super::{Kind, Lint};
use crate::migrate::{self, ForeseenFile, MigrationFile};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::source::Place;
use squawk_syntax::SyntaxNode;
use std::collections::BTreeSet;
use std::ops::Range;

/// Every lint of migration files. A new one is its file, `lint/migration/<name>.rs`, and a line here.
pub const LINTS: &[&Lint] = &[
    &index_not_concurrent::LINT,
    &index_drop_not_concurrent::LINT,
    &constraint_builds_index::LINT,
    &check_validated_at_once::LINT,
    &foreign_key_validated_at_once::LINT,
    &not_null_scans::LINT,
    &not_null_without_default::LINT,
    &column_type_changed::LINT,
    &volatile_default::LINT,
    &table_rewritten::LINT,
    &table_scanned::LINT,
    &table_locked::LINT,
    &lock_beside_slow::LINT,
    &policy_beside_slow::LINT,
    &table_dropped::LINT,
    &column_dropped::LINT,
    &object_dropped::LINT,
    &guard_dropped::LINT,
    &cascade::LINT,
    &table_renamed::LINT,
    &column_renamed::LINT,
    &data_in_migration::LINT,
    &table_left_open::LINT,
    &lost_by_rebuild::LINT,
    &definer_path_open::LINT,
    &policy_unqualified_name::LINT,
    &unread_statement::LINT,
    &stale_allow::LINT,
];

/// Looks at one file.
pub type Check = fn(&File<'_>) -> Vec<Hit>;

/// One file, as lints see it.
pub struct File<'a> {
    foreseen: &'a ForeseenFile<'a>,
    exposed: &'a [String],
    clients: &'a [String],
    functions: &'a BTreeSet<String>,
}

/// A place where a lint fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The bytes of the file.
    span: Range<usize>,
    /// The object.
    object: String,
    /// What was found, in one sentence without a full stop.
    what: String,
}

impl File<'_> {
    /// A hit at a part of the tree.
    fn hit(&self, node: &SyntaxNode, object: impl ToString, what: impl Into<String>) -> Hit {
        let span = migrate::span(node, migrate::bom(self.foreseen.source)).unwrap_or_default();
        Hit { span, object: object.to_string(), what: what.into() }
    }

    /// The line on which a part of the file begins, from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        self.foreseen.source.line_and_column(span.start).0
    }
}

/// Every finding in the files, in the order of the files and of their text, those left out that the files allow with a
/// reason. `files` are all of the project's, in order: what one makes, a later one finds in use. `exposed` are the schemas
/// of the API, `clients` the roles of those whom row security is to hold.
///
/// # Errors
/// A file that `migrate` would refuse to run, or an `allow` without a reason, in the wrong place, or of no lint: of kind
/// usage, with its place.
pub fn run(
    files: &[MigrationFile],
    exposed: &[String],
    clients: &[String],
) -> Result<Vec<(&'static Lint, Finding)>, Failure> {
    let foreseen = migrate::foresee(files)?;
    let functions = foreseen.iter().flat_map(|file| &file.statements).filter_map(see::made_function).collect();
    let mut found = Vec::new();
    for foreseen in &foreseen {
        let mut allowed = allow::read(foreseen)?;
        let file = File { foreseen, exposed, clients, functions: &functions };
        let mut hits = Vec::new();
        for lint in LINTS {
            let Kind::Migration(check) = lint.see else { continue };
            hits.extend(check(&file).into_iter().filter(|hit| !allowed.take(lint, &hit.span)).map(|hit| (*lint, hit)));
        }
        hits.extend(allowed.stale().map(|hit| (&stale_allow::LINT, hit)));
        hits.sort_by_key(|(lint, hit)| (hit.span.start, lint.name));
        found.extend(hits.into_iter().map(|(lint, hit)| (lint, finding(lint, foreseen, hit))));
    }
    Ok(found)
}

fn finding(lint: &Lint, file: &ForeseenFile<'_>, hit: Hit) -> Finding {
    let span = migrate::first_line(file.source, &hit.span);
    Finding {
        check: lint.name.to_owned(),
        what: hit.what,
        object: hit.object,
        place: Some(Place { file: file.source.clone(), span, label: String::new() }),
        why: lint.effect.to_owned(),
        remedy: lint.remedy.to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    }
}
