//! Becoming an actor: what PostgREST does at the start of a request's transaction.

use crate::db::quote::literal;
use serde_json::{Map, Value};

/// The SQL of one `SELECT` that makes the rest of the transaction (or savepoint) a request of `role` with `claims`,
/// the way PostgREST 12 to 14 do it: search_path, the role's own settings, role, claims, request.*; all
/// transaction-local. Legacy `request.jwt.claim.*` parameters, which would go before the claims, are cleared.
///
/// `settings` are the role's settings from `pg_db_role_setting`; `claims` is the JSON text of the token's claims.
pub fn request(role: &str, claims: &str, settings: &[(String, String)]) -> String {
    select(&request_parameters(role, claims, settings))
}

/// As [`request`], with each claim in a parameter of its own too, `request.jwt.claim.sub` and so on, as PostgREST set
/// them before version 9 and with `db-use-legacy-gucs` until 12. Claims whose names can't be part of a parameter's are
/// left out.
pub fn legacy_request(role: &str, claims: &str, each: &Map<String, Value>, settings: &[(String, String)]) -> String {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let legacy: Vec<(String, String)> = each
        .iter()
        .filter(|(name, _)| plain(name))
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (format!("request.jwt.claim.{name}"), text)
        })
        .collect();
    let mut parameters = request_parameters(role, claims, settings);
    parameters.extend(legacy.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    select(&parameters)
}

fn request_parameters<'a>(role: &'a str, claims: &'a str, settings: &'a [(String, String)]) -> Vec<(&'a str, &'a str)> {
    let mut parameters: Vec<(&str, &str)> = vec![("search_path", "\"public\", \"extensions\"")];
    parameters.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    parameters.push(("role", role));
    parameters.extend(claims_parameters(claims));
    parameters.extend([
        ("request.method", "POST"),
        ("request.path", "/"),
        ("request.headers", "{}"),
        ("request.cookies", "{}"),
    ]);
    parameters
}

/// As [`request`], without changing the role: the session's own role with the actor's claims.
pub fn claims_only(claims: &str) -> String {
    select(&claims_parameters(claims))
}

fn claims_parameters(claims: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("request.jwt.claim.sub", ""),
        ("request.jwt.claim.role", ""),
        ("request.jwt.claim.email", ""),
        ("request.jwt.claim", ""),
        ("request.jwt.claims", claims),
    ]
}

fn select(parameters: &[(&str, &str)]) -> String {
    let calls: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("set_config({}, {}, true)", literal(name), literal(value)))
        .collect();
    format!("SELECT {}", calls.join(", "))
}
