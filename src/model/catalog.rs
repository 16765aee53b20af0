//! What the server's catalogue says of the schema, the roles and their rights, as plain data.

use crate::model::access::{Command, TableName};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The server, and who we are on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Server {
    /// As the server names it: `15.18 (Debian …)`.
    pub version: String,
    /// `server_version_num`: 150018.
    pub version_num: u32,
    /// The role of the session.
    pub user: String,
    /// Whether that role is a superuser.
    pub superuser: bool,
    /// Whether that role bypasses RLS.
    pub bypass_rls: bool,
    /// Whether the database takes no writes: a standby, or set so.
    pub read_only: bool,
    /// PostgREST's `pgrst.db_schemas` where the database sets it.
    pub exposed_schemas: Option<String>,
    /// PostgREST's `pgrst.db_pre_request` where the database sets it.
    pub pre_request: Option<String>,
    /// Whether `pg_stats_ext` or `pg_stats_ext_exprs` is still defined as before CVE-2024-4317 was mended.
    pub old_pg_stats_ext: bool,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
    /// BYPASSRLS.
    pub bypass_rls: bool,
    /// Whether the session's role can SET ROLE to it.
    pub assumable: bool,
    /// The settings that a request of this role starts with and that any role may set: name and value.
    pub settings: Vec<(String, String)>,
    /// Whether a request can be made as it: `authenticator` is a member of it.
    pub assumed_by_api: bool,
    /// What it reaches of the exposed schemas, where it can log in or be assumed by `authenticator` and is neither an
    /// actor's nor, by logging in alone, one that is trusted: superusers, owners, the session's own, the platform's.
    pub reaches: Vec<Reached>,
}

/// A relation that a role has rights on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Reached {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// What the role may do with it, or with some column of it: `select`, …, `references`, `trigger`.
    pub commands: Vec<String>,
}

impl Reached {
    /// Its name with the schema.
    pub fn name(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.table.clone() }
    }
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type as SQL writes it, with modifiers: `character varying(40)`, `public.message_role`.
    pub type_name: String,
    /// The type's own name without schema and modifiers, domains resolved, `[]` for arrays stripped: `varchar`, `uuid`.
    pub base_type: String,
    /// Whether it is an array.
    pub is_array: bool,
    /// The labels of an enum, in order; else empty.
    pub enum_labels: Vec<String>,
    /// The longest text that fits, where the type says so.
    pub max_length: Option<u32>,
    /// NOT NULL.
    pub not_null: bool,
    /// Has a default, an identity or a generation expression.
    pub has_default: bool,
    /// GENERATED ALWAYS AS (…): cannot be given.
    pub generated: bool,
    /// GENERATED ALWAYS AS IDENTITY: needs OVERRIDING SYSTEM VALUE.
    pub identity_always: bool,
    /// Role -> commands granted on this column alone (SELECT, INSERT, UPDATE).
    pub grants: BTreeMap<String, Vec<String>>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referring columns.
    pub columns: Vec<String>,
    /// The referenced table's schema.
    pub target_schema: String,
    /// The referenced table's name.
    pub target_table: String,
    /// The referenced columns, in the same order.
    pub target_columns: Vec<String>,
}

impl ForeignKey {
    /// The referenced table.
    pub fn target(&self) -> TableName {
        TableName { schema: self.target_schema.clone(), name: self.target_table.clone() }
    }
}

/// What one policy asks of a table's rows. It serves to choose the values of rows that are made, and never to judge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// Its conditions as the server writes them.
    pub text: String,
    /// The columns of the table that it names.
    pub columns: Vec<String>,
}

/// A table, partitioned table, view or foreign table.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// `pg_class.relkind`: r, p, v, m, f.
    pub kind: String,
    /// ENABLE ROW LEVEL SECURITY.
    pub rls_enabled: bool,
    /// FORCE ROW LEVEL SECURITY.
    pub rls_forced: bool,
    /// How many rows the planner believes there are; -1 where it never looked.
    pub estimated_rows: f64,
    /// In order.
    pub columns: Vec<Column>,
    /// The primary key's columns; empty without one.
    pub primary_key: Vec<String>,
    /// The columns of each unique index without predicate or expression, the primary key's among them.
    pub uniques: Vec<Vec<String>>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// What the table's policies ask, and other tables' policies that read it.
    #[serde(default)]
    pub asks: Vec<Asked>,
    /// The bodies of the functions that the table's policies call, and of those that policies call and that name the
    /// table.
    #[serde(default)]
    pub called: Vec<String>,
    /// Role -> commands granted on the whole table, through membership and PUBLIC too.
    pub grants: BTreeMap<String, Vec<String>>,
    /// Roles with USAGE on the schema.
    pub schema_usage: Vec<String>,
}

impl Table {
    /// Its name with the schema.
    pub fn name(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.table.clone() }
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether `role` is granted `command` on the table, or on every one of `columns`; on the whole row, or where
    /// `columns` is empty, on every column.
    pub fn grants(&self, role: &str, command: Command, columns: &[String]) -> bool {
        if !self.schema_usage.iter().any(|name| name == role) {
            return false;
        }
        let word = command.word();
        let whole = self.grants.get(role).is_some_and(|commands| commands.iter().any(|granted| granted == word));
        if whole {
            return true;
        }
        if matches!(command, Command::Delete | Command::Truncate) {
            return false;
        }
        let on_column = |column: &Column| {
            column.grants.get(role).is_some_and(|commands| commands.iter().any(|granted| granted == word))
        };
        if columns.is_empty() {
            return !self.columns.is_empty() && self.columns.iter().all(on_column);
        }
        columns.iter().all(|name| self.column(name).is_some_and(on_column))
    }
}

/// The catalogue, as far as the contract's schemas and roles reach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    /// The server.
    pub server: Server,
    /// The roles.
    pub roles: Vec<Role>,
    /// The relations of the exposed schemas, and the tables that their foreign keys refer to, wherever those are.
    pub tables: Vec<Table>,
}

impl Catalog {
    /// The table of that name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        // The server gives them in the order of their names.
        let order = |table: &Table| (table.schema.as_str(), table.table.as_str()).cmp(&(&name.schema, &name.name));
        let found = self.tables.binary_search_by(order).ok().and_then(|place| self.tables.get(place));
        found.or_else(|| self.tables.iter().find(|table| table.schema == name.schema && table.table == name.name))
    }

    /// The role of that name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }
}
