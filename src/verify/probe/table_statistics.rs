//! The sizes of tables, and how many rows they hold, are everyone's to read: a channel of PostgreSQL that no schema closes.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::literal;
use crate::db::sqlstate;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;

pub(super) const PROBE: Probe = Probe {
    name: "table-statistics",
    about: "the catalogue tells no one how large a table of hidden rows is; no schema can see to that",
    fault: Fault::Server,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// What tells of all rows: its name, and an expression over `c`, the table's row in pg_class.
const FACTS: [(&str, &str); 3] = [
    ("pg_class.reltuples", "c.reltuples::bigint::text"),
    ("pg_relation_size()", "pg_relation_size(c.oid)::text"),
    ("pg_stat_get_live_tuples()", "pg_stat_get_live_tuples(c.oid)::text"),
];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let (mut asked, mut scripts) = (Vec::new(), Vec::new());
    for persona in site.roles() {
        let Some(subject) = (0..site.subjects().len()).find(|subject| site.hides(*subject, persona)) else { continue };
        let table = site.table(subject).name();
        for (fact, expression) in FACTS {
            let select = format!(
                "SELECT {expression} FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = {} AND c.relname = {}",
                literal(&table.schema),
                literal(&table.name)
            );
            asked.push((persona, fact));
            scripts.push(vec![Step::by(persona, select)]);
        }
    }
    let mut probed = Probed { tried: scripts.len(), ..Probed::default() };
    let (mut roles, mut facts) = (Vec::new(), Vec::new());
    let mut shown = Vec::new();
    for (((persona, fact), steps), results) in asked.into_iter().zip(&scripts).zip(site.run_all(&scripts).await) {
        match results.into_iter().next() {
            Some(Ok(result)) if result.keys.iter().any(Option::is_some) => {
                let role = site.persona(persona).actor.role.clone();
                if !roles.contains(&role) {
                    roles.push(role);
                }
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
                shown.clone_from(steps);
            }
            Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
            Some(Ok(_)) => {}
            other => probed.doubts.push(NotRun {
                what: fact.to_owned(),
                why: other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string()),
            }),
        }
    }
    if !facts.is_empty() {
        probed.holes.push(Hole {
            finding: Finding {
                check: String::new(),
                what: "how large a table is, and how many rows it holds, is told to who sees none of them".to_owned(),
                object: "pg_class".to_owned(),
                place: None,
                why: format!("{} tell {}", facts.join(", "), roles.join(", ")),
                remedy: "keep SQL text out of untrusted hands, and pg_catalog out of the exposed schemas".to_owned(),
                reach: Reach::Sql,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps: shown,
        });
    }
    Ok(probed)
}
