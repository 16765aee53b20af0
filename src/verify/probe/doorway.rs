//! Doorways: relations that show the rows of tables under another name. What an actor sees and changes through one is
//! held against what the contract promises on the tables behind it; the definition is not asked.

mod disturb;
mod see;
mod write;

use super::site::{Results, Site, Step};
use super::{Hole, Probed};
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::model::access::{Command, Standing, TableName};
use crate::model::catalog::Table;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::world::insert::insert as insert_sql;
use disturb::Disturbances;
use serde::Deserialize;
use std::collections::BTreeSet;

/// More rows than a world has; a doorway that shows more is not compared.
const ROWS: usize = 20_000;

/// What kind of relation a doorway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    View,
    Materialized,
    /// A partition, or a table that inherits.
    Child,
}

/// A relation, as `relations.sql` tells of it.
#[derive(Debug, Deserialize)]
struct Relation {
    schema: String,
    name: String,
    kind: char,
    partition: bool,
    events: u32,
    reads: Vec<(String, String)>,
}

/// A relation that shows other tables' rows.
#[derive(Debug)]
struct Door<'a> {
    kind: Kind,
    table: &'a Table,
    partition: bool,
    /// The commands that the server can carry out through it, as bits.
    events: u32,
    /// The subjects whose rows it shows.
    reads: Vec<usize>,
    /// A hidden row of the first of them, for a child whose parent's rows do not get into it.
    planted: Option<String>,
}

/// One way to hidden rows.
#[derive(Debug)]
struct Way {
    command: Command,
    persona: usize,
    subjects: BTreeSet<usize>,
    steps: Vec<Step>,
}

/// Tries every doorway of a kind.
///
/// # Errors
/// Where the catalogue is not read, or a row cannot be made.
pub(super) async fn probe(site: &Site<'_>, kind: Kind) -> Result<Probed, Failure> {
    let relations: Vec<Relation> = site.catalogue(include_str!("relations.sql")).await?;
    let letter = match kind {
        Kind::View => 'v',
        Kind::Materialized => 'm',
        Kind::Child => 'c',
    };
    let mut probed = Probed::default();
    let mut disturbances = None;
    for relation in relations.into_iter().filter(|relation| relation.kind == letter) {
        let Some(door) = Door::new(site, kind, relation)? else { continue };
        if let Some(why) = door.out_of_reach(site) {
            probed.not_tried.push(NotRun { what: door.object(), why });
            continue;
        }
        probed.tried += 1;
        if site.target && kind == Kind::Materialized {
            // Nobody may read it, and refreshing it would wait.
            continue;
        }
        if disturbances.is_none() && kind != Kind::Child {
            disturbances = Some(Disturbances::find(site).await?);
        }
        door.examine(site, disturbances.as_ref(), &mut probed).await?;
    }
    Ok(probed)
}

impl<'a> Door<'a> {
    fn new(site: &Site<'a>, kind: Kind, relation: Relation) -> Result<Option<Self>, Failure> {
        let name = TableName { schema: relation.schema, name: relation.name };
        let Some(table) = site.setting.catalog.table(&name) else { return Ok(None) };
        let behind = |table: &TableName| {
            relation.reads.iter().any(|(schema, name)| *schema == table.schema && *name == table.name)
        };
        let subjects = site.subjects().iter().enumerate();
        let reads: Vec<usize> =
            subjects.filter(|(_, subject)| behind(&subject.access.table)).map(|(index, _)| index).collect();
        if kind == Kind::Child && reads.is_empty() {
            // Its parent is no table of the contract, so neither are its rows.
            return Ok(None);
        }
        let mut door =
            Self { kind, table, partition: relation.partition, events: relation.events, reads, planted: None };
        door.planted = door.plant(site)?;
        Ok(Some(door))
    }

    /// A row of another account, put into the child itself.
    fn plant(&self, site: &Site<'_>) -> Result<Option<String>, Failure> {
        let (Kind::Child, false, Some(&subject)) = (self.kind, self.partition, self.reads.first()) else {
            return Ok(None);
        };
        let Some(persona) = site.knockers().next() else { return Ok(None) };
        let Some((_, values)) = disturb::fresh(site, subject, persona, true, "child")? else { return Ok(None) };
        Ok(Some(insert_sql(self.table, &values)))
    }

    fn name(&self) -> String {
        quote_table(&self.table.name())
    }

    fn object(&self) -> String {
        let word = match self.kind {
            Kind::View => "view",
            Kind::Materialized => "materialized view",
            Kind::Child => "table",
        };
        format!("{word} {}.{}", self.table.schema, self.table.table)
    }

    /// Why it is not tried on a target.
    fn out_of_reach(&self, site: &Site<'_>) -> Option<String> {
        if !site.target {
            return None;
        }
        if self.kind == Kind::Materialized {
            let role = |persona: usize| &site.persona(persona).actor.role;
            if site.roles().into_iter().all(|persona| self.readable(role(persona)).is_empty()) {
                return None;
            }
            let why = "what it shows was there before, and it is refreshed on a scratch database only";
            return Some(why.to_owned());
        }
        if self.reads.is_empty() || self.reads.iter().any(|&subject| !site.whole[subject]) {
            return Some("it reads tables of more rows than are read back on a target".to_owned());
        }
        None
    }

    /// What comes before whoever looks: the rows in it must be those of this moment.
    fn before(&self, claims_of: usize) -> Vec<Step> {
        let refresh = (self.kind == Kind::Materialized).then(|| format!("REFRESH MATERIALIZED VIEW {}", self.name()));
        self.planted.iter().cloned().chain(refresh).map(|sql| Step::privileged(claims_of, sql)).collect()
    }

    /// The columns that `role` may read.
    fn readable(&self, role: &str) -> Vec<&String> {
        let all = self.table.columns.iter().map(|column| &column.name);
        all.filter(|name| self.table.grants(role, Command::Select, std::slice::from_ref(*name))).collect()
    }

    /// Every row of it, of the columns that `role` may read; where there are none of these, of all.
    fn look(&self, role: &str) -> String {
        let mut columns = self.readable(role);
        if columns.is_empty() {
            columns = self.table.columns.iter().map(|column| &column.name).collect();
        }
        let columns: Vec<String> = columns.into_iter().map(|name| format!("d.{}", readable_identifier(name))).collect();
        format!("SELECT ROW({})::text FROM {} d LIMIT {ROWS}", columns.join(", "), self.name())
    }

    /// Whether the contract promises these rows themselves to everyone.
    fn promised(&self, site: &Site<'_>, persona: usize) -> bool {
        let contract = site.setting.contract;
        let access = contract.table(&self.table.name());
        access.is_some_and(|access| {
            contract.promises(access, &site.persona(persona).actor, Standing::Other, Command::Select)
        })
    }

    async fn examine(
        &self,
        site: &Site<'_>,
        disturbances: Option<&Disturbances>,
        probed: &mut Probed,
    ) -> Result<(), Failure> {
        let mut ways = Vec::new();
        see::look(self, site, disturbances, &mut ways, probed).await;
        write::attempt(self, site, &mut ways, probed).await?;
        probed.holes.extend(self.hole(site, ways));
        Ok(())
    }

    /// All ways through this doorway, as one hole.
    fn hole(&self, site: &Site<'_>, ways: Vec<Way>) -> Option<Hole> {
        let tables: BTreeSet<usize> = ways.iter().flat_map(|way| way.subjects.iter().copied()).collect();
        let tables: Vec<String> = tables.into_iter().map(|subject| site.table(subject).name().to_string()).collect();
        let commands: BTreeSet<Command> = ways.iter().map(|way| way.command).collect();
        let commands: Vec<&str> = commands.into_iter().map(Command::word).collect();
        let way = ways.into_iter().next()?;
        let place = way.subjects.first().map(|&subject| site.subjects()[subject].access.place.clone());
        let name = self.name();
        let (why, remedy) = match self.kind {
            Kind::View => (
                "a view runs as its owner, whom row security does not hold, unless it has security_invoker",
                format!("ALTER VIEW {name} SET (security_invoker = on); and grant on it only what is meant"),
            ),
            Kind::Materialized => (
                "a materialized view has no row security: after REFRESH it holds everybody's rows",
                format!(
                    "REVOKE ALL ON {name} FROM PUBLIC, anon, authenticated; serve it through what filters by owner"
                ),
            ),
            Kind::Child => (
                "row security is each table's own: the parent's policies are not asked where the child is named",
                format!(
                    "REVOKE ALL ON {name} FROM PUBLIC, anon, authenticated; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
                ),
            ),
        };
        Some(Hole {
            finding: Finding {
                check: String::new(),
                what: format!(
                    "{} reaches rows of {} that the contract hides, through {}: {}",
                    site.persona(way.persona).name,
                    tables.join(", "),
                    self.object(),
                    commands.join(", ")
                ),
                object: self.object(),
                place,
                why: why.to_owned(),
                remedy,
                reach: Reach::Api,
                statement: String::new(),
                attempts: Vec::new(),
            },
            steps: way.steps,
        })
    }
}

/// What the last step came to, or why a step before it failed.
fn last(results: Results) -> Result<crate::db::session::StatementResult, String> {
    let mut last = Err("no answer".to_owned());
    for result in results {
        last = Ok(result.map_err(|error| error.to_string())?);
    }
    last
}
