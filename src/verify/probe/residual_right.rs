//! What GRANT ALL leaves behind and no row needs: REFERENCES, TRIGGER and MAINTAIN on tables, CREATE on schemas.

use super::rights::{Held, Told, describe};
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "residual-right",
    about: "nobody holds REFERENCES, TRIGGER or MAINTAIN on a table of the contract, or CREATE on a schema",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A table, or without a name a schema, and who holds what on it.
#[derive(Debug, Deserialize)]
struct Residue {
    schema: String,
    name: Option<String>,
    held: Vec<Held>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let residues: Vec<Residue> = site.catalogue(include_str!("residual_right.sql")).await?;
    let mut probed = Probed { tried: site.setting.contract.tables.len(), ..Probed::default() };
    for residue in residues {
        let roles: Vec<String> = residue.held.iter().map(|held| readable_identifier(&held.role)).collect();
        let (roles, held) = (roles.join(", "), describe(&residue.held));
        let told = match &residue.name {
            Some(name) => {
                let table = TableName { schema: residue.schema.clone(), name: name.clone() };
                // What the contract does not name is a finding already, or exempted.
                let Some(access) = site.setting.contract.table(&table) else { continue };
                let mut rights: Vec<&str> =
                    residue.held.iter().flat_map(|held| held.rights.iter().map(String::as_str)).collect();
                rights.sort_unstable();
                rights.dedup();
                let rights = rights.join(", ");
                Told {
                    what: format!("{table} has rights that no promise needs: {held}"),
                    object: table.to_string(),
                    access: Some(access),
                    why: "TRIGGER puts a function of one's own on others' rows, a foreign key (REFERENCES) tells which \
                          of them exist, MAINTAIN locks the table",
                    remedy: format!("REVOKE {rights} ON {} FROM {roles}", quote_table(&table)),
                    reach: Reach::Sql,
                    shown_by: format!("SELECT relacl FROM pg_class WHERE oid = '{}'::regclass", quote_table(&table)),
                }
            }
            None => Told {
                what: format!("schema {} takes new objects from {held}", residue.schema),
                object: format!("schema {}", residue.schema),
                access: None,
                why: "a table or function made there can stand before the one that a policy or function means",
                remedy: format!(
                    "REVOKE CREATE ON SCHEMA {} FROM PUBLIC, {roles}",
                    readable_identifier(&residue.schema)
                ),
                reach: Reach::Sql,
                shown_by: format!(
                    "SELECT nspacl FROM pg_namespace WHERE nspname = {}",
                    crate::db::quote::literal(&residue.schema)
                ),
            },
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}
