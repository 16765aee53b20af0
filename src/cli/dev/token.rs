//! Signs tokens as Supabase's local stack does: HS256, with the secret that every local stack has.

use crate::cli::dev::users::Actor;
use crate::model::failure::Failure;
use jsonwebtoken::{EncodingKey, Header};

/// Supabase's development secret: public, in its documentation, the same on every developer's machine.
pub(super) const SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// A token for `actor` that is valid for so many hours from now.
///
/// # Errors
/// The claims can't be written as JSON.
pub(super) fn sign(actor: &Actor, hours: u32) -> Result<String, Failure> {
    jsonwebtoken::encode(&Header::default(), &actor.claims(hours), &EncodingKey::from_secret(SECRET.as_bytes()))
        .map_err(|error| Failure::usage("the token could not be signed").note(error.to_string()))
}
