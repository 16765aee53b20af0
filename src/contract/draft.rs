//! A first contract for a database that has none, guessed from its foreign keys, grants and policies: a draft, to be
//! read by someone who knows what was meant. What the policies allow is not what should be allowed.

use crate::contract::owner;
use crate::db::catalog;
use crate::db::quote;
use crate::db::session::Session;
use crate::model::access::{Command, TableName};
use crate::model::catalog::{Catalog, Table};
use crate::model::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The roles that the API's requests run as, and what the draft calls who has them.
const ACTORS: [(&str, &str); 3] = [("anon", "anon"), ("user", "authenticated"), ("service", "service_role")];

/// Columns that hold an owner's id by their name, the likelier first.
const OWNER_NAMES: [&str; 8] =
    ["user_id", "owner_id", "owner", "uid", "account_id", "profile_id", "created_by", "author_id"];

/// A permissive policy, as far as the draft reads it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Policy {
    schema: String,
    table: String,
    name: String,
    /// `pg_policy.polcmd`: r, a, w, d or *.
    command: String,
    roles: Vec<String>,
    using: Option<String>,
    check: Option<String>,
}

/// Drafts a contract for what `session` is connected to, in TOML. `schemas` are those that the API exposes; where it is
/// empty, those that the server says (`pgrst.db_schemas`), else `public`.
///
/// # Errors
/// Usage where the API's roles or all tables are missing; the server's.
pub async fn draft(session: &Session, schemas: &[String]) -> Result<String, Failure> {
    let roles: Vec<String> = ACTORS.iter().map(|(_, role)| (*role).to_owned()).collect();
    let mut schemas = schemas.to_vec();
    let mut catalog = catalog::read(session, if schemas.is_empty() { &[] } else { &schemas }, &roles).await?;
    if schemas.is_empty() {
        let exposed = catalog.server.exposed_schemas.clone().unwrap_or_else(|| "public".to_owned());
        schemas = exposed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        catalog = catalog::read(session, &schemas, &roles).await?;
    }
    if ACTORS.iter().all(|(_, role)| catalog.role(role).is_none()) {
        return Err(Failure::usage("there is none of the roles anon, authenticated and service_role")
            .help("on a plain PostgreSQL make them first: chartchek-db dev up --stand-in-only --database-url URL"));
    }
    let policies = catalog::document(session, include_str!("draft.sql"), &schemas, &roles).await?;
    write(&catalog, &schemas, policies)
}

fn write(catalog: &Catalog, schemas: &[String], policies: Vec<Policy>) -> Result<String, Failure> {
    let tables: Vec<&Table> =
        catalog.tables.iter().filter(|table| schemas.contains(&table.schema) && is_table(table)).collect();
    if tables.is_empty() {
        return Err(Failure::usage(format!("there is no table in {}", schemas.join(", ")))
            .help("name the schemas that the API exposes: --schema NAME"));
    }
    let mut of_table: BTreeMap<TableName, Vec<Policy>> = BTreeMap::new();
    for policy in policies {
        let name = TableName { schema: policy.schema.clone(), name: policy.table.clone() };
        of_table.entry(name).or_default().push(policy);
    }
    let owners = owners(&tables, &of_table, schemas);
    let mut text = String::from(
        "# A DRAFT, guessed from the foreign keys, grants and policies of a database. The policies say what is allowed, not\n\
         # what should be: read every line, and strike what was not meant. Then: chartchek-db contract check, verify-rls.\n\
         version = 1\n\n[api]\n",
    );
    let _infallible =
        writeln!(text, "schemas     = [{}]", schemas.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(", "));
    let pre_request = catalog.server.pre_request.as_deref().unwrap_or("none");
    let _infallible = writeln!(text, "pre_request = {}\n", quoted(pre_request));
    actors(&mut text, catalog, of_table.values().flatten());
    for table in &tables {
        one_table(&mut text, catalog, table, &owners, of_table.get(&table.name()).map_or(&[], Vec::as_slice), schemas);
    }
    for view in catalog.tables.iter().filter(|table| schemas.contains(&table.schema) && !is_table(table)) {
        let _infallible = write!(
            text,
            "# It is no table: no rows are made for it. Say why it may be open to those who reach it.\n[[exempt]]\n\
             table  = {}\nreason = \"DRAFT: not yet looked at\"\n\n",
            quoted(&name_of(&view.name(), schemas))
        );
    }
    Ok(text)
}

fn is_table(table: &Table) -> bool {
    matches!(table.kind.as_str(), "r" | "p")
}

fn actors<'p>(text: &mut String, catalog: &Catalog, policies: impl Iterator<Item = &'p Policy> + Clone) {
    let mentions = |word: &str| {
        policies.clone().any(|policy| {
            [&policy.using, &policy.check].into_iter().flatten().any(|expression| expression.contains(word))
        })
    };
    let anonymous = mentions("is_anonymous");
    for (name, role) in ACTORS.iter().filter(|(_, role)| catalog.role(role).is_some()) {
        let _infallible = writeln!(text, "[actors.{name}]\nrole = {}", quoted(role));
        if *name == "user" && anonymous {
            let _infallible = writeln!(text, "claims = {{ is_anonymous = false }}");
        }
        if catalog.role(role).is_some_and(|role| role.bypass_rls || role.superuser) {
            let _infallible = writeln!(text, "bypasses_rls = true");
        }
        text.push('\n');
    }
    if anonymous && catalog.role("authenticated").is_some() {
        text.push_str("# An anonymous sign-in: a policy asks for it.\n[actors.anonymous]\nrole = \"authenticated\"\nclaims = { is_anonymous = true }\n\n");
    }
    if mentions("app_metadata") {
        text.push_str("# A policy reads app_metadata: there may be an actor with more rights, such as\n# [actors.admin]\n# extends = \"user\"\n# claims  = { app_metadata = { role = \"admin\" } }\n\n");
    }
}

/// Table -> its `owner` as TOML, for those that have one: a column of its own, else the parents that have an owner.
fn owners(
    tables: &[&Table],
    policies: &BTreeMap<TableName, Vec<Policy>>,
    schemas: &[String],
) -> BTreeMap<TableName, String> {
    let mut owners: BTreeMap<TableName, String> = BTreeMap::new();
    for table in tables {
        let own = policies.get(&table.name()).map_or(&[][..], Vec::as_slice);
        if let Some(column) = owner_column(table, own) {
            owners.insert(table.name(), quoted(&owner::written(&column)));
        }
    }
    // Children of what has an owner have one too, however deep.
    loop {
        let before = owners.len();
        for table in tables.iter().filter(|table| !owners.contains_key(&table.name())).copied().collect::<Vec<_>>() {
            let paths: Vec<String> = table
                .foreign_keys
                .iter()
                .filter(|key| {
                    key.columns.len() == 1 && key.target() != table.name() && owners.contains_key(&key.target())
                })
                .map(|key| {
                    let [column, parent, parent_column] =
                        [&key.columns[0], &key.target_table, &key.target_columns[0]].map(|name| owner::written(name));
                    let schema = if schemas.first() == Some(&key.target_schema) {
                        String::new()
                    } else {
                        format!("{}.", owner::written(&key.target_schema))
                    };
                    quoted(&format!("{column} -> {schema}{parent}.{parent_column}"))
                })
                .collect();
            match paths.as_slice() {
                [] => {}
                [one] => {
                    owners.insert(table.name(), one.clone());
                }
                several => {
                    owners.insert(table.name(), format!("{{ all = [{}] }}", several.join(", ")));
                }
            }
        }
        if owners.len() == before {
            return owners;
        }
    }
}

/// The column that holds the owner's id: one that a policy compares with the caller's, and that refers to accounts or
/// is named as one; else one that refers to accounts, else one that is named so.
fn owner_column(table: &Table, policies: &[Policy]) -> Option<String> {
    let refers = |column: &str| {
        let accounts =
            |key: &&crate::model::catalog::ForeignKey| key.target_schema == "auth" && key.target_table == "users";
        table.foreign_keys.iter().filter(accounts).any(|key| key.columns == [column])
    };
    let asked = |column: &str| {
        policies.iter().flat_map(|policy| [&policy.using, &policy.check]).flatten().any(|expression| {
            // The column itself, not the column of a sub-select's table: no `.` before it.
            expression.contains("uid()") && words(expression).any(|word| word == column)
        })
    };
    // As the server writes a comparison with the caller's id.
    let is_caller = |column: &str| {
        let column = quote::readable_identifier(column);
        let compared = [format!("({column} = auth.uid()"), format!("({column} = ( SELECT auth.uid()")];
        let mut all = policies.iter().flat_map(|policy| [&policy.using, &policy.check]).flatten();
        all.any(|expression| compared.iter().any(|text| expression.contains(text.as_str())))
    };
    let named = |column: &str| OWNER_NAMES.iter().position(|name| *name == column);
    let ids = table.columns.iter().filter(|column| ["uuid", "text", "varchar"].contains(&column.base_type.as_str()));
    ids.filter(|column| {
        let name = column.name.as_str();
        // What refers to another table's rows is a way to its owner, not the owner itself.
        let elsewhere = table.foreign_keys.iter().any(|key| key.columns.contains(&column.name)) && !refers(name);
        !elsewhere
            && (refers(name)
                || named(name).is_some()
                || (asked(name) && column.base_type == "uuid" && name == "id")
                || is_caller(name))
    })
    .min_by_key(|column| {
        let name = column.name.as_str();
        (!asked(name) && !is_caller(name), !refers(name), named(name).unwrap_or(OWNER_NAMES.len()))
    })
    .map(|column| column.name.clone())
}

fn words(expression: &str) -> impl Iterator<Item = &str> {
    expression.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == '.'))
}

fn one_table(
    text: &mut String,
    catalog: &Catalog,
    table: &Table,
    owners: &BTreeMap<TableName, String>,
    policies: &[Policy],
    schemas: &[String],
) {
    if !table.rls_enabled {
        text.push_str("# Row-level security is OFF here: whoever has a grant reaches every row.\n");
    }
    for policy in policies {
        for (word, expression) in [("USING", &policy.using), ("WITH CHECK", &policy.check)] {
            if let Some(expression) = expression {
                let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
                let _infallible = writeln!(
                    text,
                    "# {} {word} {line}",
                    commands(policy).map(Command::word).collect::<Vec<_>>().join("/")
                );
            }
        }
    }
    let owner = owners.get(&table.name());
    let _infallible = writeln!(text, "[tables.{}]", key(&name_of(&table.name(), schemas)));
    let _infallible = writeln!(text, "owner = {}", owner.map_or("\"none\"", String::as_str));
    for (actor, role) in ACTORS.iter().filter(|(_, role)| catalog.role(role).is_some_and(|role| !role.bypass_rls)) {
        let (mut own, mut all) = (Vec::new(), Vec::new());
        for command in Command::PROMISABLE {
            match allowed(table, policies, role, command) {
                Some(true) => all.push(command),
                Some(false) if owner.is_some() => own.push(command),
                Some(false) => all.push(command),
                None => {}
            }
        }
        let list = |commands: &[Command]| commands.iter().map(|c| quoted(c.word())).collect::<Vec<_>>().join(", ");
        let parts: Vec<String> = [("own", &own), ("all", &all)]
            .into_iter()
            .filter(|(_, commands)| !commands.is_empty())
            .map(|(standing, commands)| format!("{standing} = [{}]", list(commands)))
            .collect();
        if !parts.is_empty() {
            let _infallible = writeln!(text, "{actor} = {{ {} }}", parts.join(", "));
        }
    }
    text.push('\n');
}

/// Whether the role may do so at all, and then whether to every row (`true`) or to some (`false`).
fn allowed(table: &Table, policies: &[Policy], role: &str, command: Command) -> Option<bool> {
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let granted = table.grants(role, command, &[])
        || columns.iter().any(|column| table.grants(role, command, std::slice::from_ref(column)));
    if !granted {
        return None;
    }
    if !table.rls_enabled {
        return Some(true);
    }
    let applies = policies.iter().filter(|policy| {
        policy.roles.iter().any(|name| name == role || name == "public") && commands(policy).any(|c| c == command)
    });
    let every = |policy: &Policy| {
        let rows = if command == Command::Insert {
            policy.check.as_ref().or(policy.using.as_ref())
        } else {
            policy.using.as_ref()
        };
        rows.is_none_or(|expression| expression == "true")
    };
    applies.map(every).reduce(|one, other| one || other)
}

/// The commands that a policy is for.
fn commands(policy: &Policy) -> impl Iterator<Item = Command> + Clone {
    let code = policy.command.clone();
    Command::PROMISABLE.into_iter().filter(move |command| {
        let own = match command {
            Command::Select => "r",
            Command::Insert => "a",
            Command::Update => "w",
            _ => "d",
        };
        code == "*" || code == own
    })
}

/// As the contract names a table: with its schema, but in the first one, where it isn't read as another schema's.
fn name_of(table: &TableName, schemas: &[String]) -> String {
    let bare = owner::table_name(&table.name, schemas) == *table;
    if bare { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A TOML key.
fn key(text: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}
