//! EXPLAIN estimates from the statistics of all rows, hidden ones too: a channel of PostgreSQL that no schema closes.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::readable_identifier;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;

pub(super) const PROBE: Probe = Probe {
    name: "explain-estimate",
    about: "EXPLAIN tells nothing of how values are distributed over hidden rows; no schema can see to that",
    fault: Fault::Server,
    plants: true,
    run: |site| Box::pin(run(site)),
};

/// A table of two other people's rows, nine of ten with one value.
const PLANT: [&str; 6] = [
    "CREATE SCHEMA chartchek_estimate",
    "CREATE TABLE chartchek_estimate.hidden (owner text, dx text)",
    "INSERT INTO chartchek_estimate.hidden \
     SELECT 'other ' || n % 2, CASE WHEN n % 10 = 0 THEN 'rare' ELSE 'common' END FROM generate_series(1, 1000) AS n",
    "ALTER TABLE chartchek_estimate.hidden ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON chartchek_estimate.hidden USING (owner = (SELECT current_user::text))",
    "ANALYZE chartchek_estimate.hidden",
];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    // Whether requests may ask for plans: PostgREST's db-plan-enabled.
    let plans: bool = site.catalogue(include_str!("explain_estimate.sql")).await?;
    let scripts: Vec<Vec<Step>> = site.roles().into_iter().map(|persona| script(site, persona)).collect();
    let mut probed = Probed { tried: scripts.len(), ..Probed::default() };
    let mut roles = Vec::new();
    let mut shown = Vec::new();
    for (steps, results) in scripts.iter().zip(site.run_all(&scripts).await) {
        let Some(last) = steps.last() else { continue };
        let what = site.name(last.who);
        if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
            probed.doubts.push(NotRun { what, why: error.to_string() });
            continue;
        }
        let mut answers = results.into_iter().rev().flatten();
        let rare = answers.next().and_then(|plan| estimate(&plan.keys));
        let common = answers.next().and_then(|plan| estimate(&plan.keys));
        let seen = answers.next().and_then(|count| count.keys.into_iter().next().flatten());
        match (seen.as_deref(), common, rare) {
            (Some("0"), Some(common), Some(rare)) if common != rare => {
                roles.push(what);
                shown = vec![(common, rare, steps.clone())];
            }
            (Some("0"), Some(_), Some(_)) => {}
            _ => probed.doubts.push(NotRun { what, why: "the plan was not understood".to_owned() }),
        }
    }
    for (common, rare, steps) in shown {
        probed.holes.push(hole(&roles, plans, common, rare, steps));
    }
    Ok(probed)
}

fn script(site: &Site<'_>, persona: usize) -> Vec<Step> {
    let role = readable_identifier(&site.persona(persona).actor.role);
    let mut steps: Vec<Step> = PLANT.iter().map(|sql| Step::privileged(persona, *sql)).collect();
    steps.push(Step::privileged(persona, format!("GRANT USAGE ON SCHEMA chartchek_estimate TO {role}")));
    steps.push(Step::privileged(persona, format!("GRANT SELECT ON chartchek_estimate.hidden TO {role}")));
    steps.push(Step::by(persona, "SELECT count(*)::text FROM chartchek_estimate.hidden"));
    for value in ["common", "rare"] {
        steps.push(Step::by(persona, format!("EXPLAIN SELECT FROM chartchek_estimate.hidden WHERE dx = '{value}'")));
    }
    steps
}

/// `rows=` of the plan's first line.
fn estimate(plan: &[Option<String>]) -> Option<u64> {
    let line = plan.first()?.as_deref()?;
    let digits = line.split_once("rows=")?.1;
    digits.split(' ').next()?.parse().ok()
}

fn hole(roles: &[String], plans: bool, common: u64, rare: u64, steps: Vec<Step>) -> Hole {
    let (reach, where_from) = if plans {
        (Reach::Api, "pgrst.db_plan_enabled is on, so that a request can ask for it")
    } else {
        (Reach::Sql, "no request can ask for it while PostgREST's db-plan-enabled is off")
    };
    Hole {
        finding: Finding {
            check: String::new(),
            what: "EXPLAIN tells how values are distributed over rows that are hidden".to_owned(),
            object: "EXPLAIN".to_owned(),
            place: None,
            why: format!(
                "{} saw none of 1,000 rows, and EXPLAIN estimated {common} for a frequent value and {rare} for a rare \
                 one; {where_from}",
                roles.join(", ")
            ),
            remedy: "keep SQL text out of untrusted hands, and db-plan-enabled off".to_owned(),
            reach,
            statement: String::new(),
            attempts: Vec::new(),
        },
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_first_lines() {
        let plan = ["Seq Scan on hidden  (cost=0.02..21.02 rows=450 width=0)", "  Filter: (owner = $0)"];
        assert_eq!(estimate(&plan.map(|line| Some(line.to_owned()))), Some(450));
        assert_eq!(estimate(&[Some("Result".to_owned())]), None);
    }
}
