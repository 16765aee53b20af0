//! Default privileges open tables that nobody has made yet. Those that Supabase sets itself, in schema public, are
//! accepted by rule: the contract's coverage names each table that comes to be there.

use super::rights::Told;
use super::site::Site;
use super::{Fault, Probe, Probed};
use crate::db::quote::readable_identifier;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use crate::model::report::Accepted;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) const PROBE: Probe = Probe {
    name: "default-privilege",
    about: "no default privileges open tables, sequences or functions that are still to be made",
    fault: Fault::Schema,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// What one role gets on one kind of one maker's new objects.
#[derive(Debug, Deserialize)]
struct Entry {
    maker: String,
    /// `None`: in every schema.
    schema: Option<String>,
    kind: char,
    role: String,
    rights: Vec<String>,
}

impl Entry {
    fn objects(&self) -> &'static str {
        match self.kind {
            'r' => "TABLES",
            'S' => "SEQUENCES",
            _ => "FUNCTIONS",
        }
    }

    /// Whether Supabase sets this itself: everything in projects made before 2026-05-30, since then what the change left.
    /// MAINTAIN came with PostgreSQL 17, and a project that was upgraded to it lacks it.
    fn is_supabases(&self) -> bool {
        let (all, left): (&[&str], &[&str]) = match self.kind {
            'r' => (
                &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"],
                &["REFERENCES", "TRIGGER", "TRUNCATE"],
            ),
            'S' => (&["SELECT", "UPDATE", "USAGE"], &["UPDATE"]),
            _ => (&["EXECUTE"], &["EXECUTE"]),
        };
        let mut rights: Vec<&str> =
            self.rights.iter().map(String::as_str).filter(|right| *right != "MAINTAIN").collect();
        rights.sort_unstable();
        self.schema.as_deref() == Some("public") && self.role != "PUBLIC" && (rights == all || rights == left)
    }

    fn told(&self) -> String {
        format!("{} on {} to {}", self.rights.join(", "), self.objects(), self.role)
    }

    fn remedy(&self) -> String {
        let schema = self.schema.as_deref();
        let within = schema.map_or_else(String::new, |schema| format!(" IN SCHEMA {}", readable_identifier(schema)));
        let role = if self.role == "PUBLIC" { self.role.clone() } else { readable_identifier(&self.role) };
        let maker = readable_identifier(&self.maker);
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {maker}{within} REVOKE ALL ON {} FROM {role}", self.objects())
    }
}

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    let entries: Vec<Entry> = site.catalogue(include_str!("default_privilege.sql")).await?;
    let mut probed = Probed { tried: site.setting.contract.schemas.len(), ..Probed::default() };
    let mut groups: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let within = entry.schema.as_deref().map_or_else(|| "every schema".to_owned(), |name| format!("schema {name}"));
        groups.entry(format!("default privileges of {} in {within}", entry.maker)).or_default().push(entry);
    }
    for (object, entries) in groups {
        let (known, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(Entry::is_supabases);
        let list = |entries: &[Entry]| entries.iter().map(Entry::told).collect::<Vec<_>>().join("; ");
        if own.is_empty() {
            probed.accepted.push(Accepted {
                id: format!("default-privilege/{object}"),
                what: format!("{object} open what is to come: {}", list(&known)),
                reason: "by rule: Supabase's own; a table that comes to be there must be promised or exempted"
                    .to_owned(),
            });
            continue;
        }
        let told = Told {
            what: format!("{object} open what is to come: {}", list(&own)),
            object,
            access: None,
            why: "the next table has these grants before anybody has switched on its row security",
            remedy: own.iter().map(Entry::remedy).collect::<Vec<_>>().join("; "),
            reach: Reach::Api,
            shown_by: "SELECT * FROM pg_default_acl".to_owned(),
        };
        probed.holes.push(told.hole());
    }
    Ok(probed)
}
