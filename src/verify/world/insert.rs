//! INSERT statements from rows, and the expressions that name a row.

use crate::db::quote::{literal, readable_identifier, table as quote_table};
use crate::model::catalog::{Column, Table};
use std::collections::BTreeMap;

/// A value as SQL: NULL or an untyped literal, which the server reads as the column's type.
pub(crate) fn sql_value(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |text| literal(text).trim_start().to_owned())
}

/// What an INSERT says of its columns, in the table's order, which is how people read it: ` (…)`, with OVERRIDING where
/// an identity column is given; and what each is set to. `value` gives the SQL of a column that is set.
pub(crate) fn set_columns(table: &Table, value: impl Fn(&str) -> Option<String>) -> (String, Vec<String>) {
    let set: Vec<_> = table.columns.iter().filter_map(|column| Some((column, value(&column.name)?))).collect();
    let columns: Vec<String> = set.iter().map(|(column, _)| readable_identifier(&column.name)).collect();
    let overriding = if set.iter().any(|(column, _)| column.identity_always) { " OVERRIDING SYSTEM VALUE" } else { "" };
    (format!(" ({}){overriding}", columns.join(", ")), set.into_iter().map(|(_, value)| value).collect())
}

/// What follows the table's name in an INSERT of one row, and INSERT in a MERGE.
pub(crate) fn row_clause(table: &Table, values: &BTreeMap<String, Option<String>>) -> String {
    let (columns, literals) = set_columns(table, |name| values.get(name).map(|value| sql_value(value.as_deref())));
    if literals.is_empty() {
        return " DEFAULT VALUES".to_owned();
    }
    format!("{columns} VALUES ({})", literals.join(", "))
}

/// `INSERT INTO … (…) VALUES (…)` for one row.
pub(crate) fn insert(table: &Table, values: &BTreeMap<String, Option<String>>) -> String {
    format!("INSERT INTO {}{}", quote_table(&table.name()), row_clause(table, values))
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
