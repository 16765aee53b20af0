//! Values for columns, from the catalogue alone: text that the server reads as the column's type.

use crate::model::catalog::Column;
use crate::verify::persona::stable_id;

/// A value for `column` as the server's input text; equal `seed`s give equal values, different ones different values
/// as far as the type has them. `None` where the type is not known here.
pub(crate) fn value(column: &Column, seed: usize) -> Option<String> {
    let element = scalar(column, seed)?;
    Some(if column.is_array { as_element(&element) } else { element })
}

/// An array of that one element, as the server's input text.
pub(crate) fn as_element(element: &str) -> String {
    let quoted = element.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"{quoted}\"}}")
}

fn scalar(column: &Column, seed: usize) -> Option<String> {
    if !column.enum_labels.is_empty() {
        return column.enum_labels.get(seed % column.enum_labels.len()).cloned();
    }
    let value = match column.base_type.as_str() {
        "uuid" => stable_id(&format!("value {seed}")),
        "text" | "varchar" | "bpchar" | "name" | "citext" => {
            let text = format!("made up {seed}");
            match column.max_length {
                // The number is what makes it differ, so it is what stays.
                Some(limit) if text.len() > limit as usize => tail(&seed.to_string(), limit as usize),
                _ => text,
            }
        }
        "int2" => (seed % 32_000).to_string(),
        "int4" | "int8" | "numeric" | "oid" | "float4" | "float8" | "money" => seed.to_string(),
        "bool" => if seed.is_multiple_of(2) { "true" } else { "false" }.to_owned(),
        // Both sides of now.
        "timestamptz" | "timestamp" => {
            format!("{}-01-01 00:{:02}:{:02}", century(seed), seed / 60 % 60, seed % 60)
        }
        "date" => format!("{}-{:02}-{:02}", century(seed), seed / 28 % 12 + 1, seed % 28 + 1),
        "time" | "timetz" => format!("{:02}:{:02}:{:02}", seed / 3600 % 24, seed / 60 % 60, seed % 60),
        "interval" => format!("{seed} minutes"),
        "json" | "jsonb" => format!("{{\"made up\": {seed}}}"),
        "bytea" => format!("\\x{seed:08x}"),
        "inet" | "cidr" => format!("10.{}.{}.{}", seed / 65_536 % 256, seed / 256 % 256, seed % 256),
        "macaddr" => format!(
            "02:00:{:02x}:{:02x}:{:02x}:{:02x}",
            seed >> 24 & 255,
            seed >> 16 & 255,
            seed >> 8 & 255,
            seed & 255
        ),
        "int4range" | "int8range" | "numrange" => format!("[{seed},{})", seed + 1),
        "tstzrange" | "tsrange" => format!("[{0}-01-01 00:00:{1:02},{0}-01-02 00:00:{1:02})", century(seed), seed % 60),
        "daterange" => format!("[{0}-01-{1:02},{0}-02-{1:02})", century(seed), seed % 28 + 1),
        "point" => format!("({seed},{seed})"),
        "tsvector" | "tsquery" => format!("'made{seed}'"),
        "xml" => format!("<made-up>{seed}</made-up>"),
        "bit" | "varbit" => if seed.is_multiple_of(2) { "0" } else { "1" }.to_owned(),
        _ => return None,
    };
    Some(value)
}

/// A value for a column that must be unique: `name` tells the row apart within the table, `number` among all rows.
pub(crate) fn unique_value(column: &Column, name: &str, number: usize) -> Option<String> {
    match column.base_type.as_str() {
        "uuid" if !column.is_array => Some(stable_id(&format!("{}: {name}", column.name))),
        "text" | "varchar" | "bpchar" | "citext" | "name" if !column.is_array => {
            let text = format!("made-up-{}", stable_id(name));
            Some(match column.max_length {
                Some(limit) if text.len() > limit as usize => tail(&text, limit as usize),
                _ => text,
            })
        }
        // High, so as not to meet what a sequence has given out.
        "int2" => Some((32_000 - number % 16_000).to_string()),
        "int4" | "int8" | "numeric" => Some((2_000_000_000 + number).to_string()),
        _ => value(column, 1_000 + number),
    }
}

fn century(seed: usize) -> usize {
    if seed.is_multiple_of(2) { 2901 + seed / 3600 % 90 } else { 1901 + seed / 3600 % 90 }
}

/// The last `length` bytes of ASCII text.
fn tail(text: &str, length: usize) -> String {
    text.get(text.len().saturating_sub(length)..).unwrap_or(text).to_owned()
}
