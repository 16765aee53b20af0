//! `drift`: a target against a scratch database that the migrations made.

use crate::db::quote::{identifier, readable_identifier};
use crate::db::session::Session;
use crate::migrate::{HISTORY_SCHEMA, State, Status};
use crate::model::access::Contract;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::schema::difference::{self, Case, Comparison, Difference};
use crate::schema::facts::{self, Facts};
use crate::server::Regime;

/// What a comparison found.
#[derive(Debug)]
pub struct Drift {
    /// One for each difference.
    pub findings: Vec<Finding>,
    /// What the comparison could not see.
    pub not_tried: Vec<NotRun>,
    /// How many objects the migrations produce.
    pub objects: usize,
}

/// Compares the target with a scratch database of the applied migrations. Reads only; a target's session should be in a
/// read-only transaction of its own.
///
/// # Errors
/// Either catalogue can't be read.
pub async fn drift(made: &Session, target: &Session, contract: &Contract) -> Result<Drift, Failure> {
    let (own, other) = (facts::major(made).await?, facts::major(target).await?);
    let scope = facts::scope(made, contract, own.min(other)).await?;
    let expected = facts::read(made, &scope).await?;
    let found = facts::read(target, &scope).await?;
    let findings = findings(&expected, &found, own != other);
    let mut not_tried = vec![NotRun {
        what: "schemas other than the project's".to_owned(),
        why: format!("compared are {}", scope.schemas.join(", ")),
    }];
    if own != other {
        not_tried.push(NotRun {
            what: "white space, parentheses and letter case in definitions".to_owned(),
            why: format!(
                "PostgreSQL {own} and {other} print them differently; PGBIN names a PostgreSQL {other} to compare with"
            ),
        });
    }
    Ok(Drift { findings, not_tried, objects: expected.objects.len() })
}

/// One finding for each difference; `loose` between servers of different majors.
pub fn findings(expected: &Facts, found: &Facts, loose: bool) -> Vec<Finding> {
    let how = Comparison { loose, parts: false };
    let differences = difference::compare(expected, found, how);
    // What else is installed is the platform's or the user's; what it brings is told apart.
    let ours = differences.iter().filter(|one| one.key.0 != "extension" || one.case != Case::Extra);
    ours.map(|one| finding(one, found)).collect()
}

/// The default privileges under which the target's migrations run: those of a scratch database to compare it with.
///
/// # Errors
/// The catalogue can't be read.
pub async fn regime(target: &Session) -> Result<Regime, Failure> {
    let rows = target
        .text_rows(include_str!("facts/regime.sql"))
        .await
        .map_err(|error| error.into_failure("the default privileges were not read"))?;
    match rows.into_iter().flatten().flatten().next().as_deref() {
        Some("legacy") => Ok(Regime::Legacy),
        Some(_) => Ok(Regime::Explicit),
        None => Err(Failure::new(FailureKind::Inconclusive, "the default privileges were not read")),
    }
}

/// What differs in the history: a file that was changed, overtaken or lost after it was applied.
pub fn history(status: &Status) -> Vec<Finding> {
    let odd = status.entries.iter().filter(|entry| !matches!(entry.state, State::Applied | State::Pending));
    odd.map(|entry| Finding {
        check: "drift".to_owned(),
        what: format!("the migration {} is {}", entry.file, entry.state.word()),
        object: format!("migration {}", entry.file),
        place: None,
        why: match entry.state {
            State::Changed => "it was edited after it was applied".to_owned(),
            State::Missing => "it is applied, and the project has no such file".to_owned(),
            _ => "a higher version is applied, so it would never run".to_owned(),
        },
        remedy: "run `chartchek-db status`, and bring files and history together before anything else".to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    })
    .collect()
}

/// Takes out what is found only because the history is where refinery_cli began it: the migrations make the tool's own.
pub fn without_history(findings: &mut Vec<Finding>, status: &Status) {
    let own = format!("{HISTORY_SCHEMA}.refinery_schema_history");
    let Some(table) = status.history.as_ref().filter(|table| **table != own) else { return };
    let objects = [format!("schema {HISTORY_SCHEMA}"), format!("table {own}"), format!("table {table}")];
    findings.retain(|finding| !objects.contains(&finding.object));
}

/// A difference in words.
pub(crate) fn finding(difference: &Difference, found: &Facts) -> Finding {
    let (kind, name) = &difference.key;
    let object = readable(&format!("{kind} {name}"));
    let property = if difference.property.is_empty() { "definition" } else { &difference.property };
    let what = match difference.case {
        Case::Missing if difference.property.is_empty() => format!("{object} is missing"),
        Case::Extra if difference.property.is_empty() => format!("{object} is not from the migrations"),
        _ => format!("{property} of {object} differs from what the migrations produce"),
    };
    let statement = difference.mend.iter().map(|sql| executable(sql, found) + ";").collect::<Vec<_>>().join("\n");
    let remedy = if statement.is_empty() {
        "write a migration that brings both together; how depends on the rows"
    } else {
        "run the statement on the target if the migrations are right, or write a migration if the target is"
    };
    Finding {
        check: "drift".to_owned(),
        what,
        object,
        place: None,
        why: contrast(difference, "expected", "found"),
        remedy: remedy.to_owned(),
        reach: reach(kind),
        statement,
        attempts: Vec::new(),
    }
}

/// What is expected beside what is there, on one line where both fit.
pub(crate) fn contrast(difference: &Difference, expected_by: &str, found_by: &str) -> String {
    let text = |value: &str| if value.is_empty() { "nothing".to_owned() } else { readable(value) };
    let (expected, found) = (text(&difference.expected), text(&difference.found));
    if expected.len() + found.len() < 80 && !expected.contains('\n') && !found.contains('\n') {
        format!("{expected_by}: {expected}; {found_by}: {found}")
    } else {
        format!("{expected_by}:\n{}\n{found_by}:\n{}", expected.trim_matches('\n'), found.trim_matches('\n'))
    }
}

/// Who can use the difference, if it opens something.
pub(crate) fn reach(kind: &str) -> Reach {
    match kind {
        "function" | "procedure" | "trigger" => Reach::Function,
        "policy" | "grant" | "table" | "view" | "materialized view" | "membership" | "role" | "publication" => {
            Reach::Api
        }
        _ => Reach::Sql,
    }
}

/// The names that stand for roles, in words.
pub(crate) fn readable(text: &str) -> String {
    text.replace("@migrator@", "the migrating role").replace("@owner@", "its owner")
}

/// The same in a statement: an object of ours belongs to the migrating role.
pub(crate) fn executable(sql: &str, facts: &Facts) -> String {
    let (role, database) = (readable_identifier(&facts.migrator), identifier(&facts.database));
    sql.replace("@migrator@", &role).replace("@owner@", &role).replace("@database@", &database)
}
