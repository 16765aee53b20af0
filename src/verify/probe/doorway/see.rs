//! Looking at a doorway: as everyone, and again after a change that the looker may not notice.

use super::super::Probed;
use super::super::marks::Marks;
use super::super::site::{Site, Step};
use super::disturb::Disturbances;
use super::{Door, ROWS, Way, last};
use crate::db::sqlstate;
use crate::model::access::Command;
use crate::model::report::NotRun;
use std::collections::BTreeSet;

/// The rows that a look at a doorway gave, in an order of their own.
fn texts(result: crate::db::session::StatementResult) -> Vec<String> {
    let mut texts: Vec<String> = result.keys.into_iter().flatten().collect();
    texts.sort();
    texts
}

/// Looks as everyone, twice, and again with one more or one less row that is hidden from them.
pub(super) async fn look(
    door: &Door<'_>,
    site: &Site<'_>,
    disturbances: Option<&Disturbances>,
    ways: &mut Vec<Way>,
    probed: &mut Probed,
) {
    let knockers: Vec<usize> = site.knockers().collect();
    let look = |persona: usize| door.look(&site.persona(persona).actor.role);
    let with_before = |persona: usize, first: Vec<Step>, then: Vec<Step>| {
        first.into_iter().chain(door.before(persona)).chain(then).collect::<Vec<Step>>()
    };
    let mut scripts: Vec<Vec<Step>> = Vec::new();
    for &persona in &knockers {
        let step = Step::by(persona, look(persona));
        scripts.push(with_before(persona, Vec::new(), vec![step.clone(), step]));
        scripts.push(with_before(persona, Vec::new(), vec![Step::privileged(persona, look(persona))]));
    }
    let mut answers = site.run_all(&scripts).await.into_iter();
    // Whether anybody saw a row of the world here: otherwise that nobody saw a hidden one says nothing.
    let (mut shown, mut looked) = (door.reads.is_empty(), false);
    let mut saw: Vec<(usize, Vec<String>, Vec<String>)> = Vec::new();
    let doubt =
        |persona: usize, why: String| NotRun { what: format!("{}/{}", door.object(), site.persona(persona).name), why };
    for &persona in &knockers {
        let (own, control) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        let marks = Marks::of(site, persona);
        let [.., first, second] = own.as_slice() else { continue };
        let (first, second) = match (first, second) {
            (Ok(first), Ok(second)) => (texts(first.clone()), texts(second.clone())),
            (Err(error), _) | (_, Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => continue,
            _ => {
                let first = own.iter().find_map(|result| result.as_ref().err());
                probed.doubts.push(doubt(persona, first.map(ToString::to_string).unwrap_or_default()));
                continue;
            }
        };
        looked = true;
        let privileged = match last(control) {
            Ok(result) => texts(result),
            Err(why) => {
                probed.doubts.push(doubt(persona, format!("nobody can read it: {why}")));
                continue;
            }
        };
        shown |= marks.any_in(&privileged);
        shown |= marks.any_in(&first);
        if door.promised(site, persona) {
            continue;
        }
        let subjects = marks.hidden_in(&first);
        if !subjects.is_empty() {
            let steps = with_before(persona, Vec::new(), vec![Step::by(persona, look(persona))]);
            ways.push(Way { command: Command::Select, persona, subjects, steps });
        } else if first.len() >= ROWS {
            probed.not_run.push(doubt(persona, format!("it shows {ROWS} rows or more")));
        } else if first != second {
            probed.doubts.push(doubt(persona, "it does not show the same rows twice".to_owned()));
        } else {
            saw.push((persona, first, privileged));
        }
    }
    if let Some(disturbances) = disturbances {
        shown |= disturb(door, site, disturbances, saw, ways).await;
    } else if !shown && !saw.is_empty() {
        shown = by_switch(door, site, &saw, ways).await;
    }
    if looked && !shown {
        let why = "nobody sees a row of the world here, so that nobody sees a hidden one shows nothing";
        probed.not_run.push(NotRun { what: door.object(), why: why.to_owned() });
    }
}

/// Looks again after a change that the looker may not know of; whether anybody's look changed at all.
async fn disturb(
    door: &Door<'_>,
    site: &Site<'_>,
    disturbances: &Disturbances,
    saw: Vec<(usize, Vec<String>, Vec<String>)>,
    ways: &mut Vec<Way>,
) -> bool {
    let mut asked = Vec::new();
    for (persona, own, privileged) in &saw {
        let look = door.look(&site.persona(*persona).actor.role);
        for disturbance in disturbances.of(*persona) {
            let lookers = [
                (Step::by(*persona, look.clone()), own, disturbance.hidden),
                (Step::privileged(*persona, look.clone()), privileged, false),
            ];
            for (step, before, hidden) in lookers {
                let mut steps = vec![Step::privileged(*persona, disturbance.sql.clone())];
                steps.extend(door.before(*persona));
                steps.push(step);
                asked.push((*persona, disturbance.subject, hidden, before, steps));
            }
        }
    }
    let scripts: Vec<Vec<Step>> = asked.iter().map(|(.., steps)| steps.clone()).collect();
    let mut shown = false;
    for ((persona, subject, hidden, before, steps), results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        let Ok(result) = last(results) else { continue };
        if texts(result) == *before {
            continue;
        }
        shown = true;
        let known = |way: &Way| way.persona == persona && way.subjects.contains(&subject);
        if hidden && !ways.iter().any(known) {
            ways.push(Way { command: Command::Select, persona, subjects: BTreeSet::from([subject]), steps });
        }
    }
    shown
}

/// A partition that no row of the world got into: whether row security stands before those that will. Whether that
/// is known.
async fn by_switch(
    door: &Door<'_>,
    site: &Site<'_>,
    saw: &[(usize, Vec<String>, Vec<String>)],
    ways: &mut Vec<Way>,
) -> bool {
    let name = crate::db::quote::literal(&door.name());
    let ask = |persona: usize| vec![Step::by(persona, format!("SELECT row_security_active({name})::text"))];
    let scripts: Vec<Vec<Step>> = saw.iter().map(|(persona, ..)| ask(*persona)).collect();
    let mut open = false;
    for ((persona, ..), results) in saw.iter().zip(site.run_all(&scripts).await) {
        let Ok(result) = last(results) else { continue };
        if texts(result) == ["false"] {
            open = true;
            let subjects = door.reads.iter().copied().collect();
            ways.push(Way { command: Command::Select, persona: *persona, subjects, steps: ask(*persona) });
        }
    }
    open
}
