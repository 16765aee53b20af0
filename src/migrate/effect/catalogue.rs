//! What the database has of the things that pending files name, kept up to date as the files are read.

use crate::db::quote;
use crate::db::session::Session;
use crate::model::access::TableName;
use crate::model::failure::Failure;
use crate::model::plan::Size;
use std::collections::{BTreeMap, BTreeSet};

/// What to look up: bare names.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Of relations, and of domains.
    pub(super) relations: BTreeSet<String>,
    /// Of functions in defaults.
    pub(super) functions: BTreeSet<String>,
    /// Of types that columns get, as they are written.
    pub(super) types: BTreeSet<String>,
}

/// A relation.
#[derive(Debug, Clone, Default)]
pub(super) struct Relation {
    /// pg_class.relkind.
    pub(super) kind: char,
    /// How large it is.
    pub(super) size: Option<Size>,
    /// The pending file that makes it.
    pub(super) made_by: Option<String>,
    /// The table of an index.
    pub(super) table: Option<TableName>,
    /// Whether it is written to the log.
    pub(super) logged: bool,
    /// Its columns, where it was there before.
    pub(super) columns: BTreeMap<String, Column>,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    /// As format_type prints it.
    pub(super) kind: String,
    /// Whether it is NOT NULL.
    pub(super) not_null: bool,
    /// Whether a valid CHECK shows that it holds no null.
    pub(super) shown_not_null: bool,
    /// Whether a CHECK looks at it.
    pub(super) checked: bool,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub(super) struct ForeignKey {
    /// The table that has it.
    pub(super) table: TableName,
    /// Its name.
    pub(super) name: String,
    /// Its columns.
    pub(super) columns: Vec<String>,
    /// The table that it references.
    pub(super) referenced: TableName,
}

/// A type.
#[derive(Debug, Clone)]
pub(super) struct Type {
    /// As format_type prints it, without its modifier.
    pub(super) name: String,
    /// Whether it is a domain that checks its values.
    pub(super) constrained: bool,
    /// What a domain is made from.
    pub(super) base: Option<String>,
}

/// The catalogue as far as it is needed.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) utc: bool,
    pub(super) path: Vec<String>,
    pub(super) relations: BTreeMap<TableName, Relation>,
    /// Parents and children of inheritance and partitioning.
    pub(super) children: Vec<(TableName, TableName)>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    /// Whether a function is volatile in any of its forms.
    pub(super) functions: BTreeMap<String, bool>,
    pub(super) types: BTreeMap<String, Type>,
    pub(super) coercible: BTreeSet<(String, String)>,
    /// The CHECKs of pending files that a column holds no null: table, constraint, column; and whether rows were held
    /// against it.
    pub(super) not_null_checks: Vec<(TableName, String, String, bool)>,
    /// The triggers and policies that pending files put on tables, in words: they go with the table.
    pub(super) attached: Vec<(TableName, String)>,
}

impl Catalogue {
    /// Reads it in one round trip and a read-only transaction.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn read(session: &Session, wanted: &Wanted) -> Result<Self, Failure> {
        let query = include_str!("catalogue.sql")
            .replace("$relations", &array(&wanted.relations))
            .replace("$functions", &array(&wanted.functions))
            .replace("$types", &array(&wanted.types));
        // Sizes are read under ACCESS SHARE, which a table that is being changed does not give. Compiling the query costs
        // more than running it.
        let message = format!(
            "BEGIN TRANSACTION READ ONLY; SET LOCAL lock_timeout = '3s'; SET LOCAL jit = off; {query}; ROLLBACK"
        );
        let rows = match session.text_rows(&message).await {
            Ok(rows) => rows,
            Err(error) => {
                let _rolled_back = session.batch("ROLLBACK").await;
                return Err(error.into_failure("cannot look at the tables that the pending files name"));
            }
        };
        let mut catalogue = Self::default();
        for row in rows {
            catalogue.add(row.into_iter().map(Option::unwrap_or_default).collect());
        }
        Ok(catalogue)
    }

    fn add(&mut self, row: Vec<String>) {
        let Ok([kind, a, b, c, d, e, f]) = <[String; 7]>::try_from(row) else { return };
        let name = |schema: String, name: String| TableName { schema, name };
        match kind.as_str() {
            "setting" => {
                self.utc = ["UTC", "Etc/UTC", "UCT", "Etc/UCT", "GMT", "Etc/GMT", "Zulu"].contains(&a.as_str());
            }
            "path" => self.path.push(a),
            "relation" => {
                let size = d.parse().ok().map(|bytes| Size { bytes, rows: e.parse().ok() });
                let kind = c.chars().next().unwrap_or('r');
                let relation = Relation { kind, size, logged: f == "p", ..Relation::default() };
                self.relations.insert(name(a, b), relation);
            }
            "index" => {
                if let Some(index) = self.relations.get_mut(&name(a, b)) {
                    index.table = Some(name(c, d));
                }
            }
            "child" => self.children.push((name(a, b), name(c, d))),
            "foreign" => self.foreign_keys.push(ForeignKey {
                table: name(a, b),
                name: c,
                referenced: name(d, e),
                columns: f.split(',').map(str::to_owned).collect(),
            }),
            "column" => {
                if let Some(table) = self.relations.get_mut(&name(a, b)) {
                    let shown_not_null = f == "not null";
                    let column = Column { kind: d, not_null: e == "true", shown_not_null, checked: !f.is_empty() };
                    table.columns.insert(c, column);
                }
            }
            "function" => {
                self.functions.insert(a, b == "v");
            }
            "type" => {
                let base = (!d.is_empty()).then_some(d);
                self.types.insert(a, Type { name: b, constrained: c == "true", base });
            }
            "coercible" => {
                self.coercible.insert((a, b));
            }
            _ => {}
        }
    }

    /// The full name for the parts that a file writes.
    pub(super) fn resolve(&self, parts: &[String]) -> TableName {
        match parts {
            [.., schema, name] => TableName { schema: schema.clone(), name: name.clone() },
            [name] => {
                let full = |schema: &String| TableName { schema: schema.clone(), name: name.clone() };
                let found = self.path.iter().map(full).find(|full| self.relations.contains_key(full));
                found.unwrap_or_else(|| self.new_name(name))
            }
            [] => TableName { schema: String::new(), name: String::new() },
        }
    }

    /// The full name for something that is made under `parts`.
    pub(super) fn resolve_new(&self, parts: &[String]) -> TableName {
        match parts {
            [name] => self.new_name(name),
            parts => self.resolve(parts),
        }
    }

    fn new_name(&self, name: &str) -> TableName {
        let schema = self.path.first().map_or_else(|| "public".to_owned(), Clone::clone);
        TableName { schema, name: name.to_owned() }
    }

    /// Adds a relation that a pending file makes.
    pub(super) fn make(&mut self, name: TableName, kind: char, file: &str) {
        let relation = Relation { kind, made_by: Some(file.to_owned()), logged: true, ..Relation::default() };
        self.relations.insert(name, relation);
    }

    /// Takes away a relation that a pending file drops.
    pub(super) fn remove(&mut self, name: &TableName) {
        self.relations.remove(name);
        self.foreign_keys.retain(|key| key.table != *name && key.referenced != *name);
        self.children.retain(|(parent, child)| parent != name && child != name);
        self.attached.retain(|(table, _)| table != name);
        self.not_null_checks.retain(|(table, ..)| table != name);
    }

    /// Gives a relation another name.
    pub(super) fn rename(&mut self, from: &TableName, to: TableName) {
        if let Some(relation) = self.relations.remove(from) {
            self.relations.insert(to.clone(), relation);
        }
        let change = |name: &mut TableName| {
            if name == from {
                *name = to.clone();
            }
        };
        self.children.iter_mut().for_each(|(parent, child)| {
            change(parent);
            change(child);
        });
        self.foreign_keys.iter_mut().for_each(|key| {
            change(&mut key.table);
            change(&mut key.referenced);
        });
        self.attached.iter_mut().map(|(table, _)| table).for_each(change);
        self.not_null_checks.iter_mut().map(|(table, ..)| table).for_each(change);
        self.relations.values_mut().filter_map(|relation| relation.table.as_mut()).for_each(change);
    }

    /// All that inherit from a relation, however far.
    pub(super) fn descendants(&self, name: &TableName) -> Vec<TableName> {
        let mut found: Vec<TableName> = Vec::new();
        let mut next = vec![name.clone()];
        while let Some(parent) = next.pop() {
            for (_, child) in self.children.iter().filter(|(of, _)| *of == parent) {
                if !found.contains(child) {
                    found.push(child.clone());
                    next.push(child.clone());
                }
            }
        }
        found
    }

    /// The parents of a relation.
    pub(super) fn parents(&self, name: &TableName) -> Vec<TableName> {
        self.children.iter().filter(|(_, child)| child == name).map(|(parent, _)| parent.clone()).collect()
    }
}

fn array(names: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quote::literal(name)).collect();
    format!("ARRAY[{}]::text[]", quoted.join(", "))
}
