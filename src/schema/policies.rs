//! `policies check` and `policies write`: the files of `policies/` against what the migrations produce, and the next
//! migration from the difference. PostgreSQL itself says what the files mean, on a scratch database.

mod files;
mod migration;
mod replay;

use crate::contract::project::Project;
use crate::db::session::Session;
use crate::model::access::Contract;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Finding, Reach};
use crate::model::source::SourceFile;
use crate::schema::difference::{self, Case, Comparison, Difference};
use crate::schema::drift::{contrast, reach, readable};
use crate::schema::facts::{self, Facts, Key, Scope};
use files::{HELPERS, PolicyFile};
pub(crate) use replay::or_replace;
use replay::{home, is_relation};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A difference has to be about something that a file can say.
const HOW: Comparison = Comparison { loose: false, parts: false };
const WITH_PARTS: Comparison = Comparison { loose: false, parts: true };

/// Both sides.
struct Sides {
    scope: Scope,
    files: Vec<PolicyFile>,
    /// What the migrations produce.
    made: Facts,
    /// What the files say.
    wanted: Facts,
}

/// Compares the files with a scratch database that the migrations made; leaves it as it was.
///
/// # Errors
/// Usage, with its place: a file that does not run. The catalogue can't be read.
pub async fn check(session: &Session, project: &Project, contract: &Contract) -> Result<Vec<Finding>, Failure> {
    let sides = sides(session, project, contract).await?;
    let mut findings = folder(&sides, contract);
    // Of a table without a file one finding is enough.
    let without: BTreeSet<String> = findings.iter().map(|finding| finding.object.clone()).collect();
    for one in difference::compare(&sides.wanted, &sides.made, HOW) {
        let relation = home(&one.key, &sides.made).or_else(|| home(&one.key, &sides.wanted));
        if !relation.as_ref().is_some_and(|relation| without.contains(relation)) {
            findings.push(finding(&one, relation.as_deref(), &sides.files));
        }
    }
    Ok(findings)
}

/// The statements of the files by what they create, in the words of whoever wrote them, as far as that is what the
/// migrations make too; none where [`check`] finds something.
///
/// # Errors
/// The connection broke.
pub(crate) async fn statements(
    session: &Session,
    project: &Project,
    contract: &Contract,
) -> Result<BTreeMap<Key, String>, Failure> {
    let sides = match sides(session, project, contract).await {
        Ok(sides) => sides,
        // Files that do not run: `policies check` says why.
        Err(failure) if failure.kind() == FailureKind::Usage => return Ok(BTreeMap::new()),
        Err(failure) => return Err(failure),
    };
    if !difference::compare(&sides.wanted, &sides.made, HOW).is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = sides.made.objects.keys();
    let found = keys.filter_map(|key| files::find(&sides.files, key).map(|(file, one)| (key.clone(), file.text(one))));
    Ok(found.map(|(key, text)| (key, text.to_owned())).collect())
}

/// The text of the migration after which [`check`] finds nothing; `None` where it finds nothing now. It was tried.
///
/// # Errors
/// As [`check`]; Usage: a table's file is missing, or has no table. Inconclusive: the difference is more than policies,
/// triggers, grants and helper functions, or the migration does not bring both together.
pub async fn write(session: &Session, project: &Project, contract: &Contract) -> Result<Option<String>, Failure> {
    let sides = sides(session, project, contract).await?;
    if let Some(finding) = folder(&sides, contract).first() {
        return Err(Failure::usage(finding.what.clone()).note("no migration was written").help(finding.remedy.clone()));
    }
    let differences = difference::compare(&sides.wanted, &sides.made, WITH_PARTS);
    if differences.is_empty() {
        return Ok(None);
    }
    if let Some(one) = differences.iter().find(|one| !migration::is_about(one)) {
        let failure = Failure::usage(format!("policies/ changes the {} {}", one.key.0, one.key.1));
        return Err(failure
            .note(
                "its files hold grants, policies, triggers and the functions that these call; no migration was written",
            )
            .help("take that statement out of policies/, and write a migration with it"));
    }
    let text = migration::text(&differences, &sides.made, &sides.wanted, &sides.files);
    let after = replay::after(session, &text, &sides.scope).await.map_err(|failure| by_hand(failure, &text))?;
    let left = difference::compare(&sides.wanted, &after, HOW);
    match left.first() {
        None => Ok(Some(text)),
        Some(one) => {
            let what = "the migration that was made does not bring files and migrations together";
            let failure = Failure::new(FailureKind::Inconclusive, what).note(format!(
                "{} would still differ: {}",
                shown(one),
                contrast(one, "policies/", "the migration")
            ));
            Err(by_hand(failure, &text))
        }
    }
}

fn by_hand(failure: Failure, text: &str) -> Failure {
    failure
        .note("no migration was written")
        .note(format!("tried was\n{text}"))
        .help("write this migration by hand (a changed signature needs DROP FUNCTION and all that calls it)")
}

/// The newest migration, to be made anew, and the project without it.
///
/// # Errors
/// Usage: there is none, [`write()`] did not make it, or the project is embedded.
pub fn without_newest(project: &Project) -> Result<(SourceFile, Project), Failure> {
    root(project)?;
    let files = crate::migrate::load(project)?;
    let newest = files.last().ok_or_else(|| Failure::usage("there is no migration to rewrite"))?.source().clone();
    if !newest.text.starts_with(migration::MARK) {
        return Err(Failure::usage(format!("{} was not written by `policies write`", newest.path))
            .note("what else it does would be lost")
            .help("leave --amend out: the difference goes into the next migration"));
    }
    let mut rest = project.clone();
    rest.migrations.retain(|file| file.path != newest.path);
    Ok((newest, rest))
}

fn root(project: &Project) -> Result<&PathBuf, Failure> {
    project.root.as_ref().ok_or_else(|| {
        Failure::usage("the copies in the binary can't be written to")
            .help("name the project's folder with --project DIR")
    })
}

async fn sides(session: &Session, project: &Project, contract: &Contract) -> Result<Sides, Failure> {
    let schema = contract.schemas.first().map_or("public", String::as_str);
    let files = files::load(project, schema)?;
    let scope = facts::scope(session, contract, facts::major(session).await?).await?;
    let made = facts::read(session, &scope).await?;
    let wanted = replay::replay(session, &made, &files, &contract.schemas, &scope).await?;
    Ok(Sides { scope, files, made, wanted })
}

/// Tables without a file, files without a table, and statements in another table's file.
fn folder(sides: &Sides, contract: &Contract) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, _) in sides.made.objects.iter().filter(|(key, _)| replay::RELATIONS.contains(&key.0.as_str())) {
        let name = files::plain(&key.1);
        let promised =
            contract.tables.iter().any(|access| format!("{}.{}", access.table.schema, access.table.name) == name);
        let regulated = sides.made.objects.iter().any(|(other, object)| {
            object.parent == format!("{} {}", key.0, key.1)
                && (matches!(other.0.as_str(), "policy" | "trigger")
                    || (other.0 == "grant" && !other.1.ends_with(" to @owner@")))
        });
        let exposed = replay::stands_in(&name, &contract.schemas);
        if exposed && (promised || regulated) && !sides.files.iter().any(|file| file.subject == name) {
            let file = file_name(&name, contract);
            findings.push(Finding {
                place: None,
                why: "the migrations make grants, policies or triggers for it that no file shows".to_owned(),
                remedy: format!("write {file} with the table's grants, policies and triggers"),
                ..plain_finding(format!("{file} is missing"), key.1.clone(), Reach::Api)
            });
        }
    }
    for file in sides.files.iter().filter(|file| file.subject != HELPERS) {
        if !sides.made.objects.keys().any(|key| is_relation(key, &file.subject)) {
            findings.push(Finding {
                place: Some(file.place(None, "")),
                why: format!("the migrations make no table {}", file.subject),
                remedy: "write the migration that makes the table first, or remove the file".to_owned(),
                ..plain_finding(
                    format!("{} is for a table that does not exist", file.source.path),
                    file.subject.clone(),
                    Reach::Sql,
                )
            });
            continue;
        }
        for statement in &file.statements {
            let Some((kind, name)) = &statement.about else { continue };
            if *kind != "function" && name.rsplit(" on ").next() != Some(&file.subject) {
                findings.push(Finding {
                    place: Some(file.place(Some(statement), "")),
                    why: "a reviewer looks for it in its own table's file".to_owned(),
                    remedy: "move the statement there".to_owned(),
                    ..plain_finding(format!("{kind} {name} stands in another table's file"), name.clone(), Reach::Sql)
                });
            }
        }
    }
    findings
}

fn file_name(relation: &str, contract: &Contract) -> String {
    let schema = contract.schemas.first().map_or("public", String::as_str);
    let short = relation.strip_prefix(schema).and_then(|rest| rest.strip_prefix('.')).unwrap_or(relation);
    format!("policies/{short}.sql")
}

fn plain_finding(what: String, object: String, reach: Reach) -> Finding {
    Finding {
        check: "policies".to_owned(),
        what,
        object,
        place: None,
        why: String::new(),
        remedy: String::new(),
        reach,
        statement: String::new(),
        attempts: Vec::new(),
    }
}

fn finding(one: &Difference, relation: Option<&str>, files: &[PolicyFile]) -> Finding {
    let subject = relation.map_or(HELPERS.to_owned(), files::plain);
    let own = files.iter().find(|file| file.subject == subject);
    let found = files::find(files, &one.key);
    let place = found.map(|(file, statement)| file.place(Some(statement), ""));
    let path = found.map(|(file, _)| file).or(own).map_or("policies/_helpers.sql", |file| file.source.path.as_str());
    let shown = shown(one);
    let what = match one.case {
        Case::Missing => format!("{shown} is in {path} and not in the migrations"),
        Case::Extra => format!("{shown} is in the migrations and not in {path}"),
        Case::Changed => format!("{shown} is not the same in {path} and in the migrations"),
    };
    Finding {
        place: place.or_else(|| own.map(|file| file.place(None, ""))),
        why: contrast(one, path, "the migrations"),
        remedy: "`chartchek-db policies write` makes the migration if the file is right; else mend the file".to_owned(),
        ..plain_finding(what, readable(&format!("{} {}", one.key.0, one.key.1)), reach(&one.key.0))
    }
}

/// `definition of policy p on public.t`.
fn shown(one: &Difference) -> String {
    let object = readable(&format!("{} {}", one.key.0, one.key.1));
    if one.property.is_empty() { object } else { format!("{} of {object}", one.property) }
}
