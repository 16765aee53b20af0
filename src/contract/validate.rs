//! Holds a contract against a catalogue: what it names must exist, and be what it is taken for.

use crate::contract::reader::{combine, suggest};
use crate::contract::shape::path_place;
use crate::contract::{locate, shape};
use crate::model::access::{Actor, Contract, Exempt, OwnerPath, TableAccess, TableName};
use crate::model::catalog::{Catalog, Column, Table};
use crate::model::failure::Failure;

/// The types that can hold a user's id, which is text in a token.
const ID_TYPES: [&str; 6] = ["uuid", "text", "varchar", "bpchar", "citext", "name"];

/// Ok where every role, table and column that the contract names is there; the columns that paths refer to are unique
/// and can be compared; roles bypass row-level security where the contract says so and nowhere else.
///
/// Errors, of kind usage: the first of the file with its place, and the others as notes.
pub fn validate(contract: &Contract, catalog: &Catalog) -> Result<(), Failure> {
    let mut failures = shape::check(contract);
    failures.extend(contract.actors.iter().filter_map(|actor| role(actor, catalog)));
    for access in &contract.tables {
        match catalog.table(&access.table) {
            None => failures.push(unknown_table(contract, catalog, access)),
            Some(table) => failures.extend(columns(contract, catalog, access, table)),
        }
    }
    combine(failures)
}

/// The relations of the exposed schemas that the contract neither promises nor exempts, sorted. Views are among them:
/// the API serves them as it serves tables.
pub fn uncovered(contract: &Contract, catalog: &Catalog) -> Vec<TableName> {
    let mut names: Vec<TableName> = catalog
        .tables
        .iter()
        .map(Table::name)
        .filter(|name| contract.schemas.contains(&name.schema))
        .filter(|name| contract.table(name).is_none() && !contract.is_exempt(name))
        .collect();
    names.sort();
    names
}

/// The exemptions of tables that are not there (any more).
pub fn stale_exempts<'c>(contract: &'c Contract, catalog: &Catalog) -> Vec<&'c Exempt> {
    contract.exempts.iter().filter(|exempt| catalog.table(&exempt.table).is_none()).collect()
}

fn role(actor: &Actor, catalog: &Catalog) -> Option<Failure> {
    let place = |label: &str| locate::value(&actor.place, "role", label, |_| true);
    let Some(role) = catalog.role(&actor.role) else {
        let failure = Failure::usage(format!("the role `{}` of actor `{}` does not exist", actor.role, actor.name))
            .at(place("unknown role"));
        return Some(suggest(failure, &actor.role, catalog.roles.iter().map(|role| role.name.as_str())));
    };
    let bypasses = role.superuser || role.bypass_rls;
    match (actor.bypasses_rls, bypasses) {
        (true, false) => Some(
            Failure::usage(format!(
                "the role `{}` of actor `{}` does not bypass row-level security",
                role.name, actor.name
            ))
            .at(place("bypasses nothing"))
            .help("grant the role BYPASSRLS, or take bypasses_rls from the actor and promise it what it needs"),
        ),
        (false, true) => Some(
            Failure::usage(format!("the role `{}` of actor `{}` bypasses row-level security", role.name, actor.name))
                .at(place(if role.superuser { "a superuser" } else { "has BYPASSRLS" }))
                .note("no policy holds for it: whatever the contract promises, it reaches every row")
                .help("alter the role, or say bypasses_rls = true if that is wanted"),
        ),
        _ => None,
    }
}

fn unknown_table(contract: &Contract, catalog: &Catalog, access: &TableAccess) -> Failure {
    let wanted = &access.table;
    let failure = Failure::usage(format!("table `{}` does not exist in schema `{}`", wanted.name, wanted.schema))
        .at(locate::label(&access.place, "unknown table"));
    let exposed = || catalog.tables.iter().filter(|table| contract.schemas.contains(&table.schema));
    if let Some(elsewhere) = exposed().find(|table| table.table == wanted.name) {
        return failure
            .help(format!("it is in schema `{0}`: write [tables.\"{0}.{1}\"]", elsewhere.schema, elsewhere.table));
    }
    if let Some(table) = catalog.tables.iter().find(|table| format!("{}.{}", table.schema, table.table) == wanted.name)
    {
        return failure.help(format!("add `{}` to the schemas of [api], if the API exposes it", table.schema));
    }
    let names: Vec<String> = exposed().map(|table| table.name().to_string()).collect();
    suggest(failure, &wanted.to_string(), names.iter().map(String::as_str))
}

fn columns(contract: &Contract, catalog: &Catalog, access: &TableAccess, table: &Table) -> Vec<Failure> {
    let mut failures = Vec::new();
    for path in access.ownership.paths() {
        let Some(column) = table.column(path.column()) else {
            let failure = unknown_column(&access.table, path.column(), table);
            failures.push(failure.at(path_place(contract, access, path, "unknown column")));
            continue;
        };
        match path {
            OwnerPath::Column(_) => failures.extend(id_type(contract, access, path, column)),
            OwnerPath::Parent { parent, parent_column, .. } => {
                // A parent that is not in the contract has been reported with the contract's shape, and one that is
                // not in the catalogue at its own section.
                if let (Some(found), Some(_)) = (catalog.table(parent), contract.table(parent)) {
                    failures.extend(reference(contract, access, path, column, found, parent_column));
                }
            }
        }
    }
    for (name, rule) in &access.columns {
        if table.column(name).is_none() {
            failures.push(unknown_column(&access.table, name, table).at(locate::label(&rule.place, "unknown column")));
        }
    }
    failures
}

fn unknown_column(name: &TableName, column: &str, table: &Table) -> Failure {
    let failure = Failure::usage(format!("table `{name}` has no column `{column}`"));
    suggest(failure, column, table.columns.iter().map(|column| column.name.as_str()))
}

fn id_type(contract: &Contract, access: &TableAccess, path: &OwnerPath, column: &Column) -> Option<Failure> {
    let fits = !column.is_array && ID_TYPES.contains(&column.base_type.as_str());
    (!fits).then(|| {
        Failure::usage(format!("column `{}` of table `{}` can't hold an owner's id", column.name, access.table))
            .at(path_place(contract, access, path, &format!("is {}", column.type_name)))
            .help("an owner is the `sub` of a token, a uuid or text; write owner_sql where it takes more to tell")
    })
}

/// The parent's column must be there, name one row, and be comparable.
fn reference(
    contract: &Contract,
    access: &TableAccess,
    path: &OwnerPath,
    column: &Column,
    parent: &Table,
    parent_column: &str,
) -> Option<Failure> {
    let name = parent.name();
    let Some(found) = parent.column(parent_column) else {
        return Some(unknown_column(&name, parent_column, parent).at(path_place(
            contract,
            access,
            path,
            "unknown column",
        )));
    };
    let single = |columns: &Vec<String>| matches!(columns.as_slice(), [only] if only == parent_column);
    if !single(&parent.primary_key) && !parent.uniques.iter().any(single) {
        return Some(
            Failure::usage(format!("column `{parent_column}` of table `{name}` is not unique"))
                .at(path_place(contract, access, path, "could name several parents"))
                .help("refer to a column with a primary key or a unique index of its own, without predicate"),
        );
    }
    let text = |column: &Column| matches!(column.base_type.as_str(), "text" | "varchar" | "bpchar" | "citext" | "name");
    let same = found.is_array == column.is_array
        && (found.base_type == column.base_type || (text(found) && text(column)) || (number(found) && number(column)));
    (!same).then(|| {
        Failure::usage(format!(
            "column `{}` of table `{}` can't be compared with its parent's",
            column.name, access.table
        ))
        .at(path_place(contract, access, path, &format!("{} against {}", column.type_name, found.type_name)))
        .help("refer to a column of the same type")
    })
}

fn number(column: &Column) -> bool {
    matches!(column.base_type.as_str(), "int2" | "int4" | "int8" | "numeric")
}
