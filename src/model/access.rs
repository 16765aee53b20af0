//! The contract as data: who is promised what on which rows. `contract/` reads it from `policies/access.toml`.

use crate::model::source::Place;
use std::collections::BTreeMap;
use std::fmt;

/// A command that rows are promised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// SELECT.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE: promised to nobody, tried all the same.
    Truncate,
}

impl Command {
    /// The four that a contract can promise, in the order they are shown.
    pub const PROMISABLE: [Self; 4] = [Self::Select, Self::Insert, Self::Update, Self::Delete];
    /// All five, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::Select, Self::Insert, Self::Update, Self::Delete, Self::Truncate];

    /// The word in contracts, ids and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a row stands to an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The actor's own row.
    Own,
    /// Another user's row.
    Other,
    /// Nobody's row.
    Orphan,
    /// A row whose parents have different owners.
    Mixed,
    /// A row of a table without owners.
    Any,
}

impl Standing {
    /// All, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::Own, Self::Other, Self::Orphan, Self::Mixed, Self::Any];

    /// The word in ids and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Other => "other",
            Self::Orphan => "orphan",
            Self::Mixed => "mixed",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Someone who knocks: a database role plus JWT claims. `extends` is resolved: `role` and `claims` are complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    /// The name in the contract: `anon`, `user`, `admin`, …
    pub name: String,
    /// The database role.
    pub role: String,
    /// The claims that make a token this actor's, beside `sub` and `role`; those of the extended actor are merged in.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The actor whose promises this one keeps.
    pub extends: Option<String>,
    /// Expected to bypass RLS and to do everything.
    pub bypasses_rls: bool,
    /// Where it stands in the contract.
    pub place: Place,
}

/// A table's name with its schema, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema, unquoted.
    pub schema: String,
    /// The table, unquoted.
    pub name: String,
}

impl fmt::Display for TableName {
    /// The bare name in schema public, else `schema.name`, both unquoted: for people, never for SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == "public" { f.write_str(&self.name) } else { write!(f, "{}.{}", self.schema, self.name) }
    }
}

/// One way to a row's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerPath {
    /// A column that holds the owner's id.
    Column(String),
    /// A column that refers to a unique column of a parent table, whose owner it is.
    Parent {
        /// The referring column of this table.
        column: String,
        /// The parent table.
        parent: TableName,
        /// The parent's referenced column.
        parent_column: String,
    },
}

impl OwnerPath {
    /// The column of the table itself.
    pub fn column(&self) -> &str {
        match self {
            Self::Column(column) | Self::Parent { column, .. } => column,
        }
    }
}

/// Whose a table's rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Nobody's: the table has no owners; every row's standing is `any`.
    None,
    /// The owner at the end of every one of these paths; a single path is the common case.
    All(Vec<OwnerPath>),
    /// The owners at the end of any of these paths.
    Any(Vec<OwnerPath>),
    /// A condition over `row` and `:uid` that is true where the row is the user's.
    Sql(String),
}

impl Ownership {
    /// The paths to owners; none where there is no owner, or a condition decides.
    pub fn paths(&self) -> &[OwnerPath] {
        match self {
            Self::All(paths) | Self::Any(paths) => paths,
            Self::None | Self::Sql(_) => &[],
        }
    }
}

/// What the contract says of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRule {
    /// The values that a client may give: `:uid`, `null`, or a literal; empty means none.
    pub client_may_set: Vec<String>,
    /// Where it stands in the contract.
    pub place: Place,
}

/// What the contract says of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableAccess {
    /// The table.
    pub table: TableName,
    /// Whose its rows are.
    pub ownership: Ownership,
    /// Actor's name -> standing -> commands; as written, without what `extends` adds.
    pub promises: BTreeMap<String, BTreeMap<Standing, Vec<Command>>>,
    /// Column name -> rule.
    pub columns: BTreeMap<String, ColumnRule>,
    /// Where it stands in the contract.
    pub place: Place,
}

/// A probe's finding that is known and wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The probe's name.
    pub probe: String,
    /// The object that the finding names.
    pub object: String,
    /// Why it is accepted.
    pub reason: String,
    /// `YYYY-MM-DD`, after which it no longer holds.
    pub expires: Option<String>,
    /// Where it stands in the contract.
    pub place: Place,
}

/// A table that the contract takes out, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exempt {
    /// The table.
    pub table: TableName,
    /// Why.
    pub reason: String,
    /// Where it stands in the contract.
    pub place: Place,
}

/// The whole contract.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// The schemas that the API exposes.
    pub schemas: Vec<String>,
    /// PostgREST's `db_pre_request`, or `None` for "none".
    pub pre_request: Option<String>,
    /// The actors, in the contract's order.
    pub actors: Vec<Actor>,
    /// The tables, in the contract's order.
    pub tables: Vec<TableAccess>,
    /// Accepted findings.
    pub accepts: Vec<Accept>,
    /// Exempted tables.
    pub exempts: Vec<Exempt>,
}

impl Contract {
    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.name == name)
    }

    /// What it says of the table of that name.
    pub fn table(&self, name: &TableName) -> Option<&TableAccess> {
        self.tables.iter().find(|table| table.table == *name)
    }

    /// Whether it takes the table of that name out.
    pub fn is_exempt(&self, name: &TableName) -> bool {
        self.exempts.iter().any(|exempt| exempt.table == *name)
    }

    /// Whether tokens of `actor` name an account: it has claims of its own, or is promised rows of its own.
    pub fn is_person(&self, actor: &Actor) -> bool {
        !actor.bypasses_rls && (!actor.claims.is_empty() || self.promises_own(actor))
    }

    /// Whether `actor` is promised anything on rows of its own, in any table.
    pub fn promises_own(&self, actor: &Actor) -> bool {
        let commands = Command::PROMISABLE;
        self.tables
            .iter()
            .any(|table| commands.iter().any(|command| self.promises(table, actor, Standing::Own, *command)))
    }

    /// Whether `actor` is promised `command` on rows of `standing` in `table`, by itself or through what it extends.
    /// An actor that bypasses RLS is promised the four commands everywhere; TRUNCATE is promised to nobody.
    pub fn promises(&self, table: &TableAccess, actor: &Actor, standing: Standing, command: Command) -> bool {
        if command == Command::Truncate {
            return false;
        }
        if actor.bypasses_rls {
            return true;
        }
        let mut current = Some(actor);
        let mut seen = Vec::new();
        while let Some(actor) = current {
            if seen.contains(&actor.name.as_str()) {
                return false;
            }
            seen.push(&actor.name);
            let promised = table.promises.get(&actor.name).is_some_and(|standings| {
                [standing, Standing::Any]
                    .iter()
                    .any(|key| standings.get(key).is_some_and(|commands| commands.contains(&command)))
            });
            if promised {
                return true;
            }
            current = actor.extends.as_deref().and_then(|name| self.actor(name));
        }
        false
    }
}
