//! Further personas: tokens that differ from an actor's own in one respect, which must not make them more.
//!
//! A token that holds claims of several actors is promised what the one actor is that it fits: the contract is refused
//! where a token could fit two, so that claims which contradict each other always leave at most one. An admin who is
//! signed in anonymously is therefore an anonymous sign-in, and nothing of what an admin is promised is due.

use super::{Persona, claims, persona};
use crate::db::impersonate;
use crate::model::access::{Actor, Contract};
use crate::model::catalog::Catalog;
use serde_json::{Map, Value, json};

/// The further personas. `main` is the actor whose accounts own rows, and `account` that one's first.
pub(super) fn cast(contract: &Contract, catalog: &Catalog, main: &Actor, account: Option<&Persona>) -> Vec<Persona> {
    let mut further = several_at_once(contract, catalog);
    let narrow = |name: &str, actor: &Actor| Persona {
        narrow: true,
        ..persona(&format!("{}-{name}", main.name), actor, true, false, true, catalog)
    };
    further.push(Persona { exists: false, ..narrow("unknown", main) });
    let forged = Actor { claims: forged(contract, main), ..main.clone() };
    further.push(Persona { actor: main.clone(), ..narrow("forged", &forged) });
    if let Some(account) = account {
        further.push(legacy(&format!("{}-legacy", main.name), account, catalog));
    }
    further
}

/// For each two actors of one role whose claims contradict each other: a token of the first that has the second's
/// claims too, as far as they leave it the first's.
fn several_at_once(contract: &Contract, catalog: &Catalog) -> Vec<Persona> {
    let mut personas: Vec<Persona> = Vec::new();
    for actor in contract.actors.iter().filter(|actor| contract.is_person(actor)) {
        for other in contract.actors.iter().filter(|other| other.role == actor.role && other.name != actor.name) {
            let mut both = other.claims.clone();
            overlay(&mut both, &actor.claims);
            // The one it fits is `actor` itself, unless one that extends it asks for just these.
            let fits = contract.actors.iter().filter(|fit| fit.role == actor.role && holds(&both, &fit.claims));
            let Some(fits) = fits.max_by_key(|fit| generation(contract, fit)) else { continue };
            if both == actor.claims || fits.name != actor.name {
                continue;
            }
            let name = format!("{}-with-{}-claims", actor.name, other.name);
            let token = Actor { claims: both, ..actor.clone() };
            let persona = persona(&name, &token, true, false, true, catalog);
            personas.push(Persona { actor: actor.clone(), narrow: true, ..persona });
        }
    }
    personas
}

/// Puts `over` over `claims`, object by object.
fn overlay(claims: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (claims.get_mut(key), value) {
            (Some(Value::Object(claims)), Value::Object(over)) => overlay(claims, over),
            _ => {
                claims.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Whether a token with `claims` has all of `wanted`.
fn holds(claims: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(key, wanted)| match (claims.get(key), wanted) {
        (Some(Value::Object(claims)), Value::Object(wanted)) => holds(claims, wanted),
        (claim, wanted) => claim == Some(wanted),
    })
}

/// How many actors it extends, one through the other.
fn generation(contract: &Contract, actor: &Actor) -> usize {
    let mut current = Some(actor);
    let mut count = 0;
    while let Some(base) = current.and_then(|actor| actor.extends.as_deref()) {
        count += 1;
        if count > contract.actors.len() {
            break;
        }
        current = contract.actor(base);
    }
    count
}

/// The claims of `actor`, with everything in `user_metadata`, which its holder writes, that could make it more: what
/// other actors' tokens hold, and what applications commonly ask for.
fn forged(contract: &Contract, actor: &Actor) -> Map<String, Value> {
    let common = json!({"role": "admin", "roles": ["admin"], "is_admin": true, "admin": true, "user_role": "admin"});
    let mut metadata = Map::new();
    if let Value::Object(common) = common {
        metadata = common;
    }
    for other in contract.actors.iter().filter(|other| other.name != actor.name) {
        overlay(&mut metadata, &other.claims);
        // As if the claim were looked for in the wrong one of the two.
        if let Some(Value::Object(inner)) = other.claims.get("app_metadata") {
            overlay(&mut metadata, inner);
        }
    }
    let mut claims = actor.claims.clone();
    claims.insert("user_metadata".to_owned(), Value::Object(metadata));
    claims
}

/// The same account by a request that sets each claim as a parameter of its own too, as PostgREST did before 9.
fn legacy(name: &str, account: &Persona, catalog: &Catalog) -> Persona {
    let actor = &account.actor;
    let claims = claims(&account.name, actor, account.uid.as_deref());
    let settings = catalog.role(&actor.role).map(|role| role.settings.as_slice()).unwrap_or_default();
    let parameters = impersonate::legacy_request(&actor.role, &account.claims, &claims, settings);
    Persona {
        name: name.to_owned(),
        actor: actor.clone(),
        uid: account.uid.clone(),
        claims: account.claims.clone(),
        become_sql: impersonate::set(&parameters),
        parameters,
        has_rows: false,
        tries: true,
        narrow: true,
        exists: true,
    }
}
