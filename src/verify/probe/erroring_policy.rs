//! A policy that fails for those who are promised rows: it denies, and is broken all the same (42P17: it asks itself).

use super::policies::policies;
use super::site::{Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::verify::world::insert::key_columns;
use std::collections::BTreeSet;

/// infinite_recursion, as PostgreSQL raises it for policies (invalid_object_definition).
const RECURSION: &str = "42P17";

pub(super) const PROBE: Probe = Probe {
    name: "erroring-policy",
    about: "no policy fails for those who are promised rows",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut asked = Vec::new();
    for persona in site.knockers() {
        let role = &site.persona(persona).actor.role;
        for subject in 0..site.subjects().len() {
            let scene = site.scene(subject, persona);
            let promised = |command| Standing::ALL.iter().any(|&standing| scene.promised(standing, command));
            let (name, keys) = (scene.name(), key_columns(scene.table()));
            let bound = if site.whole[subject] { "" } else { " LIMIT 1" };
            if promised(Command::Select) && scene.table().grants(role, Command::Select, &keys) {
                asked.push((subject, persona, format!("SELECT {} FROM {name}{bound}", scene.key())));
            }
            let rows = [Standing::Own, Standing::Any].into_iter().flat_map(|standing| scene.rows(standing));
            let condition = rows.take(1).find_map(|row| scene.where_key(row));
            if let Some(condition) = condition
                && promised(Command::Delete)
                && scene.table().grants(role, Command::Delete, &[])
            {
                asked.push((subject, persona, format!("DELETE FROM {name} WHERE {condition}")));
            }
        }
    }
    let scripts: Vec<Vec<Step>> = asked.iter().map(|(_, persona, sql)| vec![Step::by(*persona, sql.clone())]).collect();
    let policies = policies(site).await?;
    let mut probed = Probed { tried: asked.len(), ..Probed::default() };
    let mut told = BTreeSet::new();
    for ((subject, persona, sql), results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        let Some(Err(error)) = results.into_iter().last() else { continue };
        // A foreign key's or trigger's refusal is no policy's; a refusal by right or policy is the attempts' matter.
        let code = error.code.as_str();
        if code == sqlstate::INSUFFICIENT_PRIVILEGE
            || code.starts_with("23")
            || code.starts_with('P')
            || !told.insert(subject)
        {
            continue;
        }
        let access = &site.subjects()[subject].access;
        let of_table = policies.iter().filter(|policy| policy.table() == access.table);
        let mut names: Vec<&str> = of_table.map(|policy| policy.name.as_str()).collect();
        names.sort_unstable();
        let recursive = code == RECURSION;
        probed.holes.push(Hole {
            finding: Finding {
                check: String::new(),
                what: format!(
                    "{} is promised rows of {} and gets an error: one of its policies fails ({code})",
                    site.persona(persona).name, access.table
                ),
                object: access.table.to_string(),
                place: Some(access.place.clone()),
                why: format!("of the policies {}: {}", names.join(", "), if recursive { "one reads a table whose policies read this one" } else { "one can't be evaluated for this actor's claims" }),
                remedy: if recursive {
                    "let the policy ask a SECURITY DEFINER function (search_path = '', for the caller alone) instead of the table".to_owned()
                } else {
                    "write the predicate so that it is false or NULL where it can't be true (a CASE around a cast, NULLIF)".to_owned()
                },
                reach: Reach::Api,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps: vec![Step::by(persona, sql)],
        });
    }
    Ok(probed)
}
