//! What writes set off: triggers and rules that write to other rows, with rights that are not the writer's. The attempts
//! tell which writes change rows elsewhere that are not promised; here each is made without each trigger and rule in
//! turn, and the columns are written that no attempt writes.

use super::effects::{Looks, effects};
use super::site::{Site, Step};
use super::{Hole, Probed};
use crate::db::error::DbError;
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::session::StatementResult;
use crate::model::access::{Command, Standing, TableName};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::effect::Effect;
use crate::verify::form::Scene;
use crate::verify::stray;
use crate::verify::world::rows::Values;
use crate::verify::world::values::value;
use serde::Deserialize;
use std::collections::BTreeSet;

/// A trigger or rule of a table.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reaction {
    schema: String,
    table: String,
    name: String,
    /// `trigger` or `rule`.
    kind: String,
    /// The function that it calls, as findings name it; empty for rules.
    function: String,
}

impl Reaction {
    fn object(&self) -> String {
        let table = TableName { schema: self.schema.clone(), name: self.table.clone() };
        format!("{} {table}.{}", self.kind, self.name)
    }
}

/// A write, and what it did elsewhere without a promise.
struct Write {
    subject: usize,
    persona: usize,
    sql: String,
    effects: BTreeSet<Effect>,
    /// The attempts that show the same.
    attempts: Vec<String>,
}

/// Finds out which reactions are behind what writes did elsewhere.
///
/// # Errors
/// The server's.
pub(super) async fn run(site: &Site<'_>, probe: &'static str, reactions: &[Reaction]) -> Result<Probed, Failure> {
    let of = |subject: usize| {
        let name = site.table(subject).name();
        reactions.iter().filter(move |reaction| reaction.schema == name.schema && reaction.table == name.name)
    };
    let subjects = (0..site.subjects().len()).filter(|&subject| of(subject).next().is_some());
    let subjects: BTreeSet<usize> = subjects.collect();
    let mut probed = Probed { tried: subjects.iter().map(|&subject| of(subject).count()).sum(), ..Probed::default() };
    if subjects.is_empty() {
        return Ok(probed);
    }
    let mut writes = attempted(site, &subjects);
    let columns = subjects.iter().flat_map(|&subject| site.knockers().map(move |persona| (subject, persona)));
    let columns: Vec<Write> = columns.flat_map(|(subject, persona)| columns_of(site, subject, persona)).collect();
    let personas = writes.iter().chain(&columns).map(|write| write.persona).collect();
    let looks = Looks::open(site, probe, personas).await?;
    let script = |write: &Write, before: Option<Step>| -> Vec<Step> {
        let own = [
            Step::by(write.persona, write.sql.clone()),
            Step::by(write.persona, "SET CONSTRAINTS ALL IMMEDIATE"),
            looks.look(write.persona),
        ];
        before.into_iter().chain(own).collect()
    };
    let scripts: Vec<Vec<Step>> = columns.iter().map(|write| script(write, None)).collect();
    let answers = site.run_all(&scripts).await;
    let mut doubted = BTreeSet::new();
    for (mut write, results) in columns.into_iter().zip(answers) {
        match strays(site, &write, &results) {
            Ok(strays) if strays.is_empty() => {}
            Ok(strays) => {
                write.effects = strays;
                writes.push(write);
            }
            Err(why) => {
                let what = site.subjects()[write.subject].access.table.to_string();
                if doubted.insert(what.clone()) {
                    probed.doubts.push(NotRun { what, why });
                }
            }
        }
    }
    for write in &writes {
        for reaction in of(write.subject) {
            let caused: BTreeSet<Effect> = if site.target {
                // Nothing is switched off on a target: what foreign keys can do is left to them.
                let by_key = |effect: &&Effect| stray::refers(&site.setting, effect.subject, write.subject);
                write.effects.iter().filter(|effect| !by_key(effect)).cloned().collect()
            } else {
                let without = site.run(&script(write, Some(switch_off(write.persona, reaction)))).await;
                let without = strays(site, write, without.get(1..).unwrap_or_default()).unwrap_or_default();
                write.effects.difference(&without).cloned().collect()
            };
            let Some(effect) = caused.first() else { continue };
            let hole = hole(site, write, reaction, effect);
            match probed.holes.iter_mut().find(|known| known.finding.object == hole.finding.object) {
                Some(known) => known.finding.attempts.extend(hole.finding.attempts),
                None => probed.holes.push(hole),
            }
            let pairs =
                write.attempts.iter().flat_map(|id| caused.iter().map(move |effect| (id.clone(), effect.clone())));
            probed.explained.extend(pairs);
        }
    }
    looks.close(site).await;
    Ok(probed)
}

/// The attempts on these tables that changed something elsewhere; of those that show the same the first one's write.
fn attempted(site: &Site<'_>, subjects: &BTreeSet<usize>) -> Vec<Write> {
    let mut writes: Vec<(Command, Write)> = Vec::new();
    for stray in site.strays.iter().filter(|stray| subjects.contains(&stray.subject)) {
        let same = writes.iter_mut().find(|(command, write)| {
            (*command, write.subject, &write.effects) == (stray.command, stray.subject, &stray.effects)
        });
        match same {
            Some((_, write)) => write.attempts.push(stray.id.clone()),
            None => {
                let (sql, effects, attempts) = (stray.sql.clone(), stray.effects.clone(), vec![stray.id.clone()]);
                let write = Write { subject: stray.subject, persona: stray.persona, sql, effects, attempts };
                writes.push((stray.command, write));
            }
        }
    }
    writes.into_iter().map(|(_, write)| write).collect()
}

/// What a write changed without a promise.
fn strays(
    site: &Site<'_>,
    write: &Write,
    results: &[Result<StatementResult, DbError>],
) -> Result<BTreeSet<Effect>, String> {
    match results {
        [Ok(_), Ok(_), looked] => {
            let effects = effects(site, write.persona, Some(looked))?.into_iter();
            let setting = &site.setting;
            let stray =
                effects.filter(|effect| !effect.promised(setting, write.persona) && !effect.is_private(setting));
            Ok(stray.collect())
        }
        // What failed changed nothing; whether it may fail is for the attempts to say.
        _ => Ok(BTreeSet::new()),
    }
}

fn switch_off(persona: usize, reaction: &Reaction) -> Step {
    let table = quote_table(&TableName { schema: reaction.schema.clone(), name: reaction.table.clone() });
    let (kind, name) = (reaction.kind.to_uppercase(), readable_identifier(&reaction.name));
    Step::privileged(persona, format!("ALTER TABLE {table} DISABLE {kind} {name}"))
}

/// An UPDATE of each column of an own row that is no key, owner or reference, but for the one that the attempts write:
/// a trigger may be on one alone.
fn columns_of(site: &Site<'_>, subject: usize, persona: usize) -> Vec<Write> {
    let scene = site.scene(subject, persona);
    let rows = [Standing::Own, Standing::Any]
        .into_iter()
        .filter(|standing| scene.promised(*standing, Command::Update))
        .flat_map(|standing| scene.rows(standing));
    let Some(condition) = rows.take(1).find_map(|row| scene.where_key(row)) else { return Vec::new() };
    let attempted = scene.plain_column().map(|(column, _)| column.name.as_str());
    let columns = plain_columns(&scene).into_iter().filter(|(column, _)| Some(column.as_str()) != attempted);
    columns
        .map(|(column, constant)| {
            let set = Scene::assignment(&column, Some(&constant));
            let sql = format!("UPDATE {} SET {set} WHERE {condition}", scene.name());
            Write { subject, persona, sql, effects: BTreeSet::new(), attempts: Vec::new() }
        })
        .collect()
}

/// The columns that are no key, owner or reference, and a value for each; a trigger may be on one alone.
fn plain_columns(scene: &Scene<'_>) -> Vec<(String, String)> {
    let table = scene.table();
    let values: Values = table
        .columns
        .iter()
        .filter(|column| {
            !column.generated
                && !column.identity_always
                && !table.uniques.iter().any(|columns| columns.contains(&column.name))
                && !table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
                && !scene.paths().iter().any(|path| path.column() == column.name)
        })
        .filter_map(|column| Some((column.name.clone(), Some(value(column, 999_003)?))))
        .collect();
    let values = scene.client_values(values, &Values::new());
    values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn hole(site: &Site<'_>, write: &Write, reaction: &Reaction, effect: &Effect) -> Hole {
    let access = &site.subjects()[write.subject].access;
    let (name, does) = (&site.persona(write.persona).name, effect.describe(&site.setting));
    let (object, kind) = (reaction.object(), &reaction.kind);
    let remedy = if reaction.kind == "trigger" {
        format!("ALTER FUNCTION {} SECURITY INVOKER; or ask in it whose the rows are that it writes", reaction.function)
    } else {
        format!(
            "DROP RULE {} ON {}; a trigger that runs as the writer does the same under the policies",
            readable_identifier(&reaction.name),
            quote_table(&access.table)
        )
    };
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("a write of {name} to {} sets off {object}, which {does}", access.table),
            object,
            place: Some(access.place.clone()),
            why: format!(
                "{} was read back by a role that bypasses RLS: {name} is not promised this, and without the {kind} it does not happen",
                site.subjects()[effect.subject].access.table
            ),
            remedy,
            reach: Reach::Api,
            statement: String::new(),
            attempts: write.attempts.clone(),
        },
        steps: vec![
            Step::by(write.persona, write.sql.clone()),
            Step::by(write.persona, "SET CONSTRAINTS ALL IMMEDIATE"),
        ],
    }
}
