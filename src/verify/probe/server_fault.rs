//! The server's own faults in row-level security: tried on a schema of the probe's own where that can be, else by the
//! version; and what of this schema leads a request to them.

use super::site::{Results, Site, Step};
use super::{Fault, Hole, Probe, Probed};
use crate::db::error::DbError;
use crate::db::quote::{literal, readable_identifier};
use crate::db::session::StatementResult;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::model::server_fault::{IN_THE_CATALOGUE, SERVER_FAULTS, ServerFault, known};
use std::collections::BTreeMap;

pub(super) const PROBE: Probe = Probe {
    name: "server-fault",
    about: "the server has none of PostgreSQL's known faults in row-level security",
    fault: Fault::Server,
    plants: false,
    run: |site| Box::pin(run(site)),
};

/// How many names a finding shows.
const SHOWN: usize = 5;

/// A fault that can be tried: what to do after the plants, and what the last answer says; `None` where it says nothing.
struct Try {
    fault: &'static str,
    /// As the role that tries; all but the last must succeed, or nothing is shown.
    steps: fn(role: &str) -> Vec<String>,
    is_open: fn(&Result<StatementResult, DbError>) -> Option<bool>,
}

const TRIES: [Try; 3] = [
    Try {
        fault: "CVE-2026-120154",
        steps: |role| {
            let insert = |id: u8, value: &str| {
                format!(
                    "INSERT INTO chartchek_fault.rows AS r VALUES ({id}, {}, 'mine') ON CONFLICT (id) DO UPDATE \
                     SET value = 'mine' WHERE r.value <> '{value}'",
                    literal(role)
                )
            };
            vec![insert(3, "theirs"), insert(2, "theirs")]
        },
        // Mended, the policy refuses the hidden row whatever is asked of it.
        is_open: |last| match last {
            Ok(_) => Some(true),
            Err(error) => (error.code == "42501").then_some(false),
        },
    },
    Try {
        fault: "CVE-2026-16237",
        steps: |role| {
            let insert = |id: u8| {
                format!(
                    "INSERT INTO chartchek_fault.own_rows VALUES ({id}, {}, 'mine') ON CONFLICT (id) DO UPDATE \
                     SET value = 'taken'",
                    literal(role)
                )
            };
            vec![insert(3), insert(2)]
        },
        // Mended: object_not_in_prerequisite_state, the conflicting row is not visible through the view.
        is_open: |last| match last {
            Ok(result) => Some(result.count > 0),
            Err(error) => (error.code == "55000").then_some(false),
        },
    },
    Try {
        fault: "CVE-2025-8713",
        steps: |_role| {
            vec![
                "SELECT value FROM chartchek_fault.parts WHERE value OPERATOR(chartchek_fault.<<<) 'z'".to_owned(),
                "SELECT nullif(current_setting('chartchek.seen', true), '')".to_owned(),
            ]
        },
        is_open: |last| last.as_ref().ok().map(|result| result.keys.iter().any(Option::is_some)),
    },
];

/// Rows of two, a view that shows each their own, a partitioned table with statistics, and an operator that tells what
/// it is given.
const PLANT: [&str; 14] = [
    "CREATE SCHEMA chartchek_fault",
    "CREATE TABLE chartchek_fault.rows (id integer PRIMARY KEY, owner text, value text)",
    "ALTER TABLE chartchek_fault.rows ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON chartchek_fault.rows USING (owner = current_user) WITH CHECK (owner = current_user)",
    "INSERT INTO chartchek_fault.rows VALUES (2, 'another', 'theirs')",
    "CREATE VIEW chartchek_fault.own_rows AS SELECT id, owner, value FROM chartchek_fault.rows WHERE owner = current_user",
    "CREATE TABLE chartchek_fault.parts (id integer, owner text, value text) PARTITION BY RANGE (id)",
    "CREATE TABLE chartchek_fault.part PARTITION OF chartchek_fault.parts FOR VALUES FROM (0) TO (1000)",
    "INSERT INTO chartchek_fault.parts SELECT n, 'another', 'theirs ' || n % 3 FROM generate_series(1, 300) AS n",
    "ALTER TABLE chartchek_fault.parts ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON chartchek_fault.parts USING (owner = current_user)",
    "ANALYZE chartchek_fault.parts",
    "CREATE FUNCTION chartchek_fault.tells(a text, b text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS \
     'BEGIN PERFORM set_config(''chartchek.seen'', a, true); RETURN a < b; END'",
    "CREATE OPERATOR chartchek_fault.<<< \
     (LEFTARG = text, RIGHTARG = text, FUNCTION = chartchek_fault.tells, RESTRICT = scalarltsel)",
];

async fn run(site: &Site<'_>) -> Result<Probed, Failure> {
    // Fault -> what of this schema leads to it.
    let leads: BTreeMap<String, Vec<String>> = site.catalogue(include_str!("server_fault.sql")).await?;
    let mut probed = Probed { tried: SERVER_FAULTS.len(), ..Probed::default() };
    let known = known(&site.setting.catalog.server).unwrap_or_else(|why| {
        probed.not_run.push(NotRun { what: "known faults".to_owned(), why });
        Vec::new()
    });
    let tried = if site.target { BTreeMap::new() } else { try_all(site, &mut probed).await };
    for fault in SERVER_FAULTS {
        let (open, steps) = match tried.get(fault.name) {
            Some((open, steps)) => (*open, steps.clone()),
            None => (known.contains(&fault), Vec::new()),
        };
        if open {
            let names = leads.get(fault.name).map(Vec::as_slice).unwrap_or_default();
            let seen = tried.contains_key(fault.name);
            probed.holes.push(Hole { finding: finding(site, fault, names, seen), steps });
        }
    }
    Ok(probed)
}

/// Tries what can be tried: the fault's name -> whether it is there, and what shows it.
async fn try_all(site: &Site<'_>, probed: &mut Probed) -> BTreeMap<&'static str, (bool, Vec<Step>)> {
    // Whoever has a token, rather than who has none.
    let Some(persona) = site.roles().into_iter().max_by_key(|&persona| site.persona(persona).uid.is_some()) else {
        return BTreeMap::new();
    };
    let role = &site.persona(persona).actor.role;
    let quoted = readable_identifier(role);
    let mut plants: Vec<String> = PLANT.iter().map(|sql| (*sql).to_owned()).collect();
    plants.push(format!("GRANT USAGE ON SCHEMA chartchek_fault TO {quoted}"));
    plants.push(format!("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA chartchek_fault TO {quoted}"));
    plants.push(format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA chartchek_fault TO {quoted}"));
    let scripts: Vec<Vec<Step>> = TRIES
        .iter()
        .map(|attempt| {
            let plants = plants.iter().map(|sql| Step::privileged(persona, sql));
            plants.chain((attempt.steps)(role).into_iter().map(|sql| Step::by(persona, sql))).collect()
        })
        .collect();
    let mut tried = BTreeMap::new();
    for ((attempt, steps), results) in TRIES.iter().zip(&scripts).zip(site.run_all(&scripts).await) {
        match shown(attempt, &results) {
            Ok(open) => {
                tried.insert(attempt.fault, (open, steps.clone()));
            }
            // The version decides instead, but what was to be tried was not.
            Err(why) => probed.doubts.push(NotRun { what: attempt.fault.to_owned(), why }),
        }
    }
    tried
}

/// What a try shows, or why it shows nothing.
fn shown(attempt: &Try, results: &Results) -> Result<bool, String> {
    let (last, before) = results.split_last().ok_or("no answer")?;
    if let Some(error) = before.iter().find_map(|result| result.as_ref().err()) {
        return Err(error.to_string());
    }
    (attempt.is_open)(last).ok_or_else(|| match last {
        Err(error) => error.to_string(),
        Ok(_) => "the answer was not understood".to_owned(),
    })
}

fn finding(site: &Site<'_>, fault: &ServerFault, names: &[String], seen: bool) -> Finding {
    let server = &site.setting.catalog.server;
    let how = if seen { "seen on tables made for it" } else { "told by the server's version" };
    let how = if fault.name == IN_THE_CATALOGUE { "told by the views' definition" } else { how };
    let mut listed = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        listed = format!("{listed} and {} more", names.len() - SHOWN);
    }
    let (reach, here) = if names.is_empty() {
        (Reach::Sql, format!("here nothing leads a request to it (it takes {})", fault.through))
    } else if names.iter().all(|name| name.starts_with("view ")) {
        (Reach::Api, format!("a request reaches it through {listed}"))
    } else if fault.name == IN_THE_CATALOGUE {
        (Reach::Sql, format!("what it shows here is of {listed}"))
    } else {
        (Reach::Function, format!("a request reaches it through {listed}"))
    };
    Finding { why: format!("{how}; {here}"), reach, ..fault.finding(server) }
}
