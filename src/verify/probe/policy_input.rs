//! What policies read and actors write: one's own share, membership or profile that names another's row, and the
//! protected table tried again.

use super::effects;
use super::functions::hidden_rows_of;
use super::policies::Policy;
use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::model::access::{Command, OwnerPath, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::form::{Scene, insert};
use crate::verify::world::Row;
use crate::verify::world::insert::{insert as insert_sql, key_columns};
use crate::verify::world::rows::Values;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PROBE: Probe = Probe {
    name: "policy-input",
    about: "no row that an actor may write to a table that policies read opens rows that are hidden from it",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// How many writes of one table are tried as one persona, at most.
const WRITES: usize = 40;

/// How many hidden rows of a table are named.
const NAMED: usize = 3;

/// A table that policies read, and the tables that they protect.
#[derive(Debug)]
struct Input {
    subject: usize,
    columns: BTreeSet<String>,
    constants: Vec<String>,
    /// Protected table -> its columns that the same policies read, and the commands that they rule.
    protects: BTreeMap<usize, (BTreeSet<String>, BTreeSet<Command>)>,
}

/// A write to an input, and then a statement on what it protects.
struct Trial {
    input: usize,
    protected: usize,
    persona: usize,
    command: Command,
    write: String,
    sql: String,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut probed = Probed::default();
    let inputs = inputs(site, site.policies().await?, &mut probed);
    let mut trials = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        for persona in site.knockers() {
            plan(site, index, input, persona, &mut trials)?;
        }
    }
    // What each statement gives without any write, asked once.
    let asked: BTreeSet<(usize, &str)> = trials.iter().map(|trial| (trial.persona, trial.sql.as_str())).collect();
    let asked: Vec<(usize, &str)> = asked.into_iter().collect();
    let scripts: Vec<Vec<Step>> = asked.iter().map(|&(persona, sql)| vec![Step::by(persona, sql)]).collect();
    let before: BTreeMap<(usize, &str), Results> = asked.into_iter().zip(site.run_all(&scripts).await).collect();
    let steps =
        |trial: &Trial| vec![Step::by(trial.persona, trial.write.clone()), Step::by(trial.persona, trial.sql.clone())];
    let answers = site.run_all(&trials.iter().map(steps).collect::<Vec<_>>()).await;
    let mut told = BTreeSet::new();
    for (trial, after) in trials.iter().zip(answers) {
        let input = &inputs[trial.input];
        let object = format!("{} through {}", name(site, trial.protected), name(site, input.subject));
        probed.tried += 1;
        if told.contains(&object) || !reaches_more(&before[&(trial.persona, trial.sql.as_str())], &after) {
            continue;
        }
        match unpromised(site, trial, &after).await {
            Ok(None) => {}
            Ok(Some(standing)) => {
                told.insert(object.clone());
                probed.holes.push(hole(site, trial, input, object, standing));
            }
            Err(why) => {
                told.insert(object.clone());
                probed.doubts.push(NotRun { what: object, why });
            }
        }
    }
    Ok(probed)
}

/// The tables of the contract that policies read, and of the others those that actors may write.
fn inputs(site: &Site<'_>, policies: &[Policy], probed: &mut Probed) -> Vec<Input> {
    let subject_of = |name| (0..site.subjects().len()).find(|&subject| site.table(subject).name() == name);
    let mut inputs: Vec<Input> = Vec::new();
    let mut missed = BTreeSet::new();
    for policy in policies {
        let Some(protected) = subject_of(policy.table()) else { continue };
        let commands: &[Command] = match policy.command {
            'w' => &[Command::Update],
            'd' => &[Command::Delete],
            'a' => &[],
            'r' => &[Command::Select],
            _ => &[Command::Select, Command::Update, Command::Delete],
        };
        let own =
            policy.reads.iter().filter(|read| read.table() == policy.table()).flat_map(|read| read.columns.clone());
        let own: BTreeSet<String> = own.collect();
        // A policy that reads its own table in its own expression asks the row itself, or never ends.
        for read in policy.reads.iter().filter(|read| read.table() != policy.table() || read.by_function) {
            let Some(subject) = subject_of(read.table()) else {
                if !read.writers.is_empty() && missed.insert(read.table()) {
                    let what = format!("{} through {}", policy.table(), read.table());
                    let why = "actors may write there, and no rows can be made: it is not in the contract".to_owned();
                    probed.not_run.push(NotRun { what, why });
                }
                continue;
            };
            let index = inputs.iter().position(|input| input.subject == subject).unwrap_or_else(|| {
                inputs.push(Input {
                    subject,
                    columns: BTreeSet::new(),
                    constants: Vec::new(),
                    protects: BTreeMap::new(),
                });
                inputs.len() - 1
            });
            let input = &mut inputs[index];
            input.columns.extend(read.columns.iter().cloned());
            input.constants.extend(policy.constants(&read.table().name));
            let (columns, ruled) = input.protects.entry(protected).or_default();
            columns.extend(own.iter().cloned());
            ruled.extend(commands);
        }
    }
    inputs
}

fn plan(site: &Site<'_>, index: usize, input: &Input, persona: usize, trials: &mut Vec<Trial>) -> Result<(), Failure> {
    let scene = site.scene(input.subject, persona);
    let promised = |command| Standing::ALL.iter().any(|&standing| scene.promised(standing, command));
    let mut writes = Vec::new();
    let rows = [Standing::Own, Standing::Any].into_iter().flat_map(|standing| scene.rows(standing));
    let own = rows.take(1).next();
    if promised(Command::Insert) {
        let hold = insert::hold(&scene, |_| Some(persona)).unwrap_or_default();
        let fresh = site.maker.fresh(input.subject, Some(persona), hold.clone(), "policy-input", site.world)?;
        let mut needed = hold;
        needed.extend(input.columns.iter().filter_map(|name| Some((name.clone(), fresh.get(name)?.clone()))));
        let sent = scene.client_values(fresh, &needed);
        for values in variants(site, input, persona, &sent) {
            let mut row = sent.clone();
            row.extend(values);
            writes.push(insert_sql(scene.table(), &row));
        }
    }
    if promised(Command::Update)
        && let Some((row, key)) = own
        && let Some(condition) = scene.where_key((row, key))
    {
        for values in variants(site, input, persona, &row.values) {
            let set: Vec<String> =
                values.iter().map(|(name, value)| Scene::assignment(name, value.as_deref())).collect();
            writes.push(format!("UPDATE {} SET {} WHERE {condition}", scene.name(), set.join(", ")));
        }
    }
    for (&protected, (_, commands)) in &input.protects {
        for &command in commands {
            if let Some(sql) = statement(site, protected, persona, command) {
                trials.extend(writes.iter().map(|write| Trial {
                    input: index,
                    protected,
                    persona,
                    command,
                    write: write.clone(),
                    sql: sql.clone(),
                }));
            }
        }
    }
    Ok(())
}

/// The statement that shows which rows of a protected table the persona reaches: writes read no column, so that the
/// policies for reading are not asked too. `None` without a grant.
fn statement(site: &Site<'_>, protected: usize, persona: usize, command: Command) -> Option<String> {
    let scene = site.scene(protected, persona);
    let (table, role) = (scene.table(), &site.persona(persona).actor.role);
    let bound = if site.whole[protected] {
        String::new()
    } else {
        let rows = Standing::ALL.into_iter().flat_map(|standing| scene.rows(standing));
        let conditions: Option<Vec<String>> = rows.map(|row| Some(format!("({})", scene.where_key(row)?))).collect();
        format!(" WHERE {}", conditions.filter(|conditions| !conditions.is_empty())?.join(" OR "))
    };
    match command {
        Command::Select if table.grants(role, command, &key_columns(table)) => {
            Some(format!("SELECT {} FROM {}{bound}", scene.key(), scene.name()))
        }
        Command::Update => {
            let (column, constant) = scene.plain_column()?;
            let granted = table.grants(role, command, std::slice::from_ref(&column.name));
            let set = Scene::assignment(&column.name, Some(&constant));
            granted.then(|| format!("UPDATE {} SET {set}{bound}", scene.name()))
        }
        Command::Delete if table.grants(role, command, &[]) => Some(format!("DELETE FROM {}{bound}", scene.name())),
        _ => None,
    }
}

/// Values for the columns that policies read: every combination of what they have, what names hidden rows, oneself,
/// labels and constants, as far as these are few; else one column at a time.
fn variants(site: &Site<'_>, input: &Input, persona: usize, base: &Values) -> Vec<Values> {
    let table = site.table(input.subject);
    // The row stays one's own: whose it is, its owner column says.
    let owner = |name: &String| {
        site.maker.paths(input.subject).iter().any(|path| matches!(path, OwnerPath::Column(column) if column == name))
    };
    let mut choices: Vec<(String, Vec<Option<String>>)> = Vec::new();
    for column in &table.columns {
        if owner(&column.name)
            || !input.columns.contains(&column.name)
            || column.generated
            || column.identity_always
            || column.is_array
        {
            continue;
        }
        let has = base.get(&column.name).cloned().flatten();
        let mut values = vec![has.clone()];
        if column.base_type == "bool" {
            values.extend(["true", "false"].map(|text| Some(text.to_owned())));
        } else if !column.enum_labels.is_empty() {
            values.extend(column.enum_labels.iter().cloned().map(Some));
        } else {
            let reference = table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
            let single = table.uniques.iter().any(|columns| columns.as_slice() == std::slice::from_ref(&column.name));
            // What another row has already, no row can have.
            let taken = |value: &String| {
                let is = |row: &Row| row.values.get(&column.name).is_some_and(|has| has.as_ref() == Some(value));
                single && site.world.of(input.subject).any(is)
            };
            let named = naming(site, input, persona, &column.name);
            values.extend(named.into_iter().filter(|value| !taken(value)).map(Some));
            let is_text = matches!(column.base_type.as_str(), "text" | "varchar" | "citext");
            if (column.base_type == "uuid" || is_text) && !reference && !single {
                values.extend(site.persona(persona).uid.clone().map(Some));
            }
            if is_text && !reference {
                values.extend(input.constants.iter().cloned().map(Some));
            }
        }
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.clone()));
        choices.push((column.name.clone(), values));
    }
    let product = choices.iter().try_fold(1_usize, |product, (_, values)| product.checked_mul(values.len()));
    let mut variants: Vec<Values> = vec![Values::new()];
    if product.is_some_and(|product| product <= WRITES) {
        for (name, values) in &choices {
            let with = |variant: &Values, value: &Option<String>| {
                let mut variant = variant.clone();
                variant.insert(name.clone(), value.clone());
                variant
            };
            variants = variants.iter().flat_map(|variant| values.iter().map(|value| with(variant, value))).collect();
        }
    } else {
        let single = choices
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| Values::from([(name.clone(), value.clone())])));
        variants = single.collect();
    }
    // What is as it was shows nothing.
    variants.retain(|variant| variant.iter().any(|(name, value)| base.get(name) != Some(value)));
    variants.truncate(WRITES);
    variants
}

/// Values of hidden rows that the column could hold to name them: of the protected tables' columns that the policies
/// read, and of the input's own.
fn naming(site: &Site<'_>, input: &Input, persona: usize, column: &str) -> Vec<String> {
    let Some(kind) = site.table(input.subject).column(column).map(|column| &column.base_type) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    // No more than these: of all tables' rows it would be asked for each table anew.
    let subjects: BTreeSet<usize> = input.protects.keys().copied().chain([input.subject]).collect();
    let mut rows_of: BTreeMap<usize, usize> = BTreeMap::new();
    for row in hidden_rows_of(site, persona, subjects) {
        let table = site.table(row.subject);
        let nth = rows_of.entry(row.subject).or_default();
        *nth += 1;
        if *nth > NAMED {
            continue;
        }
        let read: Vec<&String> = match input.protects.get(&row.subject) {
            Some((columns, _)) => columns.iter().collect(),
            None => Vec::new(),
        };
        let fits =
            |name: &String| table.column(name).is_some_and(|column| column.base_type == *kind && !column.is_array);
        let own = (row.subject == input.subject).then(|| column.to_owned());
        for name in read.into_iter().cloned().chain(own).filter(fits) {
            found.extend(row.values.get(&name).cloned().flatten());
        }
    }
    found
}

/// Whether the statement reached more, or other, rows after the write.
fn reaches_more(before: &Results, after: &Results) -> bool {
    let reached = |results: &Results| match results.last() {
        Some(Ok(result)) => (result.keys.iter().flatten().cloned().collect::<BTreeSet<String>>(), result.count),
        _ => (BTreeSet::new(), 0),
    };
    let wrote = after.first().is_some_and(|result| result.as_ref().is_ok_and(|result| result.count > 0));
    let ((keys_before, count_before), (keys_after, count_after)) = (reached(before), reached(after));
    wrote && (count_after > count_before || !keys_after.is_subset(&keys_before))
}

/// How the first row stands that the statement reached and the contract does not promise even after the write.
async fn unpromised(site: &Site<'_>, trial: &Trial, after: &Results) -> Result<Option<Standing>, String> {
    let (write, sql) = (Step::by(trial.persona, trial.write.clone()), Step::by(trial.persona, trial.sql.clone()));
    let look = effects::standings_step(site, trial.persona);
    // Whose the rows are once the write has been made: the contract may say that it makes them one's own.
    let between = effects::standings(site.run(&[write.clone(), look.clone()]).await.last())?;
    let scene = site.scene(trial.protected, trial.persona);
    let hidden = |standing: &Standing| !scene.promised(*standing, trial.command);
    if trial.command == Command::Select {
        let rows = after.last().and_then(|result| result.as_ref().ok()).map(|result| result.keys.as_slice());
        let keys = rows.unwrap_or_default().iter().flatten();
        let seen = keys.filter_map(|key| between.get(&(trial.protected, key.clone())));
        return Ok(seen.map(|seen| seen.standing).find(hidden));
    }
    let now = effects::standings(site.run(&[write, sql, look]).await.last())?;
    let of_table = between.iter().filter(|(key, _)| key.0 == trial.protected);
    let touched = of_table.filter(|(key, seen)| now.get(*key).is_none_or(|now| now.locator != seen.locator));
    Ok(touched.map(|(_, seen)| seen.standing).find(hidden))
}

fn name(site: &Site<'_>, subject: usize) -> String {
    site.subjects()[subject].access.table.to_string()
}

fn hole(site: &Site<'_>, trial: &Trial, input: &Input, object: String, standing: Standing) -> Hole {
    let (protected, input) = (name(site, trial.protected), name(site, input.subject));
    let who = &site.persona(trial.persona).name;
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!(
                "{who} writes a row of {input} and so reaches rows of {protected} ({standing}) that are hidden from it"
            ),
            object,
            place: Some(site.subjects()[trial.protected].access.place.clone()),
            why: format!(
                "a policy of {protected} reads {input}: the same {} gives more rows after the write, and the contract does not promise them",
                trial.command
            ),
            remedy: format!(
                "let the policy or WITH CHECK of {input} admit only what its writer may grant (a row of {protected} that is the \
                 writer's own); or revoke the write"
            ),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: vec![Step::by(trial.persona, trial.write.clone()), Step::by(trial.persona, trial.sql.clone())],
    }
}
