//! The planner's statistics hold values of every row, whoever owns it: `pg_stats` and its kin must show an actor nothing
//! of a table whose rows are hidden from them.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::{literal, table as quote_table};
use crate::db::session::StatementResult;
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
        let hides: Vec<usize> = (0..site.subjects().len()).filter(|&subject| site.hides(subject, persona)).collect();
        if hides.is_empty() {
            continue;
        }
        for view in VIEWS {
            scripts.push(steps(site, persona, view, &hides));
            asked.push((persona, view, hides.clone()));
        }
    }
    let mut probed = Probed::default();
    let mut told = BTreeSet::new();
    for ((persona, view, hides), results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        let mut last = results.into_iter().rev();
        let (shown, control) = (last.next(), last.next());
        let (there, seen) = match (control, shown) {
            (Some(Ok(there)), Some(Ok(seen))) => (named(there), named(seen)),
            (Some(Ok(there)), Some(Err(error))) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {
                (named(there), BTreeSet::new())
            }
            // Nothing is there to be seen.
            (Some(Ok(there)), _) if there.count == 0 => continue,
            (Some(Err(error)), _) | (_, Some(Err(error))) => {
                probed.doubts.push(NotRun { what: view.to_owned(), why: error.to_string() });
                continue;
            }
            _ => {
                probed.doubts.push(NotRun { what: view.to_owned(), why: "no answer".to_owned() });
                continue;
            }
        };
        for subject in hides {
            let name = qualified(site, subject);
            probed.tried += usize::from(there.contains(&name));
            if seen.contains(&name) && told.insert(subject) {
                probed.holes.push(hole(site, subject, persona, view));
            }
        }
    }
    Ok(probed)
}

/// Asks a view for the tables: all at once, for it reads the statistics of every table whichever it is asked for.
fn steps(site: &Site<'_>, persona: usize, view: &str, subjects: &[usize]) -> Vec<Step> {
    let tables = subjects.iter().map(|&subject| site.table(subject).name());
    let (names, pairs): (Vec<String>, Vec<String>) = tables
        .map(|table| (quote_table(&table), format!("({}, {})", literal(&table.schema), literal(&table.name))))
        .unzip();
    let select = format!(
        "SELECT DISTINCT schemaname || '.' || tablename FROM pg_catalog.{view} WHERE (schemaname, tablename) IN ({})",
        pairs.join(", ")
    );
    // A target has been analyzed, or will be; here the world's rows are what there is to tell of.
    let analyze = format!("ANALYZE {}", names.join(", "));
    let mut steps = if site.target { Vec::new() } else { vec![Step::privileged(persona, analyze)] };
    steps.extend([Step::privileged(persona, select.clone()), Step::by(persona, select)]);
    steps
}

/// The table as the views' columns name it.
fn qualified(site: &Site<'_>, subject: usize) -> String {
    let table = site.table(subject).name();
    format!("{}.{}", table.schema, table.name)
}

fn named(result: StatementResult) -> BTreeSet<String> {
    result.keys.into_iter().flatten().collect()
}

fn hole(site: &Site<'_>, subject: usize, persona: usize, view: &str) -> Hole {
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
        steps: steps(site, persona, view, &[subject]),
    }
}
