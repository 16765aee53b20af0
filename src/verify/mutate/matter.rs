//! What mutation can change: policies, rights, flags, functions, triggers and keys, as the catalogue has them.

use crate::db::catalog;
use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::session::Session;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use serde::Deserialize;

/// All of it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Matter {
    /// Tables, partitioned tables and views of the contract's schemas.
    pub(super) tables: Vec<Relation>,
    /// Their policies.
    pub(crate) policies: Vec<Policy>,
    /// The columns of every table that a policy may name.
    pub(super) columns: Vec<Columns>,
    /// Functions of the contract's schemas, and what policies and triggers there call.
    pub(super) functions: Vec<Function>,
    /// Triggers that fire.
    pub(super) triggers: Vec<Trigger>,
    /// Foreign keys.
    pub(super) keys: Vec<Key>,
    /// The database roles of untrusted actors.
    #[serde(skip)]
    pub(super) roles: Vec<String>,
}

/// A table or view.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) view: bool,
    /// A view's `security_invoker`.
    pub(super) invoker: bool,
    pub(super) enabled: bool,
    pub(super) forced: bool,
    /// Role and privilege.
    pub(super) rights: Vec<(String, String)>,
    /// Role, privilege and column, by the table's rights or the column's own.
    pub(super) columns_granted: Vec<(String, String, String)>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Policy {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) permissive: bool,
    /// `SELECT`, `INSERT`, `UPDATE`, `DELETE` or `ALL`.
    pub(super) command: String,
    /// Empty for PUBLIC.
    pub(super) roles: Vec<String>,
    pub(super) using: Option<String>,
    pub(super) check: Option<String>,
}

/// A table's columns: name and type.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Columns {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<(String, String)>,
}

/// A function.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Function {
    /// As SQL names it: `chartchek_private.uid()`.
    pub(super) signature: String,
    /// Whether it returns `trigger`.
    pub(super) trigger: bool,
    pub(super) definer: bool,
    /// Whether it sets its own `search_path`.
    pub(super) search_path: bool,
    /// Whether PUBLIC may execute it.
    pub(super) public: bool,
    /// The tables whose policies or triggers call it: schema and name.
    callers: Vec<(String, String)>,
    /// The roles of untrusted actors that may execute it.
    pub(super) roles: Vec<String>,
}

/// A trigger.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Trigger {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) name: String,
}

/// A foreign key.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    pub(super) target_schema: String,
    pub(super) target_table: String,
    pub(super) target_columns: Vec<String>,
    /// `pg_constraint.confdeltype`: a no action, r restrict, c cascade, n set null, d set default.
    pub(super) on_delete: char,
}

macro_rules! lies_on {
    ($($kind:ty),*) => {$(
        impl $kind {
            /// The table that it is, or stands on.
            pub(super) fn on(&self) -> TableName {
                TableName { schema: self.schema.clone(), name: self.table.clone() }
            }
        }
    )*};
}
lies_on!(Relation, Policy, Columns, Trigger, Key);

impl Matter {
    /// Reads it, as the session's own role.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn read(session: &Session, schemas: &[String], roles: &[String]) -> Result<Self, Failure> {
        let matter: Self = catalog::document(session, include_str!("matter.sql"), schemas, roles).await?;
        Ok(Self { roles: roles.to_vec(), ..matter })
    }

    /// The columns of a table, in order: name and type.
    pub(super) fn columns(&self, table: &TableName) -> &[(String, String)] {
        self.columns.iter().find(|columns| columns.on() == *table).map_or(&[], |columns| &columns.columns)
    }
}

impl Relation {
    /// Whether a role has that privilege on it as a whole.
    pub(super) fn may(&self, role: &str, privilege: &str) -> bool {
        self.rights.iter().any(|(who, what)| who == role && what == privilege)
    }
}

impl Key {
    /// How it is called in reports.
    pub(super) fn label(&self) -> String {
        format!("foreign key {} on {}", self.name, self.on())
    }

    /// What ON DELETE does.
    pub(super) fn action(&self) -> &'static str {
        match self.on_delete {
            'r' => "RESTRICT",
            'c' => "CASCADE",
            'n' => "SET NULL",
            'd' => "SET DEFAULT",
            _ => "NO ACTION",
        }
    }

    /// The statement that drops it.
    pub(super) fn drop(&self) -> String {
        format!("ALTER TABLE {} DROP CONSTRAINT {}", quote_table(&self.on()), readable_identifier(&self.name))
    }

    /// The statement that makes it, with these columns and that action.
    pub(super) fn add(&self, columns: &[String], targets: &[String], action: &str) -> String {
        let list = |columns: &[String]| {
            columns.iter().map(|column| readable_identifier(column)).collect::<Vec<_>>().join(", ")
        };
        let target = TableName { schema: self.target_schema.clone(), name: self.target_table.clone() };
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {action}",
            quote_table(&self.on()),
            readable_identifier(&self.name),
            list(columns),
            quote_table(&target),
            list(targets)
        )
    }
}

impl Function {
    /// The tables whose policies or triggers call it.
    pub(super) fn callers(&self) -> impl Iterator<Item = TableName> {
        self.callers.iter().map(|(schema, name)| TableName { schema: schema.clone(), name: name.clone() })
    }
}

impl Policy {
    /// How it is called in reports: `chat_threads_select on chat_threads`.
    pub(super) fn label(&self) -> String {
        format!("policy {} on {}", self.name, self.on())
    }

    /// The statement that makes it.
    pub(super) fn create(&self) -> String {
        let roles: Vec<String> = self.roles.iter().map(|role| readable_identifier(role)).collect();
        let roles = if roles.is_empty() { "PUBLIC".to_owned() } else { roles.join(", ") };
        let clause = |word: &str, condition: &Option<String>| {
            condition.as_ref().map_or_else(String::new, |condition| format!(" {word} ({condition})"))
        };
        format!(
            "CREATE POLICY {} ON {} AS {} FOR {} TO {roles}{}{}",
            readable_identifier(&self.name),
            quote_table(&self.on()),
            if self.permissive { "PERMISSIVE" } else { "RESTRICTIVE" },
            self.command,
            clause("USING", &self.using),
            clause("WITH CHECK", &self.check)
        )
    }

    /// The statement that drops it.
    pub(super) fn drop(&self) -> String {
        format!("DROP POLICY {} ON {}", readable_identifier(&self.name), quote_table(&self.on()))
    }
}
