//! Opens psql in this process' place, as the migrator or as one of the development users.

use crate::cli::dev::users;
use crate::cli::exit::Exit;
use crate::db::conninfo::Conninfo;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// How long the claims of an interactive session say that they are valid.
const HOURS: u32 = 24;

/// What it takes to open psql.
pub(super) struct Psql {
    /// For looking up the user.
    pub(super) session: Session,
    /// The program.
    pub(super) program: PathBuf,
    /// Without `--as`.
    pub(super) migrator: Conninfo,
    /// With `--as`: a role that has no rights of its own.
    pub(super) application: Conninfo,
}

impl Psql {
    /// Becomes psql; returns only if that fails. Role and claims come with the connection itself (PGOPTIONS), so RESET
    /// ROLE and RESET ALL lead back to them, and no psqlrc is read that could do otherwise.
    ///
    /// # Errors
    /// Usage: there is no such user. Connection: there is no psql.
    pub(super) async fn open(self, who: Option<&str>, rest: &[String]) -> Result<Exit, Failure> {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        let conninfo = match who {
            None => &self.migrator,
            Some(who) => {
                let actor = users::find(&self.session, who).await?;
                let options =
                    [("role", actor.role.to_owned()), ("request.jwt.claims", actor.claims(HOURS).to_string())]
                        .map(|(name, value)| format!("-c {name}={}", escape(&value)))
                        .join(" ");
                command.env("PGOPTIONS", options).arg("--no-psqlrc");
                command.arg(format!("--set=PROMPT1={}@%/%R%x%# ", actor.name.replace('%', "")));
                &self.application
            }
        };
        self.session.close().await;
        // Not on the command line, where every user of the machine could read it.
        if let Some(password) = conninfo.password() {
            command.env("PGPASSWORD", password);
        }
        let url = conninfo.with_user_password(conninfo.user(), None).url();
        // psql takes Ctrl-C and the terminal as if it had been called itself.
        let error = command.arg("--dbname").arg(url).args(rest).exec();
        Err(Failure::new(FailureKind::Connection, format!("{} can't be run", self.program.display()))
            .note(error.to_string())
            .help("install PostgreSQL's client programs: `apt-get install postgresql-client`, `brew install libpq`"))
    }
}

/// Within PGOPTIONS a backslash keeps a space, or a backslash, from ending a value.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        if character == '\\' || character.is_whitespace() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_keep_their_spaces() {
        assert_eq!(escape(r#"{"a": "b\"c"}"#), r#"{"a":\ "b\\"c"}"#);
    }
}
