//! The stand-in: what makes a plain PostgreSQL look like Supabase. Its SQL is in `fixtures/stand-in/`.

use crate::db::conninfo::Conninfo;
use crate::db::error::DbError;
use crate::db::quote;
use crate::db::session::Session;
use crate::model::failure::{Failure, FailureKind};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const ROLES: &str = include_str!("../../fixtures/stand-in/roles.sql");
const SCHEMAS: &str = include_str!("../../fixtures/stand-in/schemas.sql");
const AUTH: &str = include_str!("../../fixtures/stand-in/auth.sql");
const LEGACY: &str = include_str!("../../fixtures/stand-in/regime-legacy.sql");
const EXPLICIT: &str = include_str!("../../fixtures/stand-in/regime-explicit.sql");
const UNINSTALL: &str = include_str!("../../fixtures/stand-in/uninstall.sql");
const INSPECT: &str = include_str!("../../fixtures/stand-in/inspect.sql");
const CHECK_ROLES: &str = include_str!("../../fixtures/stand-in/check-roles.sql");

/// The role that runs migrations, `postgres` on a real Supabase: not a superuser, and not held by row security.
pub const MIGRATOR: &str = "migrator";
/// The role that PostgREST connects as, and so the application's.
pub const AUTHENTICATOR: &str = "authenticator";
/// The comment on schema auth, and on the roles, that says they are this tool's. `fixtures/stand-in/` writes it.
pub const MARK: &str = "made by chartchek-db (stand-in for Supabase)";
/// Retried when another session makes roles without taking the lock: duplicate_object, unique_violation, deadlock, and
/// the internal error "tuple concurrently updated".
const RACES: &[&str] = &["42710", "23505", "40P01", "XX000"];
const ATTEMPTS: u32 = 8;

/// What the API's roles get on objects that are made later: Supabase changed it on 2026-05-30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Regime {
    /// Everything, as in projects made before.
    Legacy,
    /// No rows, as in projects made since.
    #[default]
    Explicit,
}

impl Regime {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::Legacy, Self::Explicit];

    /// Its word in flags and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Explicit => "explicit",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Legacy => LEGACY,
            Self::Explicit => EXPLICIT,
        }
    }
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Regime {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|regime| regime.word() == word);
        found.ok_or_else(|| "it is either legacy or explicit".to_owned())
    }
}

/// What a database is, as far as the stand-in asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The session's role is a superuser.
    pub superuser: bool,
    /// Tables of GoTrue (Supabase's auth server), or Supabase's extension supautils: a Supabase, hosted or not.
    pub supabase: bool,
    /// Supabase's own development stack: the database carries the JWT secret that every local stack has.
    pub local_stack: bool,
    /// A schema auth exists.
    pub auth: bool,
    /// Schema auth carries the mark of this tool.
    pub marked: bool,
    /// A role named migrator or authenticator exists that does not carry the mark.
    pub foreign_login: bool,
}

/// Looks at the session's database; changes nothing.
///
/// # Errors
/// The connection broke.
pub async fn inspect(session: &Session) -> Result<Found, Failure> {
    let rows = session.text_rows(INSPECT).await.map_err(|error| error.into_failure("cannot look at the database"))?;
    let is =
        |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|value| value.as_deref() == Some("t"));
    Ok(Found {
        superuser: is(0),
        supabase: is(1),
        local_stack: is(2),
        auth: is(3),
        marked: is(4),
        foreign_login: is(5),
    })
}

/// Installs the stand-in in the session's database, with the default privileges of `regime`; once more changes nothing
/// but the regime. Without a password the migrator can log in only where the server asks for none.
///
/// # Errors
/// Usage: the database is a Supabase, or has a schema auth that this tool did not make. Connection: the session's role
/// is no superuser. Inconclusive: roles of Supabase's names exist and are not like Supabase's, or the server refused.
pub async fn install(session: &Session, regime: Regime, migrator_password: Option<&str>) -> Result<(), Failure> {
    let endpoint = session.endpoint();
    let found = inspect(session).await?;
    if found.supabase {
        return Err(Failure::usage(format!("the database {endpoint} is a Supabase: it needs no stand-in"))
            .note("tables of Supabase's auth server, or its extension supautils, were found; nothing was changed")
            .help("run `chartchek-db migrate` on it"));
    }
    if found.auth && !found.marked {
        return Err(Failure::usage(format!("the database {endpoint} has a schema auth that this tool did not make"))
            .note(format!("a schema auth of the stand-in carries the comment \"{MARK}\"; nothing was changed"))
            .help("give the tool an empty database, or drop that schema if it is a stand-in of your own"));
    }
    if !found.superuser {
        return Err(Failure::new(
            FailureKind::Connection,
            format!("the role {} may not install the stand-in: it is no superuser", endpoint.user),
        )
        .note("the stand-in makes a role that row security does not hold (BYPASSRLS), which takes a superuser")
        .help("connect as the superuser, which in the container image `postgres` is the role postgres"));
    }
    if found.foreign_login && migrator_password.is_some() {
        return Err(Failure::usage("this server has a role migrator or authenticator that this tool did not make")
            .note("its password would be changed, under whoever uses it; nothing was changed")
            .help("rename or drop that role, or use another server"));
    }

    let script = format!("{ROLES}\n{SCHEMAS}\n{AUTH}\n{}", regime.sql());
    alone(session, &script).await.map_err(|error| error.into_failure("the stand-in could not be installed"))?;
    check_roles(session).await?;
    if let Some(password) = migrator_password {
        set_password(session, MIGRATOR, password).await?;
    }
    Ok(())
}

/// Lets `role` log in with `password`. The server is sent a SCRAM verifier: the password stands in no statement, so in
/// no log.
///
/// # Errors
/// The server refused.
pub async fn set_password(session: &Session, role: &str, password: &str) -> Result<(), Failure> {
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let sql = format!("ALTER ROLE {} PASSWORD {}", quote::identifier(role), quote::literal(&verifier));
    alone(session, &sql).await.map_err(|error| error.into_failure(&format!("the password of {role} could not be set")))
}

/// Runs statements that touch roles in one transaction, under a lock that holds on the whole cluster: advisory locks
/// reach no other database. Whoever changes roles without it is met by trying again.
async fn alone(session: &Session, sql: &str) -> Result<(), DbError> {
    let script = format!("BEGIN; LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;\n{sql};\nCOMMIT;");
    let mut attempt = 1;
    loop {
        let Err(error) = session.batch(&script).await else { return Ok(()) };
        session.batch("ROLLBACK").await?;
        if attempt == ATTEMPTS || !RACES.contains(&error.code.as_str()) {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt))).await;
        attempt += 1;
    }
}

/// How `role` connects where the superuser's `target` does, and its password. The password is derived from the
/// superuser's: two databases of one server share their roles, so preparing the second must not lock out the first.
pub fn login(target: &Conninfo, role: &str) -> (Conninfo, String) {
    let mut hash = Sha256::new();
    for part in [b"chartchek-db stand-in".as_slice(), role.as_bytes(), target.password().unwrap_or_default().as_bytes()]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let password: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (target.with_user_password(role, Some(&password)), password)
}

/// Takes away what [`install`] and the migrator made in the session's database: all that the migrator owns, schema auth,
/// and the API roles' rights. Roles stay, since they are the whole server's and other databases may use them.
///
/// # Errors
/// Usage: the database is a Supabase, or does not carry the mark. Connection: the session's role is no superuser.
pub async fn uninstall(session: &Session) -> Result<(), Failure> {
    let endpoint = session.endpoint();
    let found = inspect(session).await?;
    if found.supabase || !found.marked {
        return Err(Failure::usage(format!("nothing in the database {endpoint} was made by `dev up`")).note(format!(
            "a database that it made has a schema auth with the comment \"{MARK}\"; nothing was changed"
        )));
    }
    if !found.superuser {
        return Err(Failure::new(
            FailureKind::Connection,
            format!("the role {} may not take the stand-in away: it is no superuser", endpoint.user),
        ));
    }
    session.batch(UNINSTALL).await.map_err(|error| error.into_failure("the stand-in could not be taken away"))
}

/// The SHA-256 of everything that [`install`] runs: a template made with another stand-in is another template.
pub(crate) fn fingerprint(regime: Regime) -> String {
    let mut hash = Sha256::new();
    for part in [ROLES, SCHEMAS, AUTH, regime.sql()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Roles that were there before are left as they are, so they are held against Supabase's here.
async fn check_roles(session: &Session) -> Result<(), Failure> {
    let rows = session
        .text_rows(CHECK_ROLES)
        .await
        .map_err(|error| error.into_failure("the roles of the stand-in could not be checked"))?;
    let mut wrong = rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).peekable();
    if wrong.peek().is_none() {
        return Ok(());
    }
    let failure = Failure::new(
        FailureKind::Inconclusive,
        "roles of this server have Supabase's names and are not like Supabase's",
    );
    Err(wrong.fold(failure, Failure::note).help("use a server without these roles, or drop them there"))
}
