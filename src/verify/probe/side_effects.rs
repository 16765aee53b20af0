//! What a write of one's own row sets off: triggers and rules that write to other rows, with rights that are not the
//! writer's. Each write is made with them and, where rows changed that are not promised, without each in turn.

use super::effects::{Effect, Looks, effects};
use super::site::{Results, Site, Step};
use super::{Hole, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::{Command, Standing, TableName};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::insert as insert_sql;
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

/// A write of a row that is the persona's own.
struct Write {
    subject: usize,
    persona: usize,
    sql: String,
}

/// Tries the writes on every table that has such reactions.
///
/// # Errors
/// The server's.
pub(super) async fn run(site: &Site<'_>, probe: &'static str, reactions: &[Reaction]) -> Result<Probed, Failure> {
    let of = |subject: usize| {
        let name = site.table(subject).name();
        reactions.iter().filter(move |reaction| reaction.schema == name.schema && reaction.table == name.name)
    };
    let mut writes = Vec::new();
    for subject in (0..site.subjects().len()).filter(|&subject| of(subject).next().is_some()) {
        for persona in site.knockers() {
            plan(site, subject, persona, &mut writes)?;
        }
    }
    let mut probed = Probed::default();
    if writes.is_empty() {
        return Ok(probed);
    }
    let looks = Looks::open(site, probe, writes.iter().map(|write| write.persona).collect()).await?;
    let script = |write: &Write, before: Option<Step>| -> Vec<Step> {
        let own = [
            Step::by(write.persona, write.sql.clone()),
            Step::by(write.persona, "SET CONSTRAINTS ALL IMMEDIATE"),
            looks.look(write.persona),
        ];
        before.into_iter().chain(own).collect()
    };
    let scripts: Vec<Vec<Step>> = writes.iter().map(|write| script(write, None)).collect();
    let answers = site.run_all(&scripts).await;
    probed.tried = writes.len();
    let mut suspects = Vec::new();
    let mut doubted = BTreeSet::new();
    for (write, results) in writes.iter().zip(answers) {
        match strays(site, write, &results) {
            Ok(strays) if strays.is_empty() => {}
            Ok(strays) => suspects.push((write, strays)),
            Err(why) => {
                let what = site.subjects()[write.subject].access.table.to_string();
                if doubted.insert(what.clone()) {
                    probed.doubts.push(NotRun { what, why });
                }
            }
        }
    }
    let mut told = BTreeSet::new();
    for (write, strays) in suspects {
        for reaction in of(write.subject) {
            if told.contains(&reaction.object()) {
                continue;
            }
            let gone = if site.target {
                // Nothing is switched off on a target: what foreign keys can do is left to them.
                strays.iter().find(|effect| !refers(site, effect.subject, write.subject)).cloned()
            } else {
                let without = site.run(&script(write, Some(switch_off(write.persona, reaction)))).await;
                let without = strays_after(site, write, &without, 1).unwrap_or_default();
                strays.iter().find(|effect| !without.contains(effect)).cloned()
            };
            if let Some(effect) = gone {
                told.insert(reaction.object());
                probed.holes.push(hole(site, write, reaction, &effect));
            }
        }
    }
    looks.close(site).await;
    Ok(probed)
}

/// Rows of others that a write changed without a promise.
fn strays(site: &Site<'_>, write: &Write, results: &Results) -> Result<Vec<Effect>, String> {
    strays_after(site, write, results, 0)
}

/// As [`strays`], where so many steps came first.
fn strays_after(site: &Site<'_>, write: &Write, results: &Results, first: usize) -> Result<Vec<Effect>, String> {
    match results.get(first..) {
        Some([Ok(_), Ok(_), looked]) => {
            let effects = effects(site, write.persona, Some(looked))?;
            Ok(effects
                .into_iter()
                .filter(|effect| !effect.promised(site, write.persona) && !effect.is_private(site))
                .collect())
        }
        // What failed changed nothing; whether it may fail is for the attempts to say.
        _ => Ok(Vec::new()),
    }
}

fn switch_off(persona: usize, reaction: &Reaction) -> Step {
    let table = quote_table(&TableName { schema: reaction.schema.clone(), name: reaction.table.clone() });
    let (kind, name) = (reaction.kind.to_uppercase(), readable_identifier(&reaction.name));
    Step::privileged(persona, format!("ALTER TABLE {table} DISABLE {kind} {name}"))
}

/// Whether rows of `child` refer to rows of `parent`, over any number of foreign keys.
fn refers(site: &Site<'_>, child: usize, parent: usize) -> bool {
    let name = |subject: usize| site.table(subject).name();
    let mut reached = BTreeSet::from([child]);
    loop {
        let more: BTreeSet<usize> = (0..site.subjects().len())
            .filter(|&subject| {
                reached
                    .iter()
                    .any(|&from| site.table(from).foreign_keys.iter().any(|key| key.target() == name(subject)))
            })
            .collect();
        let before = reached.len();
        reached.extend(more);
        if reached.contains(&parent) && child != parent {
            return true;
        }
        if reached.len() == before {
            return false;
        }
    }
}

/// An INSERT of an own row, an UPDATE of each column of one that is no key, owner or reference, and a DELETE.
fn plan(site: &Site<'_>, subject: usize, persona: usize, writes: &mut Vec<Write>) -> Result<(), Failure> {
    let scene = site.scene(subject, persona);
    let mut push = |sql: String| writes.push(Write { subject, persona, sql });
    if promised_somewhere(&scene, Command::Insert)
        && let Some(hold) = insert::hold(&scene, |_| Some(persona))
    {
        for name in ["side-effect", "side-effect-2"] {
            let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), name, site.world)?;
            push(insert_sql(scene.table(), &scene.client_values(fresh, &hold)));
        }
    }
    let rows = [Standing::Own, Standing::Any].into_iter().flat_map(|standing| scene.rows(standing));
    let Some(condition) = rows.take(1).find_map(|row| scene.where_key(row)) else { return Ok(()) };
    if promised_somewhere(&scene, Command::Update) {
        for (column, constant) in plain_columns(&scene) {
            push(format!(
                "UPDATE {} SET {} WHERE {condition}",
                scene.name(),
                Scene::assignment(&column, Some(&constant))
            ));
        }
    }
    if promised_somewhere(&scene, Command::Delete) {
        push(format!("DELETE FROM {} WHERE {condition}", scene.name()));
    }
    Ok(())
}

fn promised_somewhere(scene: &Scene<'_>, command: Command) -> bool {
    [Standing::Own, Standing::Any].into_iter().any(|standing| scene.promised(standing, command))
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
                && !table.is_unique(&column.name)
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
    let (name, does) = (&site.persona(write.persona).name, effect.describe(site));
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
            what: format!("a write of {name} to its own rows of {} sets off {object}, which {does}", access.table),
            object,
            place: Some(access.place.clone()),
            why: format!(
                "{} was read back by a role that bypasses RLS: {name} is not promised this, and without the {kind} it does not happen",
                site.subjects()[effect.subject].access.table
            ),
            remedy,
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![
            Step::by(write.persona, write.sql.clone()),
            Step::by(write.persona, "SET CONSTRAINTS ALL IMMEDIATE"),
        ],
    }
}
