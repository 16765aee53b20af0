//! A grant to PUBLIC holds for every role, those that no actor of the contract has and those to come, and no REVOKE
//! from a named role takes it away.

use super::rights::Told;
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::table as quote_table;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "public-grant",
    about: "nothing in an exposed schema is granted to PUBLIC",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A relation that PUBLIC is granted something on.
#[derive(Debug, Deserialize)]
struct Granted {
    schema: String,
    name: String,
    sequence: bool,
    rights: Vec<String>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let all: Vec<Granted> = site.catalogue(include_str!("public_grant.sql")).await?;
    let mut probed = Probed { tried: site.setting.catalog.tables.len(), ..Probed::default() };
    for granted in all {
        let table = TableName { schema: granted.schema, name: granted.name };
        if site.setting.contract.is_exempt(&table) {
            continue;
        }
        let rights = granted.rights.join(", ");
        // A request can do these four; the others, and all on a sequence, take SQL text.
        let api = ["SELECT", "INSERT", "UPDATE", "DELETE"];
        let by_api = !granted.sequence && granted.rights.iter().any(|right| api.contains(&right.as_str()));
        let word = if granted.sequence { "SEQUENCE " } else { "" };
        let told = Told {
            what: format!("{rights} on {table} is granted to PUBLIC: to every role there is and will be"),
            object: if granted.sequence { format!("sequence {table}") } else { table.to_string() },
            access: site.setting.contract.table(&table),
            why: "the contract promises to actors, each of one role; revoking from one of these changes nothing here",
            remedy: format!(
                "REVOKE ALL ON {word}{} FROM PUBLIC; and grant to the roles that are meant",
                quote_table(&table)
            ),
            reach: if by_api { Reach::Api } else { Reach::Sql },
            shown_by: format!("SELECT relacl FROM pg_class WHERE oid = '{}'::regclass", quote_table(&table)),
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}
