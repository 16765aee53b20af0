//! What the contract leaves open: tables of exposed schemas without a promise, roles that are no actor's, and rows that
//! RLS does not guard.

mod roles;
pub(crate) mod tried;

use crate::contract::validate;
use crate::db::session::Session;
use crate::db::{quote, sqlstate};
use crate::model::access::{Command, Contract, Ownership, Standing as RowStanding};
use crate::model::catalog::{Catalog, Server};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::persona::Persona;
use crate::verify::world::build::Standing;
use crate::verify::world::{Setting, Subject, World};
use futures::future::join_all;
use std::collections::BTreeMap;

/// Tables that are neither promised nor exempted, exemptions of tables that are gone, roles that reach something and are
/// no actor's, and an exposure of the API that differs from the contract's.
pub(crate) fn findings(contract: &Contract, catalog: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in validate::uncovered(contract, catalog) {
        findings.push(Finding {
            check: "uncovered-table".to_owned(),
            what: format!("{table} is in an exposed schema, and the contract says nothing of it"),
            object: table.to_string(),
            place: None,
            why: "what is not promised is not tried, so nothing is known of who reaches it".to_owned(),
            remedy: format!("add [tables.{table}] to policies/access.toml, or [[exempt]] with a reason"),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        });
    }
    for exempt in contract.exempts.iter().filter(|exempt| catalog.table(&exempt.table).is_none()) {
        findings.push(Finding {
            check: "stale-exemption".to_owned(),
            what: format!("{} is exempted, and there is no such table", exempt.table),
            object: exempt.table.to_string(),
            place: Some(exempt.place.clone()),
            why: "an exemption of nothing would silently cover a table of that name".to_owned(),
            remedy: "remove the [[exempt]]".to_owned(),
            reach: Reach::Sql,
            statement: String::new(),
            attempts: Vec::new(),
        });
    }
    findings.extend(roles::uncovered(contract, catalog));
    findings.extend(exposure(contract, &catalog.server));
    findings
}

/// What no row of the world shows: another's rows, where there are owners, and those of one's own that are promised.
pub(crate) fn without_rows(setting: &Setting<'_>, world: &World, standing: &Standing) -> Vec<NotRun> {
    let mut lacking = Vec::new();
    for (index, subject) in setting.subjects.iter().enumerate() {
        let access = &subject.access;
        if access.ownership == Ownership::None {
            continue;
        }
        for (which, persona) in setting.personas.iter().enumerate() {
            if !persona.tries || persona.actor.bypasses_rls {
                continue;
            }
            let sight = &standing.sights[index][which];
            let keys = world.keyed(index, &standing.keys);
            let there: Vec<RowStanding> =
                keys.filter_map(|(_, key)| sight.get(key)).map(|seen| seen.standing).collect();
            let own = persona.has_rows
                && Command::PROMISABLE
                    .iter()
                    .any(|command| setting.contract.promises(access, &persona.actor, RowStanding::Own, *command));
            for (wanted, due) in [(RowStanding::Own, own), (RowStanding::Other, true)] {
                if due && !there.contains(&wanted) {
                    let what = format!("{}/{}/{wanted}", access.table, persona.name);
                    let why = "no row of that standing could be made from the catalogue".to_owned();
                    lacking.push(NotRun { what, why });
                }
            }
        }
    }
    lacking
}

/// What the server exposes, where it says so, against what the contract says.
fn exposure(contract: &Contract, server: &Server) -> Vec<Finding> {
    let mut findings = Vec::new();
    let finding = |check: &str, what: String, remedy: &str| Finding {
        check: check.to_owned(),
        what,
        object: "pgrst".to_owned(),
        place: None,
        why: "the contract covers only what it knows to be exposed".to_owned(),
        remedy: remedy.to_owned(),
        reach: Reach::Api,
        statement: String::new(),
        attempts: Vec::new(),
    };
    if let Some(exposed) = &server.exposed_schemas {
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).filter(|schema| !schema.is_empty()).collect();
        for schema in exposed.iter().filter(|schema| !contract.schemas.iter().any(|known| known == *schema)) {
            findings.push(finding(
                "exposed-schema",
                format!("the API exposes schema {schema}, and the contract does not name it"),
                "add it to api.schemas in policies/access.toml, or stop exposing it",
            ));
        }
    }
    if server.pre_request.is_some() && server.pre_request != contract.pre_request {
        findings.push(finding(
            "pre-request",
            format!(
                "the API calls {} before each request, and the contract says otherwise",
                server.pre_request.as_deref().unwrap_or("none")
            ),
            "name it in api.pre_request in policies/access.toml",
        ));
    }
    findings
}

/// Tables on which RLS does not apply to a role that the contract does not declare to bypass it: there every zero is
/// an accident, and every row is open to whoever has a grant.
///
/// # Errors
/// Where the server does not answer.
pub(crate) async fn inactive_row_security(
    session: &Session,
    subjects: &[Subject],
    personas: &[Persona],
) -> Result<Vec<Finding>, Failure> {
    let mut asked = Vec::new();
    let mut roles: Vec<&str> = Vec::new();
    for persona in personas.iter().filter(|persona| !persona.actor.bypasses_rls) {
        if roles.contains(&persona.actor.role.as_str()) {
            continue;
        }
        roles.push(&persona.actor.role);
        asked.extend(subjects.iter().map(|subject| (persona, subject)));
    }
    let answers = join_all(asked.iter().map(|(persona, subject)| async move {
        let table = quote::literal(&format!(
            "{}.{}",
            quote::identifier(&subject.access.table.schema),
            quote::identifier(&subject.access.table.name)
        ));
        let become_sql = format!("ROLLBACK TO SAVEPOINT attempt; {}", persona.become_sql);
        let sql = format!("SELECT row_security_active({table})::text");
        let (became, answer) = futures::join!(session.batch(&become_sql), session.statement(&sql));
        became.and(answer)
    }))
    .await;
    // One finding a table: its roles are told of together.
    let mut open: BTreeMap<String, (&Subject, Vec<&str>)> = BTreeMap::new();
    for ((persona, subject), answer) in asked.into_iter().zip(answers) {
        let active = match answer {
            Ok(answer) => answer.keys.first().cloned().flatten().is_some_and(|text| text == "true"),
            // Without USAGE on the schema the role cannot even name the table.
            Err(error) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => true,
            Err(error) => return Err(error.into_failure("row_security_active() was not answered")),
        };
        if !active {
            let roles = open.entry(subject.access.table.to_string()).or_insert((subject, Vec::new()));
            roles.1.push(&persona.actor.role);
        }
    }
    let finding = |(table, (subject, roles)): (String, (&Subject, Vec<&str>))| Finding {
        check: "row-security-inactive".to_owned(),
        what: format!("row-level security does not apply to {} on {table}", roles.join(", ")),
        place: Some(subject.access.place.clone()),
        why: "RLS is off on the table, or the role bypasses it: every row is open to whoever has a grant".to_owned(),
        remedy: format!(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY; and see that {} has neither BYPASSRLS nor SUPERUSER",
            quote::table(&subject.access.table),
            roles.join(", ")
        ),
        reach: Reach::Api,
        statement: format!("SELECT row_security_active('{table}')"),
        object: table,
        attempts: Vec::new(),
    };
    Ok(open.into_iter().map(finding).collect())
}
