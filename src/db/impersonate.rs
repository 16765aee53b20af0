//! Becoming an actor: what PostgREST does at the start of a request's transaction.

use crate::db::error::DbError;
use crate::db::quote::literal;
use serde_json::{Map, Value};

/// A parameter to set, and its value.
pub type Parameter = (String, String);

/// The parameters that make the rest of the transaction (or savepoint) a request of `role` with `claims`, the way
/// PostgREST 12 to 14 do it: search_path, the role's own settings, role, claims, request.*. Legacy
/// `request.jwt.claim.*` parameters, which would go before the claims, are cleared.
///
/// `settings` are the role's settings from `pg_db_role_setting`; `claims` is the JSON text of the token's claims.
pub fn request(role: &str, claims: &str, settings: &[Parameter]) -> Vec<Parameter> {
    let mut parameters = vec![owned(("search_path", "\"public\", \"extensions\""))];
    parameters.extend(settings.iter().cloned());
    parameters.push(owned((ROLE, role)));
    parameters.extend(claims_parameters(claims).map(owned));
    let of_request =
        [("request.method", "POST"), ("request.path", "/"), ("request.headers", "{}"), ("request.cookies", "{}")];
    parameters.extend(of_request.map(owned));
    parameters
}

/// As [`request`], with each claim in a parameter of its own too, `request.jwt.claim.sub` and so on, as PostgREST set
/// them before version 9 and with `db-use-legacy-gucs` until 12. Claims whose names can't be part of a parameter's are
/// left out.
pub fn legacy_request(role: &str, claims: &str, each: &Map<String, Value>, settings: &[Parameter]) -> Vec<Parameter> {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let legacy = each.iter().filter(|(name, _)| plain(name)).map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (format!("request.jwt.claim.{name}"), text)
    });
    let mut parameters = request(role, claims, settings);
    parameters.extend(legacy);
    parameters
}

/// The SQL of one `SELECT` that sets parameters for the rest of the transaction (or savepoint).
pub fn set(parameters: &[Parameter]) -> String {
    let calls: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("set_config({}, {}, true)", literal(name), literal(value)))
        .collect();
    format!("SELECT {}", calls.join(", "))
}

/// The parameter that makes the session a role.
pub const ROLE: &str = "role";

/// The parameter that holds the claims.
pub const CLAIMS: &str = "request.jwt.claims";

/// As [`request`], without changing the role: the session's own role with the actor's claims, as the SQL of one `SELECT`.
pub fn claims_only(claims: &str) -> String {
    set(&claims_parameters(claims).map(owned))
}

fn claims_parameters(claims: &str) -> [(&'static str, &str); 5] {
    [
        ("request.jwt.claim.sub", ""),
        ("request.jwt.claim.role", ""),
        ("request.jwt.claim.email", ""),
        ("request.jwt.claim", ""),
        (CLAIMS, claims),
    ]
}

fn owned((name, value): (&str, &str)) -> Parameter {
    (name.to_owned(), value.to_owned())
}

/// What a failure to become someone is told as: a refusal of that must not read as a refusal of what they do. A lost
/// connection, and a transaction that had failed before (25P02), stay what they are.
pub(crate) fn not_impersonated(error: DbError) -> DbError {
    if error.is_connection() || error.code == "25P02" {
        return error;
    }
    DbError {
        code: "XX000".to_owned(),
        message: format!("the actor could not be impersonated: {error}"),
        ..DbError::default()
    }
}
