//! What must hold between the parts of a contract, and needs no database to be seen.

use crate::contract::reader::suggest;
use crate::contract::{locate, owner};
use crate::model::access::{Actor, Contract, OwnerPath, Ownership, Standing, TableAccess, TableName};
use crate::model::failure::Failure;
use crate::model::source::Place;
use serde_json::{Map, Value};

/// Everything that is wrong, in no order.
pub(super) fn check(contract: &Contract) -> Vec<Failure> {
    let mut failures = actors(contract);
    for table in &contract.tables {
        let parents = parents(contract, table);
        // Standings follow from the ways to an owner, so these must lead somewhere.
        if parents.is_empty() {
            failures.extend(standings(contract, table));
        }
        failures.extend(parents);
    }
    for exempt in &contract.exempts {
        if let Some(table) = contract.table(&exempt.table) {
            failures.push(
                Failure::usage(format!("table `{}` is both promised and exempted", exempt.table))
                    .at(locate::label(&exempt.place, "exempted here"))
                    .note(format!("promised at {}", table.place.location()))
                    .help("keep one of the two"),
            );
        }
    }
    failures
}

/// The place of one path in the contract.
pub(super) fn path_place(contract: &Contract, table: &TableAccess, path: &OwnerPath, label: &str) -> Place {
    locate::value(&table.place, "owner", label, |text| {
        owner::parse_path(text, &contract.schemas).is_ok_and(|found| found == *path)
    })
}

/// Tokens that fit two actors leave open which of two promises holds.
fn actors(contract: &Contract) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (index, second) in contract.actors.iter().enumerate() {
        for first in contract.actors.iter().take(index) {
            if first.role != second.role || !compatible(&first.claims, &second.claims) {
                continue;
            }
            let related = extends(contract, first, second) || extends(contract, second, first);
            if related && first.claims != second.claims {
                continue;
            }
            let (what, help) = if related {
                (
                    format!("`{}` and `{}` have the same role and claims", first.name, second.name),
                    "an actor that extends another needs a claim of its own",
                )
            } else {
                (
                    format!("a token can fit both `{}` and `{}`", first.name, second.name),
                    "give them claims that contradict each other, or let one extend the other",
                )
            };
            failures.push(
                Failure::usage(what)
                    .at(locate::label(&second.place, "which of the two is it?"))
                    .note(format!(
                        "both have the role `{}`; `{}` is at {}",
                        first.role,
                        first.name,
                        first.place.location()
                    ))
                    .help(help),
            );
        }
    }
    failures
}

/// Whether one token can hold both.
fn compatible(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    left.iter().all(|(key, left)| match (left, right.get(key)) {
        (_, None) => true,
        (Value::Object(left), Some(Value::Object(right))) => compatible(left, right),
        (left, Some(right)) => left == right,
    })
}

fn extends(contract: &Contract, actor: &Actor, base: &Actor) -> bool {
    let mut current = Some(actor);
    for _ in 0..=contract.actors.len() {
        let Some(name) = current.and_then(|actor| actor.extends.as_deref()) else { return false };
        if name == base.name {
            return true;
        }
        current = contract.actor(name);
    }
    false
}

/// Parents that the contract does not know, that have no owner themselves, or that lead back.
fn parents(contract: &Contract, access: &TableAccess) -> Vec<Failure> {
    let mut failures = Vec::new();
    for path in access.ownership.paths() {
        let OwnerPath::Parent { parent, .. } = path else { continue };
        match contract.table(parent) {
            None => {
                let failure =
                    Failure::usage(format!("the parent `{parent}` of table `{}` is not in the contract", access.table))
                        .at(path_place(contract, access, path, "unknown table"));
                let names: Vec<String> = contract.tables.iter().map(|table| table.table.to_string()).collect();
                failures.push(suggest(failure, &parent.to_string(), names.iter().map(String::as_str)));
            }
            Some(found) if found.ownership == Ownership::None => failures.push(
                Failure::usage(format!("the parent `{parent}` of table `{}` has no owner", access.table))
                    .at(path_place(contract, access, path, "leads to no owner"))
                    .help("name a parent whose rows have owners, or write owner = \"none\""),
            ),
            Some(_) => {
                if let Some(cycle) = cycle(contract, &access.table, parent) {
                    let names: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
                    failures.push(
                        Failure::usage(format!(
                            "the owner of table `{}` is its own: {}",
                            access.table,
                            names.join(" -> ")
                        ))
                        .at(path_place(contract, access, path, "leads back"))
                        .help("one of these tables needs a column that holds the owner"),
                    );
                }
            }
        }
    }
    failures
}

/// The way from `start` by `next` back to `start`.
fn cycle(contract: &Contract, start: &TableName, next: &TableName) -> Option<Vec<TableName>> {
    fn walk(contract: &Contract, start: &TableName, at: &TableName, way: &mut Vec<TableName>) -> bool {
        if way.contains(at) && at != start {
            return false;
        }
        way.push(at.clone());
        if at == start {
            return true;
        }
        let parents = contract.table(at).map_or(&[][..], |table| table.ownership.paths());
        for path in parents {
            if let OwnerPath::Parent { parent, .. } = path
                && walk(contract, start, parent, way)
            {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut way = vec![start.clone()];
    walk(contract, start, next, &mut way).then_some(way)
}

/// How many owners a row can have, or `None` where a condition decides.
fn owners(contract: &Contract, access: &TableAccess, depth: usize) -> Option<usize> {
    if depth > contract.tables.len() || matches!(access.ownership, Ownership::Sql(_)) {
        return None;
    }
    let mut sum = 0_usize;
    for path in access.ownership.paths() {
        sum = sum.saturating_add(match path {
            OwnerPath::Column(_) => 1,
            OwnerPath::Parent { parent, .. } => owners(contract, contract.table(parent)?, depth + 1)?,
        });
    }
    Some(sum)
}

/// Promises for standings that no row of the table can have: nothing would ever be tried for them.
fn standings(contract: &Contract, access: &TableAccess) -> Vec<Failure> {
    let mut failures = Vec::new();
    let owners = owners(contract, access, 0);
    for (actor, promise) in &access.promises {
        for standing in promise.keys() {
            let (why, help) = match (&access.ownership, owners, standing) {
                (_, _, Standing::Any) => continue,
                (Ownership::None, _, _) => {
                    ("its rows have no owner", "write `all` for the rows of a table without owners")
                }
                (_, None, Standing::Orphan | Standing::Mixed) => {
                    ("a condition tells own rows from others, and no more", "promise `own`, `other` or `all`")
                }
                (_, Some(1), Standing::Mixed) => {
                    ("its rows have one owner each", "promise `own`, `other`, `orphan` or `all`")
                }
                _ => continue,
            };
            failures.push(
                Failure::usage(format!("no row of table `{}` is `{standing}` to `{actor}`: {why}", access.table))
                    .at(locate::value(&access.place, actor, "promised to nobody's rows", |_| false))
                    .help(help),
            );
        }
    }
    failures
}
