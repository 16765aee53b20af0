//! INSERT statements from rows, and the expressions that name a row.

use crate::db::quote::{literal, readable_identifier, table as quote_table};
use crate::model::catalog::{Column, Table};
use std::collections::BTreeMap;

/// A value as SQL: NULL or an untyped literal, which the server reads as the column's type.
pub(crate) fn sql_value(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |text| literal(text).trim_start().to_owned())
}

/// `INSERT INTO … (…) VALUES (…)` for one row.
pub(crate) fn insert(table: &Table, values: &BTreeMap<String, Option<String>>) -> String {
    let mut columns = Vec::new();
    let mut literals = Vec::new();
    let mut overriding = "";
    // In the table's order, which is how people read it.
    for column in &table.columns {
        if let Some(value) = values.get(&column.name) {
            columns.push(readable_identifier(&column.name));
            literals.push(sql_value(value.as_deref()));
            if column.identity_always {
                overriding = " OVERRIDING SYSTEM VALUE";
            }
        }
    }
    let name = quote_table(&table.name());
    if columns.is_empty() {
        return format!("INSERT INTO {name} DEFAULT VALUES");
    }
    format!("INSERT INTO {name} ({}){overriding} VALUES ({})", columns.join(", "), literals.join(", "))
}

/// The columns that name a row: the primary key, else the first unique index over columns that are never NULL.
pub(crate) fn key_columns(table: &Table) -> Vec<String> {
    if !table.primary_key.is_empty() {
        return table.primary_key.clone();
    }
    table
        .uniques
        .iter()
        .find(|columns| columns.iter().all(|name| table.column(name).is_some_and(|column| column.not_null)))
        .cloned()
        .unwrap_or_default()
}

/// An SQL expression of type text that names a row; `qualifier` is the table's alias with a dot, or empty.
/// Without key columns the whole row is its name.
pub(crate) fn key_expression(table: &Table, qualifier: &str) -> String {
    let columns = key_columns(table);
    match columns.as_slice() {
        [] => {
            let alias = qualifier.trim_end_matches('.');
            let row = if alias.is_empty() { readable_identifier(&table.table) } else { alias.to_owned() };
            // The star: a column may be named as its table is.
            format!("({row}.*)::text")
        }
        [column] => format!("{qualifier}{}::text", readable_identifier(column)),
        several => {
            let parts: Vec<String> =
                several.iter().map(|column| format!("{qualifier}{}::text", readable_identifier(column))).collect();
            format!("ARRAY[{}]::text", parts.join(", "))
        }
    }
}

/// A condition that is true for the one row with these key values; `None` where the table has no key.
pub(crate) fn key_condition(table: &Table, values: &BTreeMap<String, Option<String>>) -> Option<String> {
    let columns = key_columns(table);
    if columns.is_empty() {
        return None;
    }
    let parts: Option<Vec<String>> = columns
        .iter()
        .map(|column| {
            let value = values.get(column)?.as_deref()?;
            Some(format!("{} = {}", readable_identifier(column), sql_value(Some(value))))
        })
        .collect();
    Some(parts?.join(" AND "))
}

/// A condition that is true for the rows whose [names](key_expression) are `keys`, and that an index over the key's
/// columns serves; `qualifier` as there.
pub(crate) fn keys_condition(table: &Table, qualifier: &str, keys: &[&str]) -> String {
    let list: Vec<String> = keys.iter().map(|key| literal(key).trim_start().to_owned()).collect();
    let names = format!("ARRAY[{}]::text[]", list.join(", "));
    let by_name = format!("{} = ANY ({names})", key_expression(table, qualifier));
    let columns: Option<Vec<&Column>> = key_columns(table).iter().map(|name| table.column(name)).collect();
    match columns.as_deref() {
        None | Some([]) => by_name,
        Some([column]) => {
            let name = readable_identifier(&column.name);
            format!("{qualifier}{name} = ANY (({names})::{}[])", column.type_name)
        }
        Some(several) => {
            let parts = several.iter().zip(1..).map(|(column, place)| {
                let name = readable_identifier(&column.name);
                let part = format!("SELECT (k::text[])[{place}] FROM unnest({names}) AS k");
                format!("{qualifier}{name} = ANY (ARRAY({part})::{}[])", column.type_name)
            });
            parts.chain([by_name.clone()]).collect::<Vec<_>>().join(" AND ")
        }
    }
}
