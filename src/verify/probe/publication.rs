//! What is published leaves by another door: Realtime asks the policies for INSERT and UPDATE, but a DELETE goes to every
//! subscriber, with the row's replica identity; and a publication of all tables takes those to come, too.

use super::rights::Told;
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::{Command, Standing, TableAccess, TableName};
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use serde::Deserialize;

pub(super) const PROBE: Probe = Probe {
    name: "publication",
    about: "no publication takes all tables, or sends more of a deleted row than a uuid",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// A publication.
#[derive(Debug, Deserialize)]
struct Publication {
    name: String,
    all_tables: bool,
    /// Those of the contract's schemas that it takes as a whole.
    schemas: Vec<String>,
    /// Whether old rows are in its messages.
    deletes: bool,
    tables: Vec<Published>,
}

/// A table in it.
#[derive(Debug, Deserialize)]
struct Published {
    schema: String,
    name: String,
    /// REPLICA IDENTITY FULL: old rows go out whole.
    full: bool,
    /// What of the old row goes out that is no uuid.
    telling: Vec<String>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let publications: Vec<Publication> = site.catalogue(include_str!("publication.sql")).await?;
    let mut probed = Probed { tried: publications.len(), ..Probed::default() };
    for publication in publications {
        let name = &publication.name;
        if publication.all_tables || !publication.schemas.is_empty() {
            let what = if publication.all_tables {
                "every table".to_owned()
            } else {
                format!("every table of schema {}", publication.schemas.join(", "))
            };
            probed.holes.push(
                Told {
                    what: format!("publication {name} takes {what}, those to come too"),
                    object: format!("publication {name}"),
                    access: None,
                    why: "a table is published the moment it is made, before anybody has thought of who subscribes",
                    remedy: format!(
                        "DROP PUBLICATION {0}; CREATE PUBLICATION {0} FOR TABLE those that are meant",
                        readable_identifier(name)
                    ),
                    reach: Reach::Api,
                    shown_by: "SELECT * FROM pg_publication_tables".to_owned(),
                }
                .hole(),
            );
        }
        for table in publication.tables.iter().filter(|table| publication.deletes && !table.telling.is_empty()) {
            let published = TableName { schema: table.schema.clone(), name: table.name.clone() };
            let Some(access) = site.setting.contract.table(&published).filter(|access| is_kept(site, access)) else {
                continue;
            };
            let sent = if table.full { "the whole row".to_owned() } else { table.telling.join(", ") };
            probed.holes.push(
                Told {
                    what: format!("who deletes a row of {published} sends {sent} to every subscriber of {name}"),
                    object: format!("{published} in publication {name}"),
                    access: Some(access),
                    why: "row security is not asked for DELETE: the replica identity of the row goes to whoever listens",
                    remedy: format!(
                        "ALTER TABLE {} REPLICA IDENTITY DEFAULT, with a key of uuids; or ALTER PUBLICATION {} SET \
                         (publish = 'insert')",
                        quote_table(&published),
                        readable_identifier(name)
                    ),
                    reach: Reach::Api,
                    shown_by: "SELECT * FROM pg_publication_tables".to_owned(),
                }
                .hole(),
            );
        }
    }
    Ok(probed)
}

/// Whether the table has rows that somebody must not see.
fn is_kept(site: &Site<'_>, access: &TableAccess) -> bool {
    let contract = site.setting.contract;
    site.knockers().any(|persona| {
        let actor = &site.persona(persona).actor;
        !contract.promises(access, actor, Standing::Other, Command::Select)
    })
}
