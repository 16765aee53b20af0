//! The planner's statistics hold values of every row, whoever owns it: `pg_stats` and its kin must show an actor nothing
//! of a table whose rows are hidden from them.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::{literal, table as quote_table};
use crate::db::sqlstate;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "statistics-view",
    about: "pg_stats, pg_stats_ext and pg_stats_ext_exprs show no actor values of rows that are hidden from it",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// The views that show statistics.
const VIEWS: [&str; 3] = ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let (mut asked, mut scripts) = (Vec::new(), Vec::new());
    for persona in site.roles() {
        for (index, subject) in site.subjects().iter().enumerate().filter(|(index, _)| site.hides(*index, persona)) {
            let table = subject.table.name();
            for view in VIEWS {
                let select = format!(
                    "SELECT DISTINCT schemaname::text FROM pg_catalog.{view} WHERE schemaname = {} AND tablename = {}",
                    literal(&table.schema),
                    literal(&table.name)
                );
                let mut steps = Vec::new();
                // A target has been analyzed, or will be; here the world's rows are what there is to tell of.
                if !site.target {
                    steps.push(Step::privileged(persona, format!("ANALYZE {}", quote_table(&table))));
                }
                steps.push(Step::privileged(persona, select.clone()));
                steps.push(Step::by(persona, select));
                asked.push((index, persona, view));
                scripts.push(steps);
            }
        }
    }
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    for (((subject, persona, view), steps), results) in
        asked.into_iter().zip(&scripts).zip(site.run_all(&scripts).await)
    {
        let table = &site.subjects()[subject].access.table;
        let mut last = results.into_iter().rev();
        let (shown, control) = (last.next(), last.next());
        match (control, shown) {
            (Some(Ok(there)), _) if there.count == 0 => {}
            (Some(Ok(_)), Some(Ok(seen))) => {
                probed.tried += 1;
                if seen.count > 0 && told.insert(subject) {
                    probed.holes.push(hole(site, subject, persona, view, steps));
                }
            }
            (Some(Ok(_)), Some(Err(error))) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => probed.tried += 1,
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                probed.doubts.push(NotRun { what: format!("{table}/{view}"), why: error.to_string() });
            }
            _ => probed.doubts.push(NotRun { what: format!("{table}/{view}"), why: "no answer".to_owned() }),
        }
    }
    Ok(probed)
}

fn hole(site: &Site<'_>, subject: usize, persona: usize, view: &str, steps: &[Step]) -> Hole {
    let access = &site.subjects()[subject].access;
    let role = &site.persona(persona).actor.role;
    Hole {
        finding: Finding {
            check: String::new(),
            what: format!("{role} reads values of hidden rows of {} in {view}", access.table),
            object: access.table.to_string(),
            place: Some(access.place.clone()),
            why: format!("{view} leaves a table out only where row-level security applies to whoever asks"),
            remedy: format!(
                "ALTER TABLE {} ENABLE ROW LEVEL SECURITY; where it is enabled, {view} itself has an old definition: \
                 run fix-CVE-2024-4317.sql",
                quote_table(&access.table)
            ),
            reach: Reach::Sql,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps: steps.to_vec(),
    }
}
