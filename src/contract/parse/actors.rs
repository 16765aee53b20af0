//! `[actors.…]`: who knocks, with what `extends` adds merged in.

use super::{json, named};
use crate::contract::reader::{Reader, Text, get, suggest};
use crate::model::access::Actor;
use crate::model::source::Place;
use serde_json::{Map, Value};
use toml::de::DeTable;

/// The keys of a `[tables.…]` that are no actor's.
pub(super) const TABLE_KEYS: [&str; 3] = ["owner", "owner_sql", "columns"];

/// An actor as it is written.
struct Written {
    name: String,
    place: Place,
    role: Option<String>,
    claims: Map<String, Value>,
    extends: Option<Text>,
    bypasses_rls: bool,
}

/// All actors, in the file's order.
pub(super) fn read(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Vec<Actor> {
    let sections = named(reader, document, "actors");
    if sections.is_empty() {
        let failure = reader
            .failure(0..0, "the contract has no actors", "")
            .help("name at least one: [actors.user] with role = \"authenticated\"");
        reader.report(failure);
    }
    let written: Vec<Written> =
        sections.into_iter().map(|(name, place, table)| actor(reader, name, place, table)).collect();
    written.iter().map(|actor| resolve(reader, actor, &written)).collect()
}

fn actor(reader: &mut Reader<'_>, name: &str, place: Place, table: &DeTable<'_>) -> Written {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if !plain || TABLE_KEYS.contains(&name) {
        let failure = reader
            .failure(place.span.clone(), format!("`{name}` can't be an actor's name"), "")
            .help(format!(
                "a name begins with a lower-case letter, holds letters, digits, - and _ (it stands in the ids of attempts), and is none of {}",
                TABLE_KEYS.join(", ")
            ));
        reader.report(failure);
    }
    reader.check_keys("an actor", table, &["role", "claims", "extends", "bypasses_rls"]);
    let mut role = get(table, "role").map(|entry| reader.string(entry.value, "the role").unwrap_or_default().0);
    let extends = get(table, "extends").map(|entry| reader.string(entry.value, "extends"));
    if extends == Some(None) {
        // Reported just now; that there is no role follows from it.
        role = role.or_else(|| Some(String::new()));
    }
    let extends = extends.flatten();
    let bypasses_rls =
        get(table, "bypasses_rls").and_then(|entry| reader.boolean(entry.value, "bypasses_rls")).unwrap_or(false);
    Written { name: name.to_owned(), place, role, claims: claims(reader, table), extends, bypasses_rls }
}

fn claims(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Map<String, Value> {
    let mut claims = Map::new();
    let Some(entry) = get(table, "claims") else { return claims };
    let Some(table) = reader.table(entry, "claims") else { return claims };
    for entry in crate::contract::reader::entries(table) {
        let name = entry.key();
        if matches!(name, "sub" | "role") {
            let failure = reader
                .failure(entry.key_span(), format!("the claim `{name}` can't be given"), "")
                .help("`sub` is the id of whoever is tried, and `role` follows from the actor's role");
            reader.report(failure);
            continue;
        }
        match json(entry.value) {
            Ok(value) if !holds_nul(&value) && !name.contains('\0') => {
                claims.insert(name.to_owned(), value);
            }
            Ok(_) => {
                reader.check_nul("\0", entry.value.span(), "a claim");
            }
            Err((span, why)) => {
                let failure = reader.failure(span, format!("the claim `{name}` is no JSON"), why);
                reader.report(failure);
            }
        }
    }
    claims
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(object) => object.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// The actor with the role and claims of those it extends; its own go before theirs.
fn resolve(reader: &mut Reader<'_>, written: &Written, all: &[Written]) -> Actor {
    let mut role = written.role.clone();
    let mut claims = written.claims.clone();
    let mut chain = vec![written];
    let mut current = written;
    while let Some((name, span)) = &current.extends {
        let Some(base) = all.iter().find(|actor| actor.name == *name) else {
            // Reported once, at the actor that says so.
            if chain.len() == 1 {
                let failure = reader.failure(
                    span.clone(),
                    format!("`{}` extends an unknown actor `{name}`", written.name),
                    "unknown actor",
                );
                let others = all.iter().map(|actor| actor.name.as_str()).filter(|other| *other != written.name);
                reader.report(suggest(failure, name, others));
            }
            break;
        };
        if base.name == written.name {
            let mut names: Vec<&str> = chain.iter().map(|actor| actor.name.as_str()).collect();
            names.push(&base.name);
            let failure = reader
                .failure(
                    span.clone(),
                    format!("`{}` extends itself: {}", written.name, names.join(" -> ")),
                    "leads back",
                )
                .help("take `extends` from one of them");
            reader.report(failure);
            break;
        }
        if chain.iter().any(|actor| actor.name == base.name) {
            // A cycle further up, reported at its own members.
            break;
        }
        if chain.len() == 1 && (base.bypasses_rls || written.bypasses_rls) {
            let failure = reader
                .failure(
                    span.clone(),
                    format!("`{}` can't extend `{name}`: one of them bypasses row-level security", written.name),
                    "",
                )
                .help("an actor that bypasses row-level security is expected to do everything, whatever is promised");
            reader.report(failure);
        }
        role = role.or_else(|| base.role.clone());
        merge(&mut claims, &base.claims);
        chain.push(base);
        current = base;
    }
    let role = role.unwrap_or_else(|| {
        let unknown = current.extends.is_some();
        if !unknown {
            let failure = reader
                .failure(written.place.span.clone(), format!("actor `{}` has no role", written.name), "")
                .help("add role = \"…\", the database role of its requests, or extends = \"…\"");
            reader.report(failure);
        }
        String::new()
    });
    Actor {
        name: written.name.clone(),
        role,
        claims,
        extends: written.extends.as_ref().map(|(name, _)| name.clone()),
        bypasses_rls: written.bypasses_rls,
        place: written.place.clone(),
    }
}

/// Adds to `claims` what `base` has and it has not, object by object.
fn merge(claims: &mut Map<String, Value>, base: &Map<String, Value>) {
    for (key, value) in base {
        match (claims.get_mut(key), value) {
            (None, value) => {
                claims.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(own)), Value::Object(base)) => merge(own, base),
            (Some(_), _) => {}
        }
    }
}
