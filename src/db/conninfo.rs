//! Where to connect: a minimal stand-in until the full one is merged.

use crate::model::failure::Failure;
use std::str::FromStr;

/// Connection settings.
pub struct Conninfo(pub(crate) tokio_postgres::Config);

impl Conninfo {
    /// The flag, else DATABASE_URL.
    ///
    /// # Errors
    /// Nothing is set, or it doesn't parse.
    pub fn resolve(flag: Option<&str>, var: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let text = match flag {
            Some(flag) => flag.to_owned(),
            None => var("DATABASE_URL").ok_or_else(|| Failure::usage("no database is named"))?,
        };
        if text.is_empty() {
            return Err(Failure::usage("the database URL is empty"));
        }
        let config =
            tokio_postgres::Config::from_str(&text).map_err(|_| Failure::usage("the database URL does not parse"))?;
        Ok(Self(config))
    }
}
