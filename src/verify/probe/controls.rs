//! Negative controls of the probes: for a probe of each family a hole is planted in the transaction that is rolled
//! back, and the probe must find it. On a target, where nothing is planted, one probe is made as a role that bypasses
//! RLS, which is the hole.

use super::functions::Secrets;
use super::site::{Known, Site};
use super::{Hole, Probe, definer_function, residual_right, row_security_off, sequence, view};
use crate::db::catalog;
use crate::db::impersonate;
use crate::db::quote::{identifier, table as quote_table};
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::report::Control;
use crate::verify::persona::Persona;
use crate::verify::world::Setting;
use crate::verify::world::rows::Maker;
use std::time::Instant;

/// What planted objects are called.
const NAME: &str = "chartchek_db_control";

/// How many tables are tried until every planted hole is found: a function's answer may hold nothing that can be told
/// from chance on the first.
const TABLES: usize = 3;

/// A probe and the hole that is planted for it: on a table of which rows are hidden from a role.
struct Planted {
    probe: &'static Probe,
    /// The statements, with `$name`, `$table` and `$role` in them.
    sql: &'static str,
}

/// One of each family that the catalogue or the world shows.
const PLANTED: [Planted; 4] = [
    Planted {
        probe: &view::PROBE,
        sql: "CREATE VIEW $name_view AS SELECT * FROM $table; GRANT SELECT ON $name_view TO $role",
    },
    Planted { probe: &residual_right::PROBE, sql: "GRANT TRIGGER ON $table TO $role" },
    Planted { probe: &sequence::PROBE, sql: "CREATE SEQUENCE $name_sequence; GRANT SELECT ON $name_sequence TO $role" },
    Planted {
        probe: &definer_function::PROBE,
        sql: "CREATE FUNCTION $name_function() RETURNS SETOF $table LANGUAGE sql STABLE SECURITY DEFINER \
              SET search_path = '' AS 'SELECT * FROM $table'; GRANT EXECUTE ON FUNCTION $name_function() TO $role",
    },
];

/// Makes those of the probes that are wanted.
pub(crate) async fn make(site: &Site<'_>, wants: impl Fn(&str) -> bool) -> Vec<Control> {
    let started = Instant::now();
    let controls = made(site, wants).await;
    tracing::debug!(milliseconds = started.elapsed().as_millis(), "negative controls of probes");
    controls.unwrap_or_else(|failure| vec![Control::failed("probes", &failure)])
}

async fn made(site: &Site<'_>, wants: impl Fn(&str) -> bool) -> Result<Vec<Control>, Failure> {
    let mut controls = Vec::new();
    if wants(row_security_off::PROBE.name) {
        controls.extend(as_bypassing(site).await);
    }
    let mut left: Vec<&Planted> = PLANTED.iter().filter(|planted| wants(planted.probe.name)).collect();
    if site.target {
        return Ok(controls);
    }
    let mut unnoticed = Vec::new();
    for (subject, persona) in places(site) {
        if left.is_empty() {
            break;
        }
        // What a function answers is told by values that stand nowhere else: not every table has such.
        let telling = Secrets::of(site, persona).tell_of(subject);
        let fits = |hole: &&&Planted| telling || hole.probe.name != definer_function::PROBE.name;
        let holes: Vec<&Planted> = left.iter().filter(fits).copied().collect();
        unnoticed = planted(site, &holes, subject, persona).await?;
        left.retain(|planted| {
            let found =
                unnoticed.iter().position(|control: &Control| control.name == name(planted.probe) && control.noticed);
            controls.extend(found.map(|place| unnoticed.remove(place)));
            found.is_none()
        });
    }
    controls.extend(unnoticed);
    Ok(controls)
}

fn name(probe: &Probe) -> String {
    format!("probe {}", probe.name)
}

/// Tables of which rows are hidden from somebody who may use the schema, each with that persona.
fn places(site: &Site<'_>) -> Vec<(usize, usize)> {
    let hidden = |subject: usize| {
        let table = site.table(subject);
        let from = |persona: &usize| {
            table.schema_usage.contains(&site.persona(*persona).actor.role) && site.hides(subject, *persona)
        };
        let persona = site.knockers().find(from)?;
        site.setting.contract.schemas.contains(&table.schema).then_some((subject, persona))
    };
    (0..site.subjects().len()).filter_map(hidden).take(TABLES).collect()
}

/// The probe that asks whether RLS holds each role, made as one that it does not hold. `None` where no role may read
/// anything, so that there is nothing to ask.
async fn as_bypassing(site: &Site<'_>) -> Option<Control> {
    let probe = &row_security_off::PROBE;
    let bypassing =
        |persona: &Persona| Persona { become_sql: impersonate::claims_only(&persona.claims), ..persona.clone() };
    let personas: Vec<Persona> = site.setting.personas.iter().map(bypassing).collect();
    let setting = Setting { personas: &personas, ..site.setting };
    let site = Site { setting, known: Known::default(), ..*site };
    match (probe.run)(&site).await {
        Ok(probed) if probed.tried == 0 => None,
        Ok(probed) => Some(told(probe, probed.holes.first(), "SET row_security = off by a role that bypasses RLS")),
        Err(failure) => Some(Control::failed(&name(probe), &failure)),
    }
}

/// Plants holes on one table and makes their probes.
async fn planted(site: &Site<'_>, holes: &[&Planted], subject: usize, persona: usize) -> Result<Vec<Control>, Failure> {
    let table = site.table(subject).name();
    let sql: Vec<String> =
        holes.iter().map(|hole| written(hole.sql, &table, &site.persona(persona).actor.role)).collect();
    // The holes stand behind the savepoint that the probes go back to: one of the same name, until it is released.
    let plant = format!(
        "ROLLBACK TO SAVEPOINT attempt; SET LOCAL ROLE NONE; {}; SAVEPOINT attempt; SET LOCAL row_security = off",
        sql.join("; ")
    );
    let plant = site.session.batch(&plant).await;
    plant.map_err(|error| error.into_failure("the negative controls' holes could not be planted"))?;
    let contract = site.setting.contract;
    let roles: Vec<String> = contract.actors.iter().map(|actor| actor.role.clone()).collect();
    let catalog = catalog::read(site.session, &contract.schemas, &roles).await?;
    let setting = Setting { catalog: &catalog, ..site.setting };
    let maker = Maker { catalog: &catalog, ..*site.maker };
    let spoiled = Site { setting, maker: &maker, known: Known::default(), ..*site };
    let mut controls = Vec::new();
    for hole in holes {
        let about = |found: &&Hole| found.finding.object.contains(NAME) || found.finding.object == table.to_string();
        controls.push(match (hole.probe.run)(&spoiled).await {
            Ok(probed) => told(hole.probe, probed.holes.iter().find(about), &format!("a hole planted on {table}")),
            Err(failure) => Control::failed(&name(hole.probe), &failure),
        });
    }
    let back = site.session.batch("RELEASE SAVEPOINT attempt; ROLLBACK TO SAVEPOINT attempt").await;
    back.map_err(|error| error.into_failure("the negative controls' holes could not be taken back"))?;
    Ok(controls)
}

fn written(sql: &str, table: &TableName, role: &str) -> String {
    let name = |kind: &str| quote_table(&TableName { schema: table.schema.clone(), name: format!("{NAME}_{kind}") });
    ["view", "sequence", "function"]
        .iter()
        .fold(sql.to_owned(), |sql, kind| sql.replace(&format!("$name_{kind}"), &name(kind)))
        // In the function's body it stands between quotes.
        .replace("'SELECT * FROM $table'", &crate::db::quote::literal(&format!("SELECT * FROM {}", quote_table(table))))
        .replace("$table", &quote_table(table))
        .replace("$role", &identifier(role))
}

fn told(probe: &Probe, hole: Option<&Hole>, shown_by: &str) -> Control {
    let why = if hole.is_some() { String::new() } else { "the probe did not find it".to_owned() };
    Control { name: name(probe), noticed: hole.is_some(), shown_by: shown_by.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_that_is_not_found_is_told_of_as_such() {
        let control = told(&view::PROBE, None, "a hole planted on charts");
        assert!(!control.noticed && !control.why.is_empty(), "{control:?}");
    }

    #[test]
    fn holes_are_written_for_names_that_need_quotes() {
        let table = TableName { schema: "my api".to_owned(), name: "it's".to_owned() };
        let sql = written(PLANTED[3].sql, &table, "web user");
        assert!(sql.contains("RETURNS SETOF \"my api\".\"it's\" "), "{sql}");
        assert!(sql.contains("AS 'SELECT * FROM \"my api\".\"it''s\"'"), "{sql}");
        assert!(sql.ends_with("ON FUNCTION \"my api\".chartchek_db_control_function() TO \"web user\""), "{sql}");
    }
}
