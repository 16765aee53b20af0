//! `migrate --adopt`: a database in the documented shape that grew by hand, against what the migrations make. What
//! differs, which rows are in the way, the catch-up file, and whether it did what it should and lost nothing.

mod again;
mod changes;
mod columns;
mod kept;
mod names;
mod obstacles;
mod script;
mod sides;

use crate::contract::project::Project;
use crate::db::quote::literal;
use crate::db::session::Session;
use crate::migrate::HISTORY_SCHEMA;
use crate::model::access::Contract;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Finding;
use crate::model::report::NotRun;
use crate::model::source::SourceFile;
use crate::schema::difference::{Case, Difference};
use crate::schema::drift::{finding, readable};
use crate::schema::facts::{self, Facts, Scope};
use crate::schema::policies;
use changes::is_told;
use kept::Kept;
use sha2::{Digest, Sha256};
use sides::{Fate, Side, Sides};

pub use obstacles::IN_THE_WAY;
pub use script::is_unedited;

/// What the migrations make, read from a scratch database.
#[derive(Debug)]
pub struct Expected {
    side: Side,
    scope: Scope,
    loose: bool,
    /// The tables that the migrations write rows to.
    filled: Vec<String>,
}

/// A database without history against what the migrations make.
#[derive(Debug)]
pub struct Adoption {
    /// What differs, and the rows in the way.
    pub findings: Vec<Finding>,
    /// What could not be counted or compared.
    pub not_tried: Vec<NotRun>,
    /// How many objects the migrations make.
    pub objects: usize,
    /// The catch-up file.
    pub file: String,
    /// How many differences are left to a person.
    pub decisions: usize,
}

/// What the database looked like before the file ran.
#[derive(Debug)]
pub struct Before(Kept);

/// What the database looks like after the file ran.
#[derive(Debug)]
pub struct After {
    /// What is lost, and what is still not as the migrations make it: where there is one, nothing may be committed.
    pub findings: Vec<Finding>,
    /// What the migrations do not make, and what stayed.
    pub kept: Vec<String>,
    /// Which rows the file itself wrote.
    pub written: Vec<String>,
    /// How many rows were counted, in words.
    pub counted: String,
}

/// Reads what the migrations make from a scratch database.
///
/// # Errors
/// One of the catalogues can't be read.
pub async fn expected(
    made: &Session,
    target: &Session,
    project: &Project,
    contract: &Contract,
) -> Result<Expected, Failure> {
    let (own, other) = (facts::major(made).await?, facts::major(target).await?);
    let scope = facts::scope(made, contract, own.min(other)).await?;
    let lost = |error: crate::db::error::DbError| error.into_failure("the scratch database is lost");
    made.batch("BEGIN").await.map_err(lost)?;
    let facts = facts::read(made, &scope).await?;
    let mut side = Side::read(made, facts).await?;
    made.batch("ROLLBACK").await.map_err(lost)?;
    side.texts = policies::statements(made, project, contract).await?;
    let filled = filled(made, &side.facts).await?;
    Ok(Expected { side, scope, loose: own != other, filled })
}

/// Compares the target with what the migrations make and counts the rows in the way. Reads only; the session has to be in
/// a read-only transaction.
///
/// # Errors
/// Usage: the database has none of the migrations' tables. Connection: another role owns them, or not enough rights.
pub async fn adoption(expected: &Expected, target: &Session) -> Result<Adoption, Failure> {
    let facts = facts::read(target, &expected.scope).await?;
    let side = Side::read(target, facts).await?;
    refuse_nothing_there(expected, &side)?;
    refuse_another_owner(target, &side.facts).await?;
    let sides = Sides { wanted: &expected.side, there: &side, loose: expected.loose };
    let differences = sides.differences();
    let script = changes::script(&sides, &differences);
    let (in_the_way, mut not_tried) = obstacles::find(target, &sides, &differences).await?;
    not_tried.push(NotRun {
        what: "schemas other than the project's".to_owned(),
        why: format!("compared are {}", expected.scope.schemas.join(", ")),
    });
    not_tried.extend(expected.filled.iter().map(|table| NotRun {
        what: format!("the rows that the migrations write to {table}"),
        why: "only what the tables are is compared; see by hand whether the rows are there".to_owned(),
    }));
    let mut findings = in_the_way;
    findings.extend(differences.iter().filter_map(|(one, fate)| told(&sides, one, *fate, &script)));
    let database = target.endpoint().to_string();
    Ok(Adoption {
        findings,
        not_tried,
        objects: expected.side.facts.objects.len(),
        file: script.text(&database, &fingerprint(&side.facts)),
        decisions: script.decisions.len(),
    })
}

/// Before the file runs, in its transaction: locks every table and counts its rows.
///
/// # Errors
/// Usage: the file was written for another catalogue. Connection: another role owns the tables, or not enough rights.
/// Lock: a table's lock was not had in time.
pub async fn before(expected: &Expected, target: &Session, file: &SourceFile) -> Result<Before, Failure> {
    let facts = facts::read(target, &expected.scope).await?;
    refuse_another_owner(target, &facts).await?;
    script::fits(file, &fingerprint(&facts))?;
    kept::lock_and_count(target).await.map(Before)
}

/// After the file ran and the history was written, in the same transaction.
///
/// # Errors
/// The catalogue or the rows can't be read.
pub async fn after(expected: &Expected, target: &Session, before: &Before) -> Result<After, Failure> {
    let facts = facts::read(target, &expected.scope).await?;
    let side = Side::read(target, facts).await?;
    let sides = Sides { wanted: &expected.side, there: &side, loose: expected.loose };
    let now = kept::count_again(target, &before.0).await?;
    let mut findings = kept::lost(&before.0, &now);
    let mut stayed = Vec::new();
    for (one, fate) in sides.differences() {
        match fate {
            Fate::Change => findings.push(Finding {
                remedy: "see what the file says of it, and decide: it has to be as the migrations make it".to_owned(),
                ..finding(&one, &side.facts)
            }),
            Fate::Keep if is_told(&sides, &one) => stayed.push(readable(&format!("{} {}", one.key.0, one.key.1))),
            Fate::Keep | Fate::Silent => {}
        }
    }
    let written = kept::written(&before.0, &now);
    Ok(After { findings, kept: stayed, written, counted: kept::summary(&before.0) })
}

/// A difference as `drift` tells it, with what becomes of it; the parts of what is missing or extra are left out.
fn told(sides: &Sides<'_>, one: &Difference, fate: Fate, script: &script::Script) -> Option<Finding> {
    let parent = |facts: &Facts| one.parent.is_empty() || facts.named(&one.parent).is_some();
    let whole = match one.case {
        Case::Missing if one.property.is_empty() => parent(&sides.there.facts),
        Case::Extra if one.property.is_empty() => parent(&sides.wanted.facts) || fate == Fate::Change,
        _ => true,
    };
    if !whole || fate == Fate::Silent {
        return None;
    }
    let mut finding = finding(one, &sides.there.facts);
    let object = readable(&format!("{} {}", one.key.0, one.key.1));
    finding.statement.clear();
    finding.remedy = match script.decisions.iter().find(|decision| is_about(&decision.what, &object, &one.key.1)) {
        _ if fate == Fate::Keep => "it stays as it is".to_owned(),
        Some(decision) => format!("to decide: {}", decision.why),
        None => "the catch-up file has the statement".to_owned(),
    };
    Some(finding)
}

fn is_about(decision: &str, object: &str, name: &str) -> bool {
    decision == format!("type of column {name}")
        || decision.ends_with(object)
        || decision.starts_with(&format!("{object} is "))
}

/// The tables that have rows once the migrations ran.
async fn filled(made: &Session, facts: &Facts) -> Result<Vec<String>, Failure> {
    let tables = facts.objects.keys().filter(|(kind, name)| kind == "table" && !name.contains(HISTORY_SCHEMA));
    let asked: Vec<String> =
        tables.map(|(_, table)| format!("SELECT {} WHERE EXISTS (SELECT FROM {table})", literal(table))).collect();
    let rows = made.text_rows(&asked.join(";\n")).await;
    let rows = rows.map_err(|error| error.into_failure("the scratch database was not read"))?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Nothing that is there is nothing to adopt.
fn refuse_nothing_there(expected: &Expected, there: &Side) -> Result<(), Failure> {
    let ours =
        expected.side.facts.objects.keys().filter(|(kind, name)| kind == "table" && !name.contains(HISTORY_SCHEMA));
    let mut ours = ours.peekable();
    if ours.peek().is_none() || ours.any(|(_, name)| there.has_table(name)) {
        return Ok(());
    }
    Err(Failure::usage("the database has none of the tables that the migrations make: there is nothing to adopt")
        .help("chartchek-db migrate"))
}

/// Who adopts owns what the migrations made from then on.
async fn refuse_another_owner(target: &Session, facts: &Facts) -> Result<(), Failure> {
    let role = target.text_rows("SELECT current_user::text").await;
    let role = role.map_err(|error| error.into_failure("the server does not say who this is"))?;
    let role = role.into_iter().flatten().flatten().next().unwrap_or_default();
    if role == facts.migrator {
        return Ok(());
    }
    let what = format!("the tables belong to {}, and this session acts as {role}", facts.migrator);
    Err(Failure::new(FailureKind::Connection, what)
        .note("nothing was changed")
        .help(format!("connect as {}, the role that migrations will run as", facts.migrator)))
}

/// Tells two catalogues apart, whatever the database's name is.
fn fingerprint(facts: &Facts) -> String {
    let mut hash = Sha256::new();
    for ((kind, name), object) in &facts.objects {
        for (property, value) in &object.properties {
            for part in [kind, name, property, &value.value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
