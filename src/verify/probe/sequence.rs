//! Sequences have no row security: SELECT and USAGE tell how many rows others make, UPDATE sets where counting goes on.
//! Only a default that draws from one needs USAGE. What nextval and setval do outlasts a rollback, so that they are
//! judged by right; reading is tried.

use super::rights::{Held, Told, describe};
use super::site::{Site, Step};
use super::{Fault, Probe, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::sqlstate;
use crate::model::access::{Command, TableName};
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use crate::model::report::NotRun;
use serde::Deserialize;
use std::collections::BTreeSet;

pub(super) const PROBE: Probe = Probe {
    name: "sequence",
    about: "sequences are open to nobody, but for USAGE where a promised insert draws from one",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A sequence, the tables that it feeds, and who may do what with it.
#[derive(Debug, Deserialize)]
struct Sequence {
    schema: String,
    name: String,
    feeds: Vec<(String, String)>,
    held: Vec<Held>,
}

impl Sequence {
    fn name(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.name.clone() }
    }
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let sequences: Vec<Sequence> = site.catalogue(include_str!("sequence.sql")).await?;
    let mut probed = Probed { tried: sequences.len(), ..Probed::default() };
    let roles = site.roles();
    let reading = |sequence: &Sequence| format!("SELECT last_value::text FROM {}", quote_table(&sequence.name()));
    let scripts: Vec<Vec<Step>> = sequences
        .iter()
        .flat_map(|sequence| roles.iter().map(move |&role| vec![Step::by(role, reading(sequence))]))
        .collect();
    let mut answers = site.run_all(&scripts).await.into_iter();
    for sequence in &sequences {
        let name = sequence.name();
        let mut read_by = Vec::new();
        for &role in &roles {
            match answers.next().unwrap_or_default().pop() {
                Some(Ok(_)) => read_by.push(role),
                Some(Err(error)) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {}
                Some(Err(error)) => probed.doubts.push(NotRun { what: name.to_string(), why: error.to_string() }),
                None => probed.doubts.push(NotRun { what: name.to_string(), why: "no answer".to_owned() }),
            }
        }
        let mut held = sequence.held.clone();
        for one in &mut held {
            if needs_usage(site, sequence, &one.role) {
                one.rights.retain(|right| right != "USAGE");
            }
        }
        held.retain(|one| !one.rights.is_empty());
        if held.is_empty() && read_by.is_empty() {
            continue;
        }
        let rights: BTreeSet<&str> = held.iter().flat_map(|one| one.rights.iter().map(String::as_str)).collect();
        let from: Vec<String> = held.iter().map(|one| readable_identifier(&one.role)).collect();
        let fed = sequence.feeds.first().map(|(schema, name)| TableName { schema: schema.clone(), name: name.clone() });
        let told = Told {
            what: format!("sequence {name} is open to those who need nothing of it: {}", describe(&held)),
            object: format!("sequence {name}"),
            access: fed.as_ref().and_then(|table| site.setting.contract.table(table)),
            why: "its numbers tell how many rows others make, and setval makes their inserts fail",
            remedy: format!(
                "REVOKE {} ON SEQUENCE {} FROM {}",
                rights.into_iter().collect::<Vec<_>>().join(", "),
                quote_table(&name),
                from.join(", ")
            ),
            // A request can read it as if it were a table; nextval and setval take SQL text.
            reach: if read_by.is_empty() { Reach::Sql } else { Reach::Api },
            shown_by: if read_by.is_empty() {
                format!("SELECT relacl FROM pg_class WHERE oid = '{}'::regclass", quote_table(&name))
            } else {
                String::new()
            },
        };
        let mut hole = told.hole();
        hole.steps = read_by.first().map(|&role| Step::by(role, reading(sequence))).into_iter().collect();
        probed.holes.push(hole);
    }
    Ok(probed)
}

/// Whether the role inserts, by promise, into a table whose default draws from the sequence.
fn needs_usage(site: &Site<'_>, sequence: &Sequence, role: &str) -> bool {
    let personas = || site.knockers().filter(|&persona| site.persona(persona).actor.role == role);
    let fed = |table: &TableName| sequence.feeds.iter().any(|(s, n)| *s == table.schema && *n == table.name);
    let subjects = site.subjects().iter().enumerate().filter(|(_, subject)| fed(&subject.access.table));
    subjects
        .map(|(index, _)| index)
        .any(|subject| personas().any(|persona| site.scene(subject, persona).due(Command::Insert)))
}
