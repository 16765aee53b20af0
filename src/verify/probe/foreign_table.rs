//! A foreign table has no row security: whoever is granted it reads what the server's user mapping reads. The rows are
//! elsewhere and none are made there, so that the rights decide.

use super::rights::{Held, Told, describe};
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::{Command, Standing, TableName};
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "foreign-table",
    about: "no foreign table, which has no row security, is open to an actor beyond what is promised to all",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A foreign table, and who may do what with it.
#[derive(Debug, Deserialize)]
struct Foreign {
    schema: String,
    name: String,
    held: Vec<Held>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let all: Vec<Foreign> = site.catalogue(include_str!("foreign_table.sql")).await?;
    let mut probed = Probed { tried: all.len(), ..Probed::default() };
    for foreign in all {
        let table = TableName { schema: foreign.schema, name: foreign.name };
        let mut held = foreign.held;
        for one in &mut held {
            one.rights.retain(|right| !promised_to_all(site, &table, &one.role, right));
        }
        held.retain(|one| !one.rights.is_empty());
        if held.is_empty() {
            continue;
        }
        let from: Vec<String> = held.iter().map(|one| readable_identifier(&one.role)).collect();
        let told = Told {
            what: format!("foreign table {table} has no row security and is open: {}", describe(&held)),
            object: format!("foreign table {table}"),
            access: site.setting.contract.table(&table),
            why: "policies cannot be put on it: every row that the other server gives is everybody's who has the grant",
            remedy: format!(
                "REVOKE ALL ON {} FROM {}; serve it through what filters by owner",
                quote_table(&table),
                from.join(", ")
            ),
            reach: Reach::Api,
            shown_by: format!("SELECT relacl FROM pg_class WHERE oid = '{}'::regclass", quote_table(&table)),
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}

/// Whether every actor of the role is promised the command on everybody's rows.
fn promised_to_all(site: &Site<'_>, table: &TableName, role: &str, right: &str) -> bool {
    let contract = site.setting.contract;
    let command = Command::PROMISABLE.into_iter().find(|command| command.word().eq_ignore_ascii_case(right));
    let (Some(access), Some(command)) = (site.setting.contract.table(table), command) else { return false };
    let mut actors = contract.actors.iter().filter(|actor| actor.role == role);
    actors.all(|actor| contract.promises(access, actor, Standing::Other, command))
}
