//! The contract then and now: promises, rules of columns, owners, actors, accepted findings, exempted tables.

use super::Compared;
use crate::model::access;
use crate::model::source::Place;
use crate::report::json::contract::{Accept, Contract, Table};

const WIDENED: &str = "the contract promises more than it did: what was a leak then is held now";

/// `contract` is `now`, with the places in its file.
pub(super) fn compare(before: &Contract, now: &Contract, contract: &access::Contract, compared: &mut Compared) {
    for schema in &before.schemas {
        if !now.schemas.contains(schema) {
            let what = format!("schema {schema} is not verified any more");
            compared.loosened("lost-coverage", &format!("schema {schema}"), what, WIDENED, None);
        }
    }
    actors(before, now, contract, compared);
    for table in &now.tables {
        let place = contract.tables.iter().find(|access| access.table.to_string() == table.table);
        let Some(place) = place.map(|access| &access.place) else { continue };
        match before.tables.iter().find(|known| known.table == table.table) {
            Some(known) => of_table(known, table, place, compared),
            None => compared.comparison.add("new-table", &table.table, told(table), false),
        }
    }
    for known in before.tables.iter().filter(|known| now.tables.iter().all(|table| table.table != known.table)) {
        compared.tightened(&known.table, format!("nothing is promised on {} any more", known.table));
    }
    accepts(before, now, contract, compared);
    exempts(before, now, contract, compared);
}

/// What is promised on a table that was not there.
fn told(table: &Table) -> String {
    let promise = |promise: &crate::report::json::contract::Promise| {
        format!("{} may {} {} rows", promise.actor, promise.commands.join(", "), promise.standing)
    };
    let promises: Vec<String> = table.promises.iter().map(promise).collect();
    let promises = if promises.is_empty() { "nothing is promised".to_owned() } else { promises.join("; ") };
    format!("table {} is new in the contract: {promises}", table.table)
}

impl Table {
    fn promises(&self, actor: &str, standing: &str, command: &str) -> bool {
        self.promises.iter().any(|promise| {
            promise.actor == actor
                && (promise.standing == standing || promise.standing == "any")
                && promise.commands.iter().any(|promised| promised == command)
        })
    }

    /// What this promises and `other` does not: table/actor/standing/command, and in words.
    fn beyond(&self, other: &Self) -> Vec<(String, String)> {
        let of = |promise: &crate::report::json::contract::Promise| {
            let (actor, standing) = (promise.actor.clone(), promise.standing.clone());
            let more = promise.commands.iter().filter(|command| !other.promises(&actor, &standing, command));
            more.map(|command| {
                let object = format!("{}/{actor}/{standing}/{command}", self.table);
                (object, format!("{actor} to {command} {standing} rows of {}", self.table))
            })
            .collect::<Vec<_>>()
        };
        self.promises.iter().flat_map(of).collect()
    }

    fn rule(&self, column: &str) -> Option<&[String]> {
        let found = self.columns.iter().find(|rule| rule.column == column);
        found.map(|rule| rule.client_may_set.as_slice())
    }
}

fn of_table(before: &Table, now: &Table, place: &Place, compared: &mut Compared) {
    if before.owner != now.owner {
        let what =
            format!("whose a row of {} is, is said differently: {}, before {}", now.table, now.owner, before.owner);
        let why = "every promise on its own and others' rows means other rows now";
        compared.loosened("changed-owner", &now.table, what, why, Some(place));
    }
    for (object, more) in now.beyond(before) {
        compared.loosened(
            "widened-promise",
            &object,
            format!("promised now, and not before: {more}"),
            WIDENED,
            Some(place),
        );
    }
    for (object, less) in before.beyond(now) {
        compared.tightened(&object, format!("not promised any more: {less}"));
    }
    for rule in &before.columns {
        let object = format!("{}.{}", now.table, rule.column);
        let Some(values) = now.rule(&rule.column) else {
            let what = format!("clients may give {object} any value now: it was under a rule");
            compared.loosened("widened-promise", &object, what, WIDENED, Some(place));
            continue;
        };
        let more: Vec<&str> =
            values.iter().filter(|value| !rule.client_may_set.contains(value)).map(String::as_str).collect();
        if !more.is_empty() {
            let what = format!("clients may set {object} to {}, and might not before", more.join(", "));
            compared.loosened("widened-promise", &object, what, WIDENED, Some(place));
        }
        if rule.client_may_set.iter().any(|value| !values.contains(value)) {
            compared.tightened(&object, format!("clients may set {object} to less than before"));
        }
    }
    for rule in now.columns.iter().filter(|rule| before.rule(&rule.column).is_none()) {
        let object = format!("{}.{}", now.table, rule.column);
        compared.tightened(&object, format!("{object} is under a rule now"));
    }
}

/// Actors whose tokens are others than they were; what new ones are promised is told of with the tables.
fn actors(before: &Contract, now: &Contract, contract: &access::Contract, compared: &mut Compared) {
    for actor in &now.actors {
        let place = contract.actor(&actor.name).map(|actor| &actor.place);
        let Some(known) = before.actors.iter().find(|known| known.name == actor.name) else {
            if actor.bypasses_rls {
                let what = format!("actor {} is new, and may do everything", actor.name);
                compared.loosened("widened-promise", &actor.name, what, WIDENED, place);
            }
            continue;
        };
        if actor.bypasses_rls && !known.bypasses_rls {
            let what = format!("actor {} may do everything now: it bypasses RLS", actor.name);
            compared.loosened("widened-promise", &actor.name, what, WIDENED, place);
        }
        if actor.role != known.role || actor.claims != known.claims {
            let what = format!("actor {} is someone else: its role or its claims were changed", actor.name);
            let why = "what it was promised is promised to other tokens now";
            compared.loosened("changed-actor", &actor.name, what, why, place);
        }
    }
}

fn accepts(before: &Contract, now: &Contract, contract: &access::Contract, compared: &mut Compared) {
    let same = |one: &Accept, other: &Accept| {
        (&one.kind, &one.check, &one.object) == (&other.kind, &other.check, &other.object)
    };
    for accept in &now.accepts {
        let is = |it: &&access::Accept| {
            (it.kind.word(), &it.check, &it.object) == (accept.kind.as_str(), &accept.check, &accept.object)
        };
        let place = contract.accepts.iter().find(is).map(|it| &it.place);
        let object = format!("{}/{}", accept.check, accept.object);
        let what = match before.accepts.iter().find(|known| same(known, accept)) {
            None => format!("{object} is accepted now: {}", accept.reason),
            Some(known) if lasts_longer(accept, known) => format!("{object} is accepted for longer than before"),
            Some(_) => continue,
        };
        compared.loosened("new-accept", &object, what, "a finding that failed runs before does not any more", place);
    }
    for known in before.accepts.iter().filter(|known| !now.accepts.iter().any(|accept| same(known, accept))) {
        let object = format!("{}/{}", known.check, known.object);
        compared.tightened(&object, format!("{object} is not accepted any more"));
    }
}

/// Dates are `YYYY-MM-DD`, so that they are in order as text.
fn lasts_longer(now: &Accept, before: &Accept) -> bool {
    match (&before.expires, &now.expires) {
        (Some(_), None) => true,
        (Some(before), Some(now)) => now > before,
        (None, _) => false,
    }
}

fn exempts(before: &Contract, now: &Contract, contract: &access::Contract, compared: &mut Compared) {
    for exempt in now.exempts.iter().filter(|exempt| before.exempts.iter().all(|known| known.table != exempt.table)) {
        let place = contract.exempts.iter().find(|it| it.table.to_string() == exempt.table).map(|it| &it.place);
        let what = format!("table {} is exempted now: {}", exempt.table, exempt.reason);
        compared.loosened("new-exempt", &exempt.table, what, "nothing is tried on an exempted table", place);
    }
    for known in before.exempts.iter().filter(|known| now.exempts.iter().all(|exempt| exempt.table != known.table)) {
        compared.tightened(&known.table, format!("table {} is not exempted any more", known.table));
    }
}
