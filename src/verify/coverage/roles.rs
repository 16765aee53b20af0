//! Database roles that a client can be, that no actor of the contract is, and that reach something all the same.

use crate::db::quote;
use crate::model::access::Contract;
use crate::model::catalog::{Catalog, Reached, Role};
use crate::model::finding::{Finding, Reach};

/// One finding for each such role. Nothing is tried as them: nothing is promised to them, so a grant is enough.
pub(super) fn uncovered(contract: &Contract, catalog: &Catalog) -> Vec<Finding> {
    let exempt = |reached: &&Reached| !contract.is_exempt(&reached.name());
    let reaching = catalog.roles.iter().filter_map(|role| {
        let reached: Vec<&Reached> = role.reaches.iter().filter(exempt).collect();
        let first = *reached.first()?;
        Some(finding(role, first, reached.len() - 1))
    });
    reaching.collect()
}

fn finding(role: &Role, first: &Reached, more: usize) -> Finding {
    let name = first.name();
    let others = match more {
        0 => String::new(),
        1 => " and 1 other".to_owned(),
        more => format!(" and {more} others"),
    };
    let (how, reach) = if role.assumed_by_api {
        ("a request can be made as", Reach::Api)
    } else {
        ("a client can log in as", Reach::Sql)
    };
    let policies = if role.bypass_rls || role.superuser { "no policy holds for it, and" } else { "" };
    let why = format!("{policies} whatever it reaches, nobody promised and nothing was tried as it");
    Finding {
        check: "uncovered-role".to_owned(),
        what: format!(
            "{how} {}, which is no actor of the contract and may {} {name}{others}",
            role.name,
            first.commands.join(", ")
        ),
        object: role.name.clone(),
        place: None,
        why: why.trim_start().to_owned(),
        remedy: format!(
            "REVOKE ALL ON {} FROM {}, or name an actor with that role in \
             policies/access.toml",
            quote::table(&name),
            quote::readable_identifier(&role.name)
        ),
        reach,
        statement: String::new(),
        attempts: Vec::new(),
    }
}
