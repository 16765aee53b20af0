//! The catalogue as flat facts: of every object every property, as canonical text that two servers print alike.

use crate::db::quote::literal;
use crate::db::session::Session;
use crate::model::access::Contract;
use crate::model::failure::{Failure, FailureKind};
use std::collections::{BTreeMap, BTreeSet};

/// What every query of the folder begins with. Needs the settings that [`read`] makes, in the same transaction.
pub(crate) const COMMON: &str = include_str!("facts/common.sql");
/// One query for a group of kinds; a new kind is a new file and a line here.
const QUERIES: &[&str] = &[
    include_str!("facts/relations.sql"),
    include_str!("facts/columns.sql"),
    include_str!("facts/constraints.sql"),
    include_str!("facts/triggers.sql"),
    include_str!("facts/functions.sql"),
    include_str!("facts/types.sql"),
    include_str!("facts/policies.sql"),
    include_str!("facts/grants.sql"),
    include_str!("facts/default_privileges.sql"),
    include_str!("facts/roles.sql"),
    include_str!("facts/others.sql"),
];
/// How many columns each of them gives.
const COLUMNS: usize = 7;
/// Schemas that the platform brings: what stands in them is not ours.
const PLATFORM: &[&str] = &["auth", "extensions", "public"];
/// The role through which the API logs in; no actor has it.
const AUTHENTICATOR: &str = "authenticator";

/// What is read: the same on both sides of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The schemas whose objects are ours.
    pub schemas: Vec<String>,
    /// The API's roles.
    pub roles: Vec<String>,
    /// The older of the majors that are compared: rights that it does not know are left out.
    pub major: u32,
}

/// One property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its canonical text.
    pub value: String,
    /// The statement that makes it so; empty where there is no simple one.
    pub mend: String,
    /// The statement that takes it away; empty where there is none that is safe to suggest.
    pub undo: String,
}

/// One object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Kind and name of what it belongs to; empty where it stands alone.
    pub parent: String,
    /// Its properties by name; the one without a name is its definition, and every object has it.
    pub properties: BTreeMap<String, Property>,
}

/// Kind and name: `policy`, `p on public.t`.
pub type Key = (String, String);

/// The facts of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The role that migrations run as here: what `@migrator@` stands for.
    pub migrator: String,
    /// The database's name: what `@database@` stands for.
    pub database: String,
    /// The objects.
    pub objects: BTreeMap<Key, Object>,
}

impl Facts {
    /// The object that `parent` names, with its key. A kind is one word or two.
    pub fn named(&self, parent: &str) -> Option<(&Key, &Object)> {
        let spaces = parent.match_indices(' ').take(2);
        spaces
            .filter_map(|(at, _)| Some((parent.get(..at)?.to_owned(), parent.get(at + 1..)?.to_owned())))
            .find_map(|key| self.objects.get_key_value(&key))
    }

    /// Kind and name of everything there is, as parents are written.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.objects.keys().map(|(kind, name)| format!("{kind} {name}")).collect()
    }
}

/// The server's major version.
///
/// # Errors
/// The connection broke.
pub async fn major(session: &Session) -> Result<u32, Failure> {
    let rows = text_rows(session, "SELECT current_setting('server_version_num')::int / 10000").await?;
    rows.into_iter()
        .flatten()
        .flatten()
        .next()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::new(FailureKind::Inconclusive, "the server does not say its version"))
}

/// What is compared for a database that the migrations made: the contract's schemas and those that the migrations made.
///
/// # Errors
/// The connection broke.
pub async fn scope(made: &Session, contract: &Contract, major: u32) -> Result<Scope, Failure> {
    let rows = text_rows(
        made,
        "SELECT nspname::text FROM pg_catalog.pg_namespace \
         WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1",
    )
    .await?;
    let own = rows.into_iter().flatten().flatten().filter(|name| !PLATFORM.contains(&name.as_str()));
    let schemas: BTreeSet<String> = contract.schemas.iter().cloned().chain(own).collect();
    let roles = contract.actors.iter().map(|actor| actor.role.clone());
    let roles: BTreeSet<String> = roles.chain([AUTHENTICATOR.to_owned()]).collect();
    Ok(Scope { schemas: schemas.into_iter().collect(), roles: roles.into_iter().collect(), major })
}

/// Reads the facts in one message, so in one round trip; inside the session's transaction where there is one.
///
/// # Errors
/// The server refuses to tell, or tells something that is not understood.
pub async fn read(session: &Session, scope: &Scope) -> Result<Facts, Failure> {
    let mut sql = format!(
        "SELECT pg_catalog.set_config('search_path', '', true), pg_catalog.set_config('chartchek_db.schemas', {}, true), \
           pg_catalog.set_config('chartchek_db.roles', {}, true), pg_catalog.set_config('chartchek_db.major', {}, true), \
           pg_catalog.set_config('chartchek_db.migrator', coalesce(( \
             SELECT r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_roles r ON r.oid = c.relowner \
             WHERE n.nspname = 'chartchek_meta' AND c.relname = 'refinery_schema_history'), ( \
             SELECT r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE n.nspname = ANY ({}::text[]) \
             GROUP BY r.rolname ORDER BY count(*) DESC, r.rolname LIMIT 1), current_user)::text, true), pg_catalog.current_database()::text;\n",
        literal(&array(&scope.schemas)),
        literal(&array(&scope.roles)),
        literal(&scope.major.to_string()),
        literal(&array(&scope.schemas)),
    );
    for query in QUERIES {
        sql.push_str(&format!("{COMMON}\n{query};\n"));
    }
    let mut facts = Facts::default();
    for row in text_rows(session, &sql).await? {
        if row.len() != COLUMNS {
            let mut last = row.into_iter().flatten().rev();
            facts.database = last.next().unwrap_or_default();
            facts.migrator = last.next().unwrap_or_default();
            continue;
        }
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || cells.next().unwrap_or_default();
        let (key, parent, property) = ((next(), next()), next(), next());
        let value = Property { value: next(), mend: next(), undo: next() };
        let object = facts.objects.entry(key).or_default();
        object.parent = parent;
        object.properties.insert(property, value);
    }
    if facts.objects.is_empty() {
        return Err(Failure::new(FailureKind::Inconclusive, "the catalogue answered nothing"));
    }
    Ok(facts)
}

async fn text_rows(session: &Session, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
    session.text_rows(sql).await.map_err(|error| error.into_failure("the catalogue was not read"))
}

/// The text of an array (PostgreSQL manual, section 8.15.2).
fn array(names: &[String]) -> String {
    let quoted: Vec<String> =
        names.iter().map(|name| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}
