//! The contract as it stands in the JSON report: what was promised when the report was made. Frozen, as the report is;
//! `--against` reads it back.

use crate::model::access::{self, Command, Ownership, Standing};
use serde::{Deserialize, Serialize};

/// The whole contract, `extends` resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contract {
    pub(crate) schemas: Vec<String>,
    pub(crate) actors: Vec<Actor>,
    pub(crate) tables: Vec<Table>,
    pub(crate) accepts: Vec<Accept>,
    pub(crate) exempts: Vec<Exempt>,
}

/// An actor: whose tokens are its.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) claims: serde_json::Map<String, serde_json::Value>,
    pub(crate) bypasses_rls: bool,
}

/// What is promised on a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) table: String,
    /// As the contract writes it: `user_id`, `all thread_id -> chat_threads.thread_id, …`, `sql …`, `none`.
    pub(crate) owner: String,
    pub(crate) promises: Vec<Promise>,
    pub(crate) columns: Vec<Column>,
}

/// What an actor may do to rows of one standing. An actor that bypasses RLS has none: it may do everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) actor: String,
    pub(crate) standing: String,
    pub(crate) commands: Vec<String>,
}

/// A column under a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) column: String,
    pub(crate) client_may_set: Vec<String>,
}

/// An accepted finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accept {
    /// `probe` or `lint`.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) check: String,
    #[serde(rename = "where")]
    pub(crate) object: String,
    pub(crate) reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
}

/// A table that is taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exempt {
    pub(crate) table: String,
    pub(crate) reason: String,
}

impl From<&access::Contract> for Contract {
    fn from(contract: &access::Contract) -> Self {
        let actor = |actor: &access::Actor| Actor {
            name: actor.name.clone(),
            role: actor.role.clone(),
            claims: actor.claims.clone(),
            bypasses_rls: actor.bypasses_rls,
        };
        let accept = |accept: &access::Accept| Accept {
            kind: accept.kind.word().to_owned(),
            check: accept.check.clone(),
            object: accept.object.clone(),
            reason: accept.reason.clone(),
            expires: accept.expires.clone(),
        };
        let exempt =
            |exempt: &access::Exempt| Exempt { table: exempt.table.to_string(), reason: exempt.reason.clone() };
        Self {
            schemas: contract.schemas.clone(),
            actors: contract.actors.iter().map(actor).collect(),
            tables: contract.tables.iter().map(|table| of_table(contract, table)).collect(),
            accepts: contract.accepts.iter().map(accept).collect(),
            exempts: contract.exempts.iter().map(exempt).collect(),
        }
    }
}

fn of_table(contract: &access::Contract, access: &access::TableAccess) -> Table {
    let standings = match access.ownership {
        Ownership::None => &[Standing::Any][..],
        _ => &[Standing::Own, Standing::Other, Standing::Orphan, Standing::Mixed][..],
    };
    let promise = |actor: &access::Actor, standing: Standing| {
        let promised = |command: &&Command| contract.promises(access, actor, standing, **command);
        let commands: Vec<String> =
            Command::PROMISABLE.iter().filter(promised).map(|command| command.word().to_owned()).collect();
        let (actor, standing) = (actor.name.clone(), standing.word().to_owned());
        (!commands.is_empty()).then_some(Promise { actor, standing, commands })
    };
    let knocking = contract.actors.iter().filter(|actor| !actor.bypasses_rls);
    let column = |(column, rule): (&String, &access::ColumnRule)| Column {
        column: column.clone(),
        client_may_set: rule.client_may_set.clone(),
    };
    Table {
        table: access.table.to_string(),
        owner: owner(&access.ownership),
        promises: knocking
            .flat_map(|actor| standings.iter().filter_map(move |standing| promise(actor, *standing)))
            .collect(),
        columns: access.columns.iter().map(column).collect(),
    }
}

fn owner(ownership: &Ownership) -> String {
    let path = |path: &access::OwnerPath| match path {
        access::OwnerPath::Column(column) => column.clone(),
        access::OwnerPath::Parent { column, parent, parent_column } => format!("{column} -> {parent}.{parent_column}"),
    };
    let listed = |paths: &[access::OwnerPath]| paths.iter().map(path).collect::<Vec<_>>().join(", ");
    match ownership {
        Ownership::None => "none".to_owned(),
        Ownership::All(paths) | Ownership::Any(paths) if paths.len() == 1 => listed(paths),
        Ownership::All(paths) => format!("all {}", listed(paths)),
        Ownership::Any(paths) => format!("any {}", listed(paths)),
        Ownership::Sql(condition) => format!("sql {condition}"),
    }
}
