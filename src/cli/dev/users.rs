//! The development users, as `auth.users` has them: the seed is the only place that says who they are.

use crate::db::session::Session;
use crate::model::failure::Failure;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Listed by `up`; a database that is used may have any number.
const LISTED: usize = 12;
const USERS: &str = "\
    SELECT id::text, \
           coalesce(raw_user_meta_data ->> 'name', split_part(email, '@', 1), id::text), \
           coalesce(email, ''), coalesce(phone, ''), is_anonymous::text, \
           coalesce(raw_app_meta_data, '{}')::text, coalesce(raw_user_meta_data, '{}')::text \
    FROM auth.users WHERE deleted_at IS NULL ORDER BY created_at, email NULLS LAST, id";

/// Someone to act as: a database role, and the claims of a token without its times.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    /// The name in the seed; `anon` or `service` for those without an account.
    pub(super) name: String,
    /// The account's id; empty for those without.
    pub(super) id: String,
    /// anon, authenticated or service_role.
    pub(super) role: &'static str,
    claims: Map<String, Value>,
}

impl Actor {
    fn without_account(name: &str, role: &'static str) -> Self {
        let claims = Map::from_iter([("role".to_owned(), json!(role))]);
        Self { name: name.to_owned(), id: String::new(), role, claims }
    }

    /// For the list: `user`, `admin` or whatever its app_metadata says, `anonymous`.
    pub(super) fn kind(&self) -> String {
        if self.claims.get("is_anonymous") == Some(&Value::Bool(true)) {
            return "anonymous sign-in".to_owned();
        }
        let role = self.claims.get("app_metadata").and_then(|metadata| metadata.get("role"));
        role.and_then(Value::as_str).unwrap_or("user").to_owned()
    }

    /// The claims of a token that is issued now: what PostgREST hands to the database.
    pub(super) fn claims(&self, hours: u32) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now + u64::from(hours) * 3600));
        if !self.id.is_empty() {
            let anonymous = claims.get("is_anonymous") == Some(&Value::Bool(true));
            let method = if anonymous { "anonymous" } else { "password" };
            claims.insert("amr".to_owned(), json!([{ "method": method, "timestamp": now }]));
        }
        Value::Object(claims)
    }
}

/// The oldest accounts: those of the seed.
///
/// # Errors
/// There is no `auth.users`, or no right to it.
pub(super) async fn list(session: &Session) -> Result<Vec<Actor>, Failure> {
    let mut users = all(session).await?;
    users.truncate(LISTED);
    Ok(users)
}

/// The account of that name, e-mail address or id; or `anon`, `service`.
///
/// # Errors
/// Usage: there is no such user; the help lists those that there are. As [`list`].
pub(super) async fn find(session: &Session, wanted: &str) -> Result<Actor, Failure> {
    match wanted {
        "anon" => return Ok(Actor::without_account("anon", "anon")),
        "service" | "service_role" => return Ok(Actor::without_account("service", "service_role")),
        _ => {}
    }
    let users = all(session).await?;
    let email = |user: &Actor| user.claims.get("email").and_then(Value::as_str).unwrap_or_default().to_owned();
    let found = users.iter().find(|user| user.name == wanted || user.id == wanted || email(user) == wanted);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = users.iter().take(LISTED).map(|user| user.name.as_str()).collect();
        Failure::usage(format!("there is no development user {wanted}")).help(match names.is_empty() {
            true => "auth.users is empty: `chartchek-db dev up` seeds it".to_owned(),
            false => format!("there are {}, and anon and service", names.join(", ")),
        })
    })
}

async fn all(session: &Session) -> Result<Vec<Actor>, Failure> {
    let rows = session
        .text_rows(USERS)
        .await
        .map_err(|error| error.into_failure("the development users could not be read from auth.users"))?;
    Ok(rows.into_iter().map(|row| actor(&row)).collect())
}

/// Production's claims, but for the times.
fn actor(row: &[Option<String>]) -> Actor {
    let text = |column: usize| row.get(column).cloned().flatten().unwrap_or_default();
    let metadata = |column: usize| serde_json::from_str::<Value>(&text(column)).unwrap_or_else(|_| json!({}));
    let id = text(0);
    let claims = json!({
        "aud": "authenticated",
        "exp": 0,
        "iat": 0,
        "sub": id,
        "email": text(2),
        "phone": text(3),
        "role": "authenticated",
        "aal": "aal1",
        "amr": [],
        // The same at every call, so that two tokens of one user are one session.
        "session_id": uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, id.as_bytes()).to_string(),
        "is_anonymous": text(4) == "true",
        "app_metadata": metadata(5),
        "user_metadata": metadata(6),
    });
    let claims = match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    };
    Actor { name: text(1), id, role: "authenticated", claims }
}
