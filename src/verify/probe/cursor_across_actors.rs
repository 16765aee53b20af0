//! A cursor keeps the sight of who opened it, whoever reads on: a channel of PostgreSQL that no schema closes.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;

pub(super) const PROBE: Probe = Probe {
    name: "cursor-across-actors",
    about: "a cursor opened by one actor shows another in the same session nothing; no schema can see to that",
    fault: Fault::Server,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut probed = Probed::default();
    let Some(steps) = script(site) else { return Ok(probed) };
    probed.tried = 1;
    match site.run(&steps).await.into_iter().last() {
        Some(Ok(result)) if result.count > 0 => probed.holes.push(Hole {
            finding: Finding {
                check: String::new(),
                what: "a cursor that one actor opened shows another, in the same session, the first one's rows"
                    .to_owned(),
                object: "cursors".to_owned(),
                place: None,
                why: "policies are applied when a cursor is opened, and never again".to_owned(),
                remedy: "expose no function that opens a cursor WITH HOLD: no other way leads a request to one"
                    .to_owned(),
                reach: Reach::Sql,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps,
        }),
        Some(Ok(_)) => {}
        Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
        other => probed.doubts.push(NotRun {
            what: "cursors".to_owned(),
            why: other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string()),
        }),
    }
    Ok(probed)
}

/// Rows of one's own, by key, read on by someone from whom they are hidden.
fn script(site: &Site<'_>) -> Option<Vec<Step>> {
    site.knockers().find_map(|opener| {
        (0..site.subjects().len()).find_map(|subject| {
            let scene = site.scene(subject, opener);
            let rows = scene.rows(Standing::Own);
            let row = *rows.first()?;
            let reader = site.knockers().find(|&other| {
                let stands = site.standing.sights[subject][other].get(row.1).map(|seen| seen.standing);
                stands.is_some_and(|standing| !site.scene(subject, other).promised(standing, Command::Select))
            })?;
            let conditions: Option<Vec<String>> = rows.iter().map(|row| scene.where_key(*row)).collect();
            let (key, name, condition) = (scene.key(), scene.name(), conditions?.join(" OR "));
            // The first row asks who one is; what a policy's sub-select answered then holds for the others.
            (scene.promised(Standing::Own, Command::Select) && rows.len() > 1).then(|| {
                vec![
                    Step::by(opener, format!("DECLARE kept CURSOR FOR SELECT {key} FROM {name} WHERE {condition}")),
                    Step::by(opener, "FETCH 1 FROM kept"),
                    Step::by(reader, "FETCH ALL FROM kept"),
                ]
            })
        })
    })
}
