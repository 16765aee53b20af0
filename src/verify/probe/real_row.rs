//! Rows that were there before: who is new to a target sees none of them beyond what is promised. Small tables are read
//! as a whole by the attempts; in the others the first rows that an actor sees, and that this tool did not make, are held
//! against the contract.

use super::site::{Site, Step, is_refused};
use super::{Fault, Hole, Probe, Probed};
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::world::build::{parse_read_back, read_back_sql};

pub(super) const PROBE: Probe = Probe {
    name: "real-row",
    about: "who is new to a target sees none of a large table's rows beyond what is promised to all",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// How many rows an actor is shown at most where every row that this tool did not make is one too many.
const FEW: usize = 200;

/// How many where some of those are promised: they may come before one that is not.
const MANY: usize = 10_000;

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut probed = Probed::default();
    let mut looks: Vec<(usize, usize, Vec<Step>)> = Vec::new();
    for subject in (0..site.subjects().len()).filter(|&subject| !site.whole[subject]) {
        probed.tried += 1;
        for persona in site.knockers() {
            match look(site, subject, persona) {
                Ok(sql) => looks.extend(sql.map(|sql| (subject, persona, vec![Step::by(persona, sql)]))),
                Err(why) => probed.not_run.push(NotRun { what: what(site, subject, persona), why: why.to_owned() }),
            }
        }
    }
    let scripts: Vec<Vec<Step>> = looks.iter().map(|(.., steps)| steps.clone()).collect();
    let mut seen = Vec::new();
    for ((subject, persona, steps), results) in looks.into_iter().zip(site.run_all(&scripts).await) {
        match results.into_iter().last() {
            Some(Ok(result)) => {
                let keys: Vec<String> = result.keys.into_iter().flatten().collect();
                if keys.len() == MANY {
                    let why = format!("it sees {MANY} rows or more, of which these were held against the contract");
                    probed.not_run.push(NotRun { what: what(site, subject, persona), why });
                }
                if !keys.is_empty() {
                    seen.push((subject, persona, steps, keys));
                }
            }
            Some(refused) if is_refused(&refused) => {}
            other => {
                let why = other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string());
                probed.doubts.push(NotRun { what: what(site, subject, persona), why });
            }
        }
    }
    judge(site, seen, &mut probed).await;
    Ok(probed)
}

/// How the rows that were seen stand to who saw them; one hole a table.
async fn judge(site: &Site<'_>, seen: Vec<(usize, usize, Vec<Step>, Vec<String>)>, probed: &mut Probed) {
    let ask = |&(subject, persona, _, ref keys): &(usize, usize, Vec<Step>, Vec<String>)| {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let uid = site.persona(persona).uid_or_nobody();
        let sql = read_back_sql(&site.setting, &site.subjects()[subject], uid, &[], Some(&keys));
        vec![Step::privileged(persona, sql)]
    };
    let scripts: Vec<Vec<Step>> = seen.iter().map(ask).collect();
    let mut told_of: Vec<usize> = Vec::new();
    for ((subject, persona, steps, _), results) in seen.into_iter().zip(site.run_all(&scripts).await) {
        let rows = results.into_iter().last().and_then(Result::ok).and_then(|result| parse_read_back(result.keys));
        let Some(rows) = rows.filter(|rows| !rows.is_empty()) else {
            let why = "it could not be asked how the rows that it shows stand to the actor".to_owned();
            probed.doubts.push(NotRun { what: what(site, subject, persona), why });
            continue;
        };
        let scene = site.scene(subject, persona);
        let promised = |standing: Standing| scene.promised(standing, Command::Select);
        if told_of.contains(&subject) || rows.iter().filter_map(|row| row.standing).all(promised) {
            continue;
        }
        told_of.push(subject);
        probed.holes.push(hole(site, subject, persona, steps));
    }
}

fn what(site: &Site<'_>, subject: usize, persona: usize) -> String {
    format!("{}/{}", site.table(subject).name(), site.persona(persona).name)
}

/// The statement that shows rows which the world did not make; `None` where all rows are promised, or none can be read.
fn look(site: &Site<'_>, subject: usize, persona: usize) -> Result<Option<String>, &'static str> {
    let scene = site.scene(subject, persona);
    let (table, role) = (scene.table(), &site.persona(persona).actor.role);
    if Standing::ALL.into_iter().all(|standing| scene.promised(standing, Command::Select)) {
        return Ok(None);
    }
    if !table.grants(role, Command::Select, &scene.key_columns()) {
        let any = |name: &String| table.grants(role, Command::Select, std::slice::from_ref(name));
        let readable = table.columns.iter().any(|column| any(&column.name));
        return if readable {
            Err("the actor may not read the key, so whose rows it sees is not known")
        } else {
            Ok(None)
        };
    }
    let more = |standing: Standing| standing != Standing::Own && scene.promised(standing, Command::Select);
    let limit = if Standing::ALL.into_iter().any(more) { MANY } else { FEW };
    // Planned as the statement without LIMIT is: else a LIMIT makes it read in order, past everybody's rows.
    Ok(Some(format!(
        "WITH seen AS MATERIALIZED (SELECT {} AS key FROM {} WHERE NOT ({})) SELECT key FROM seen LIMIT {limit}",
        scene.key(),
        scene.name(),
        scene.among_world()
    )))
}

fn hole(site: &Site<'_>, subject: usize, persona: usize, steps: Vec<Step>) -> Hole {
    let access = &site.subjects()[subject].access;
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!(
                "{} sees rows of {} that were there before and are not its own",
                site.persona(persona).name,
                access.table
            ),
            object: access.table.to_string(),
            place: Some(access.place.clone()),
            why: "a policy lets rows through by something that the rows made for this verification have not".to_owned(),
            remedy: "look at the rows that the statement shows, and let the policy ask whose they are".to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps,
    }
}
