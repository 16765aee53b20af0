//! `SET row_security = off` must be refused with 42501 wherever RLS applies: a proof of its own that it does, beside
//! what the catalogue and `row_security_active()` say.

use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::quote::readable_identifier;
use crate::db::quote::table as quote_table;
use crate::db::sqlstate;
use crate::model::access::Command;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;

pub(super) const PROBE: Probe = Probe {
    name: "row-security-off",
    about: "SET row_security = off is refused (42501) on every table that an actor may read: RLS does apply to it",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut asked = Vec::new();
    for persona in site.roles() {
        let role = &site.persona(persona).actor.role;
        for subject in site.subjects() {
            let table = &subject.table;
            let readable = |name: &String| table.grants(role, Command::Select, std::slice::from_ref(name));
            let Some(column) = table.columns.iter().map(|column| &column.name).find(|name| readable(name)) else {
                continue;
            };
            let column = readable_identifier(column);
            let select = format!("SELECT {column}::text FROM {} LIMIT 0", quote_table(&table.name()));
            let steps = vec![Step::by(persona, "SET LOCAL row_security = off"), Step::by(persona, select)];
            asked.push((subject, role, steps));
        }
    }
    let scripts: Vec<Vec<Step>> = asked.iter().map(|(_, _, steps)| steps.clone()).collect();
    let mut probed = Probed { tried: asked.len(), ..Probed::default() };
    for ((subject, role, steps), results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        let table = &subject.access.table;
        match results.into_iter().last() {
            Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
            Some(Ok(_)) => probed.holes.push(Hole {
                finding: Finding {
                    check: String::new(),
                    what: format!("{role} reads {table} with row_security = off: no policy stands in its way"),
                    object: table.to_string(),
                    place: Some(subject.access.place.clone()),
                    why: "PostgreSQL refuses this wherever RLS applies, so it does not apply here".to_owned(),
                    remedy: format!(
                        "ALTER TABLE {} ENABLE ROW LEVEL SECURITY; and see that {role} has neither BYPASSRLS nor owns it",
                        quote_table(table)
                    ),
                    reach: Reach::Api,
                    statement: String::new(),
                    attempts: Vec::new(),
                },
                steps,
            }),
            other => probed.doubts.push(NotRun {
                what: format!("{table}/{role}"),
                why: other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string()),
            }),
        }
    }
    Ok(probed)
}
