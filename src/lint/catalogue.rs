//! Lints of the catalogue: each is one file, its text in the first lines and then its query; all run in one go.
//!
//! A file begins with `-- severity:`, `-- reach:`, `-- condition:`, `-- effect:` and `-- remedy:`, each on one line. The
//! query gives four columns: the object, what is wrong with it in one sentence, the statement that mends it, and what
//! else was seen; the last two may be empty. What all queries share is `catalogue/common.sql`.

use super::{CATALOGUE, Kind, Lint, Severity};
use crate::db::catalog;
use crate::db::session::Session;
use crate::model::access::Contract;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use futures::future::join_all;
use serde::Deserialize;

/// A query, and who can use what it finds.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// The file's text.
    pub sql: &'static str,
    /// Who can use it.
    pub reach: Reach,
}

/// The slice, a line a lint; a file that lacks a part of its text does not compile.
macro_rules! catalogue {
    ($($name:literal [$($alias:literal),*],)*) => {
        &[$(&$crate::lint::catalogue::lint(
            $name,
            &[$($alias),*],
            include_str!(concat!("lint/catalogue/", $name, ".sql")),
        )),*]
    };
}
pub(super) use catalogue;

/// What every query may name.
const COMMON: &str = include_str!("catalogue/common.sql");
/// Cuts the policies' parse trees, once for all queries of the transaction.
const TREES: &str = include_str!("catalogue/trees.sql");

/// A lint from its file.
pub(super) const fn lint(name: &'static str, aliases: &'static [&'static str], sql: &'static str) -> Lint {
    let severity = match said(sql, "-- severity: ").as_bytes() {
        b"error" => Severity::Error,
        b"warning" => Severity::Warning,
        b"info" => Severity::Info,
        _ => panic!("a severity is error, warning or info"),
    };
    let reach = match said(sql, "-- reach: ").as_bytes() {
        b"api" => Reach::Api,
        b"function" => Reach::Function,
        b"sql" => Reach::Sql,
        _ => panic!("a reach is api, function or sql"),
    };
    Lint {
        name,
        aliases,
        severity,
        condition: said(sql, "-- condition: "),
        effect: said(sql, "-- effect: "),
        remedy: said(sql, "-- remedy: "),
        see: Kind::Catalogue(Query { sql, reach }),
    }
}

/// What stands behind `key`, to the end of its line. Runs when this is compiled.
const fn said(text: &'static str, key: &str) -> &'static str {
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = 0;
        while end < rest.len() && rest.as_bytes()[end] != b'\n' {
            end += 1;
        }
        let (line, after) = rest.split_at(end);
        if starts_with(line.as_bytes(), key.as_bytes()) {
            return line.split_at(key.len()).1;
        }
        rest = if after.is_empty() { after } else { after.split_at(1).1 };
    }
    panic!("a lint's file lacks a part of its text")
}

const fn starts_with(text: &[u8], start: &[u8]) -> bool {
    let mut at = 0;
    while at < start.len() {
        if at >= text.len() || text[at] != start[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// A query's row.
#[derive(Debug, Deserialize)]
struct Row {
    object: String,
    what: String,
    statement: Option<String>,
    detail: Option<String>,
}

/// Whose reach is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The schemas that the API exposes; those that the server says it exposes are added.
    pub schemas: Vec<String>,
    /// The roles of those whom row security is to hold.
    pub clients: Vec<String>,
}

impl Scope {
    /// That of a contract.
    pub fn of(contract: &Contract) -> Self {
        let held = contract.actors.iter().filter(|actor| !actor.bypasses_rls);
        let mut clients: Vec<String> = held.map(|actor| actor.role.clone()).collect();
        clients.sort();
        clients.dedup();
        Self { schemas: contract.schemas.clone(), clients }
    }
}

/// Every finding of every lint, the gravest first. Reads only, and wants a transaction, so that all is seen as of one
/// moment.
///
/// # Errors
/// The catalogue can't be read; a note names the lint whose query failed.
pub async fn run(session: &Session, scope: &Scope) -> Result<Vec<(&'static Lint, Finding)>, Failure> {
    let queries = CATALOGUE.iter().filter_map(|lint| match lint.see {
        Kind::Catalogue(query) => Some((*lint, query)),
        Kind::Migration(_) => None,
    });
    // Polled together: pipelined, and run in this order.
    let trees = async {
        let not_compiled = session.batch(catalog::NOT_COMPILED).await;
        not_compiled.map_err(|error| error.into_failure("the catalogue was not read"))
    };
    let cut = catalog::document::<serde_json::Value>(session, TREES, &scope.schemas, &scope.clients);
    let answers = join_all(queries.map(async |(lint, query)| {
        let sql = format!(
            "{COMMON}\nselect coalesce(json_agg(row_to_json(q)), '[]')::text from (\n{}\n) q (object, what, statement, detail)",
            query.sql
        );
        let rows: Result<Vec<Row>, Failure> = catalog::document(session, &sql, &scope.schemas, &scope.clients).await;
        rows.map(|rows| (lint, query.reach, rows)).map_err(|failure| failure.note(format!("in lint {}", lint.name)))
    }));
    let (trees, cut, answers) = futures::join!(trees, cut, answers);
    trees?;
    cut?;
    let mut found = Vec::new();
    for answer in answers {
        let (lint, reach, rows) = answer?;
        found.extend(rows.into_iter().map(|row| (lint, finding(lint, reach, row))));
    }
    found.sort_by(|(left, first), (right, second)| {
        (left.severity, left.name, &first.object).cmp(&(right.severity, right.name, &second.object))
    });
    Ok(found)
}

fn finding(lint: &Lint, reach: Reach, row: Row) -> Finding {
    Finding {
        check: lint.name.to_owned(),
        what: row.what,
        object: row.object,
        place: None,
        why: match row.detail.filter(|detail| !detail.is_empty()) {
            Some(detail) => format!("{detail}; {}", lint.effect),
            None => lint.effect.to_owned(),
        },
        remedy: lint.remedy.to_owned(),
        reach,
        statement: row.statement.unwrap_or_default(),
        attempts: Vec::new(),
    }
}
