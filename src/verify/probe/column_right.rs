//! Grants on single columns that keep nothing back: whoever has a right on the table has it on every column, whatever is
//! granted or revoked on columns. What attempts say of promises and of columns under a rule does not show it: here the
//! schema itself says which columns were meant, and a statement that the others are open all the same.

use super::rights::Told;
use super::site::{Site, Step, is_refused};
use super::{Fault, Probe, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use crate::model::report::NotRun;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const PROBE: Probe = Probe {
    name: "column-right",
    about: "where rights are granted on single columns, nobody has them on all",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// What `column_right.sql` tells.
#[derive(Debug, Deserialize)]
struct Moot {
    schema: String,
    name: String,
    role: String,
    /// `SELECT`, `INSERT`, `UPDATE`.
    privilege: String,
    /// Those that the right is granted on.
    columns: Vec<String>,
    /// Another column, and its type.
    left_out: (String, String),
    /// Who has the right on the table. An owner's is in no list.
    through: Option<Vec<String>>,
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let mut all: Vec<Moot> = site.catalogue(include_str!("column_right.sql")).await?;
    all.retain(|moot| !site.setting.contract.is_exempt(&moot.table()));
    let mut probed = Probed { tried: site.setting.catalog.tables.len(), ..Probed::default() };
    let roles = site.roles();
    let who = |moot: &Moot| roles.iter().copied().find(|&index| site.persona(index).actor.role == moot.role);
    let asked: Vec<(Moot, Vec<Step>)> = all
        .into_iter()
        .filter_map(|moot| Some((who(&moot)?, moot)))
        .map(|(who, moot)| {
            let steps = vec![Step::by(who, moot.statement())];
            (moot, steps)
        })
        .collect();
    let scripts: Vec<Vec<Step>> = asked.iter().map(|(_, steps)| steps.clone()).collect();
    let mut open: BTreeMap<TableName, Vec<(Moot, Vec<Step>)>> = BTreeMap::new();
    for ((moot, steps), results) in asked.into_iter().zip(site.run_all(&scripts).await) {
        match results.into_iter().last() {
            Some(Ok(_)) => open.entry(moot.table()).or_default().push((moot, steps)),
            Some(refused) if is_refused(&refused) => {}
            other => {
                let why = other.and_then(Result::err).map_or("no answer".to_owned(), |error| error.to_string());
                probed.doubts.push(NotRun { what: format!("{}/{}", moot.table(), moot.role), why });
            }
        }
    }
    for (table, moots) in open {
        let told = Told {
            what: moots.iter().map(|(moot, _)| moot.told()).collect::<Vec<_>>().join("; "),
            object: table.to_string(),
            access: site.setting.contract.table(&table),
            why: "a right on the table is one on every column: granting or revoking it on single columns changes nothing",
            remedy: moots.iter().map(|(moot, _)| moot.remedy()).collect::<Vec<_>>().join("; "),
            reach: Reach::Api,
            shown_by: String::new(),
        };
        let mut hole = told.hole();
        hole.steps = moots.into_iter().next().map(|(_, steps)| steps).unwrap_or_default();
        probed.holes.push(hole);
    }
    Ok(probed)
}

impl Moot {
    fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.name.clone() }
    }

    fn named(&self) -> String {
        self.columns.iter().map(|column| readable_identifier(column)).collect::<Vec<_>>().join(", ")
    }

    /// Uses the right on the column that was left out, and reaches no row.
    fn statement(&self) -> String {
        let (table, column) = (quote_table(&self.table()), readable_identifier(&self.left_out.0));
        match self.privilege.as_str() {
            "INSERT" => format!("INSERT INTO {table} ({column}) SELECT NULL::{} WHERE false", self.left_out.1),
            "UPDATE" => format!("UPDATE {table} SET {column} = DEFAULT WHERE false"),
            _ => format!("SELECT {column}::text FROM {table} WHERE false"),
        }
    }

    fn told(&self) -> String {
        format!(
            "{} is granted {} ({}) on {} and has it on every column, {} too",
            self.role,
            self.privilege,
            self.named(),
            self.table(),
            readable_identifier(&self.left_out.0)
        )
    }

    fn remedy(&self) -> String {
        let (table, role) = (quote_table(&self.table()), readable_identifier(&self.role));
        let through = self.through.iter().flatten();
        let from: Vec<String> =
            through.map(|role| if role == "PUBLIC" { role.clone() } else { readable_identifier(role) }).collect();
        let from = if from.is_empty() { role.clone() } else { from.join(", ") };
        // A right that is taken from the table is taken from its columns too.
        format!("REVOKE {0} ON {table} FROM {from}; GRANT {0} ({1}) ON {table} TO {role}", self.privilege, self.named())
    }
}
