//! A policy that fails for those who are promised rows: it denies, and is broken all the same (42P17: it asks itself).

use super::policies::Policy;
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::error::DbError;
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::{insert as insert_sql, key_columns};
use std::collections::BTreeSet;

/// infinite_recursion, as PostgreSQL raises it for policies (invalid_object_definition).
const RECURSION: &str = "42P17";

pub(super) const PROBE: Probe = Probe {
    name: "erroring-policy",
    about: "no policy fails for those who are promised rows",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A statement that the contract promises to work.
struct Asked {
    subject: usize,
    persona: usize,
    sql: String,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut asked = Vec::new();
    for persona in site.knockers() {
        for subject in 0..site.subjects().len() {
            let statements = statements(site, subject, persona)?;
            asked.extend(statements.into_iter().map(|sql| Asked { subject, persona, sql }));
        }
    }
    let scripts: Vec<Vec<Step>> = asked.iter().map(|asked| vec![Step::by(asked.persona, asked.sql.clone())]).collect();
    let mut probed = Probed { tried: asked.len(), ..Probed::default() };
    let mut failed: Vec<(Asked, DbError)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (asked, results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        // A constraint's refusal is no policy's; a refusal by right or policy is the attempts' matter.
        if let Some(Err(error)) = results.into_iter().last()
            && error.code != sqlstate::INSUFFICIENT_PRIVILEGE
            && !error.code.starts_with("23")
            && seen.insert((asked.subject, error.code.clone()))
        {
            failed.push((asked, error));
        }
    }
    if failed.is_empty() {
        return Ok(probed);
    }
    // What fails for who bypasses RLS too, with the same claims, fails for another reason.
    let control: Vec<Vec<Step>> =
        failed.iter().map(|(asked, _)| vec![Step::privileged(asked.persona, asked.sql.clone())]).collect();
    let policies = site.policies().await?;
    let mut told = BTreeSet::new();
    for ((asked, error), control) in failed.into_iter().zip(site.run_all(&control).await) {
        let works = matches!(control.last(), Some(Ok(_)));
        if works && told.insert(asked.subject) {
            probed.holes.push(hole(site, policies, asked, &error));
        }
    }
    Ok(probed)
}

/// What the contract promises: to read, and to make, change and take away a row of one's own.
fn statements(site: &Site<'_>, subject: usize, persona: usize) -> Result<Vec<String>, Failure> {
    let scene = site.scene(subject, persona);
    let (table, name, role) = (scene.table(), scene.name(), &site.persona(persona).actor.role);
    let promised = |command| Standing::ALL.iter().any(|&standing| scene.promised(standing, command));
    let mut statements = Vec::new();
    if promised(Command::Select) && table.grants(role, Command::Select, &key_columns(table)) {
        let bound = if site.whole[subject] { "" } else { " LIMIT 1" };
        statements.push(format!("SELECT {} FROM {name}{bound}", scene.key()));
    }
    if promised(Command::Insert)
        && let Some(hold) = insert::hold(&scene, |_| Some(persona))
    {
        let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "erroring-policy", site.world)?;
        statements.push(insert_sql(table, &scene.client_values(fresh, &hold)));
    }
    let rows = [Standing::Own, Standing::Any].into_iter().flat_map(|standing| scene.rows(standing));
    let Some(condition) = rows.take(1).find_map(|row| scene.where_key(row)) else { return Ok(statements) };
    if promised(Command::Update)
        && let Some((column, constant)) = scene.plain_column()
        && table.grants(role, Command::Update, std::slice::from_ref(&column.name))
    {
        let set = Scene::assignment(&column.name, Some(&constant));
        statements.push(format!("UPDATE {name} SET {set} WHERE {condition}"));
    }
    if promised(Command::Delete) && table.grants(role, Command::Delete, &[]) {
        statements.push(format!("DELETE FROM {name} WHERE {condition}"));
    }
    Ok(statements)
}

fn hole(site: &Site<'_>, policies: &[Policy], asked: Asked, error: &DbError) -> Hole {
    let access = &site.subjects()[asked.subject].access;
    let of_table = policies.iter().filter(|policy| policy.table() == access.table);
    let mut names: Vec<&str> = of_table.map(|policy| policy.name.as_str()).collect();
    names.sort_unstable();
    let (why, remedy) = if error.code == RECURSION {
        (
            "one reads a table whose policies read this one",
            "let the policy ask a SECURITY DEFINER function (search_path = '', for the caller alone) instead of the table",
        )
    } else {
        (
            "one can't be evaluated for this actor's claims",
            "write the predicate so that it is false or NULL where it can't be true (a CASE around a cast, NULLIF)",
        )
    };
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!(
                "{} is promised rows of {} and gets an error: one of its policies fails ({})",
                site.persona(asked.persona).name,
                access.table,
                error.code
            ),
            object: access.table.to_string(),
            place: Some(access.place.clone()),
            why: format!("of the policies {}: {why}", names.join(", ")),
            remedy: remedy.to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![Step::by(asked.persona, asked.sql)],
    }
}
