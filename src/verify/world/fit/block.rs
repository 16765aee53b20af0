//! Values for columns as parts of a query.

use super::Part;
use crate::db::quote::literal;
use crate::model::catalog::Column;
use crate::verify::world::insert::sql_value;

/// Values for some columns, as a query that gives each as text (`t0`, …) and in its type (`x0`, …).
pub(super) struct Block {
    pub(super) columns: Vec<(String, Part)>,
    pub(super) sql: String,
    /// Whether it gives their order as `n`.
    pub(super) numbered: bool,
    /// What the conditions call the values.
    pub(super) names: Vec<String>,
}

impl Block {
    pub(super) fn of_list(column: &Column, part: Part, list: &[Option<String>]) -> Self {
        Self {
            columns: vec![(column.name.clone(), part)],
            sql: format!(
                "SELECT c.t AS t0, c.t::{} AS x0 FROM unnest({}::text[]) AS c(t)",
                column.cast_type,
                array(list)
            ),
            numbered: false,
            names: vec![column.name.clone()],
        }
    }

    pub(super) fn of_rows(columns: &[&Column], rows: &[Vec<Option<String>>]) -> Self {
        let lines: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(n, row)| {
                let values: Vec<String> = row.iter().map(|value| sql_value(value.as_deref())).collect();
                format!("({n}, {})", values.join(", "))
            })
            .collect();
        let names: Vec<String> = (0..columns.len()).map(|place| format!("t{place}")).collect();
        let parts: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| format!("c.t{place}, c.t{place}::{} AS x{place}", column.cast_type))
            .collect();
        Self {
            columns: columns.iter().map(|column| (column.name.clone(), Part::Free)).collect(),
            sql: format!(
                "SELECT c.n, {} FROM (VALUES {}) AS c(n, {})",
                parts.join(", "),
                lines.join(", "),
                names.join(", ")
            ),
            numbered: true,
            names: columns.iter().map(|column| column.name.clone()).collect(),
        }
    }
}

/// An array of texts.
pub(super) fn array(values: &[Option<String>]) -> String {
    let parts: Vec<String> =
        values.iter().map(|value| value.as_deref().map_or_else(|| "NULL".to_owned(), literal)).collect();
    format!("ARRAY[{}]", parts.join(","))
}
