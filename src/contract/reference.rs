//! The reference queries: whose a row is, written from the contract and never from the policies.
//!
//! All are SQL expressions over a row that the caller's query names with an alias, to be run by a role that bypasses
//! row-level security. They hold for a contract that `contract::validate` has passed. Every name is quoted and every
//! alias made here differs from the caller's.

use crate::contract::sql_text;
use crate::db::quote::{self, literal, readable_identifier};
use crate::model::access::{Contract, OwnerPath, Ownership, Standing, TableAccess, TableName};
use crate::model::catalog::Catalog;
use uuid::Uuid;

/// A boolean, never NULL: whether the row under the alias `row` is the own one of `uid`, a user's id as plain text.
/// Neither is quoted by the caller. Comparisons are made so that indexes of the tables serve.
pub fn owns(contract: &Contract, catalog: &Catalog, table: &TableAccess, row: &str, uid: &str) -> String {
    Writer { contract, catalog, uid, row, aliases: 0 }.owns(table, row, 0)
}

/// A `text[]`: the owners of the row under the alias `row`, one at the end of each path, NULL where a path ends
/// nowhere. The whole is NULL where a condition (`owner_sql`) decides, and empty for a table without owners.
pub fn owners(contract: &Contract, catalog: &Catalog, table: &TableAccess, row: &str) -> String {
    let mut writer = Writer { contract, catalog, uid: "", row, aliases: 0 };
    writer.owners(table, row, 0).unwrap_or_else(|| "null::text[]".to_owned())
}

/// A `text`, never NULL: how the row under the alias `row` stands to `uid`, as a word of [`Standing`].
///
/// `any` in a table without owners; `own` where [`owns`] holds; else `orphan` where every path ends nowhere, `mixed`
/// where two paths end at different owners or one of them nowhere, and `other`. Where a condition decides: `own` or
/// `other`.
pub fn standing(contract: &Contract, catalog: &Catalog, table: &TableAccess, row: &str, uid: &str) -> String {
    let [own, other, orphan, mixed, any] =
        [Standing::Own, Standing::Other, Standing::Orphan, Standing::Mixed, Standing::Any].map(|s| literal(s.word()));
    if table.ownership == Ownership::None {
        return format!("{any}::text");
    }
    let mut writer = Writer { contract, catalog, uid, row, aliases: 0 };
    let owns = writer.owns(table, row, 0);
    let Some(owners) = writer.owners(table, row, 0) else {
        return format!("case when {owns} then {own} else {other} end");
    };
    let end = writer.alias();
    format!(
        "case when {owns} then {own} else (select case when count({end}.id) = 0 then {orphan} \
         when count(distinct {end}.id) > 1 or count({end}.id) < count(*) then {mixed} else {other} end \
         from unnest({owners}) as {end}(id)) end"
    )
}

struct Writer<'a> {
    contract: &'a Contract,
    catalog: &'a Catalog,
    uid: &'a str,
    row: &'a str,
    aliases: usize,
}

impl<'a> Writer<'a> {
    /// An alias that is not used yet.
    fn alias(&mut self) -> String {
        loop {
            self.aliases += 1;
            let alias = format!("p{}", self.aliases);
            if alias != self.row {
                return alias;
            }
        }
    }

    /// The parent's part of the contract. A contract that leads in a circle has been refused; this ends there too.
    fn parent(&self, name: &TableName, depth: usize) -> Option<&'a TableAccess> {
        if depth > self.contract.tables.len() { None } else { self.contract.table(name) }
    }

    fn owns(&mut self, table: &TableAccess, row: &str, depth: usize) -> String {
        let between = match &table.ownership {
            Ownership::None => return "false".to_owned(),
            Ownership::Sql(condition) => {
                // The row gets the name that the condition calls it by; a comment at its end ends with the line.
                let condition = sql_text::replace_uid(condition, &literal(self.uid));
                let row = readable_identifier(row);
                return format!("(select ({condition}\n) from (select {row}.*) as \"row\") is true");
            }
            Ownership::All(_) => " and ",
            Ownership::Any(_) => " or ",
        };
        let parts: Vec<String> = table
            .ownership
            .paths()
            .iter()
            .map(|path| match path {
                OwnerPath::Column(column) => self.is_uid(table, row, column),
                OwnerPath::Parent { column, parent, parent_column } => {
                    let Some(access) = self.parent(parent, depth) else { return "false".to_owned() };
                    let alias = self.alias();
                    let owns = self.owns(access, &alias, depth + 1);
                    format!("exists (select 1 {} and {owns})", join(row, column, parent, parent_column, &alias))
                }
            })
            .collect();
        format!("({})", parts.join(between))
    }

    /// `column = uid`, never NULL, compared in the column's type.
    fn is_uid(&self, table: &TableAccess, row: &str, column: &str) -> String {
        let base_type = self.catalog.table(&table.table).and_then(|found| found.column(column));
        let base_type = base_type.map_or("", |column| column.base_type.as_str());
        let (column, uid) = (field(row, column), literal(self.uid));
        let equal = match base_type {
            "uuid" if Uuid::try_parse(self.uid).is_ok() => format!("{column} = {uid}::uuid"),
            "text" | "varchar" => format!("{column} = {uid}::text"),
            _ => format!("{column}::text = {uid}::text"),
        };
        // No coalesce: around the comparison it would keep an index from serving.
        format!("({column} is not null and {equal})")
    }

    /// The owners, or `None` where a condition decides.
    fn owners(&mut self, table: &TableAccess, row: &str, depth: usize) -> Option<String> {
        let ends = match &table.ownership {
            Ownership::None => return Some("array[]::text[]".to_owned()),
            Ownership::Sql(_) => return None,
            Ownership::All(paths) | Ownership::Any(paths) => paths,
        };
        let mut parts = Vec::new();
        for path in ends {
            parts.push(match path {
                OwnerPath::Column(column) => format!("array[{}::text]", field(row, column)),
                OwnerPath::Parent { column, parent, parent_column } => {
                    let access = self.parent(parent, depth)?;
                    let alias = self.alias();
                    let owners = self.owners(access, &alias, depth + 1)?;
                    let join = join(row, column, parent, parent_column, &alias);
                    format!("coalesce((select {owners} {join}), array[null]::text[])")
                }
            });
        }
        Some(format!("({})", parts.join(" || ")))
    }
}

/// `row.column`, quoted.
fn field(row: &str, column: &str) -> String {
    format!("{}.{}", readable_identifier(row), readable_identifier(column))
}

/// `from parent as alias where alias.parent_column = row.column`.
fn join(row: &str, column: &str, parent: &TableName, parent_column: &str, alias: &str) -> String {
    format!("from {} as {alias} where {} = {}", quote::table(parent), field(alias, parent_column), field(row, column))
}
