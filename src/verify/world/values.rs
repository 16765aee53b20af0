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
    if let Some(subtype) = &column.subtype {
        let range = format!("[{},{})", point(subtype, 2 * seed)?, point(subtype, 2 * seed + 1)?);
        return Some(if column.multirange { format!("{{{range}}}") } else { range });
    }
    if let Some(fields) = column.fields {
        return Some(format!("({})", ",".repeat(fields.saturating_sub(1))));
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
        "numeric" => (seed % limit(column)).to_string(),
        "int4" | "int8" | "oid" | "float4" | "float8" | "money" | "xid" | "xid8" => seed.to_string(),
        "pg_lsn" => format!("0/{seed:X}"),
        "char" => char::from(b'a' + u8::try_from(seed % 26).unwrap_or_default()).to_string(),
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
        "macaddr8" => format!("02:00:00:ff:{:02x}:{:02x}:{:02x}:01", seed >> 16 & 255, seed >> 8 & 255, seed & 255),
        "point" => format!("({seed},{seed})"),
        "line" => format!("{{1,-1,{seed}}}"),
        "lseg" | "box" => format!("({seed}.5,{seed}.5),({seed},{seed})"),
        "path" | "polygon" => format!("(({seed},0),({seed},1),({seed}.5,1))"),
        "circle" => format!("<({seed},{seed}),0.25>"),
        "jsonpath" => format!("$.made[{seed}]"),
        "tsvector" | "tsquery" => format!("'made{seed}'"),
        "xml" => format!("<made-up>{seed}</made-up>"),
        "bit" | "varbit" => {
            let length = column.max_length.unwrap_or(1) as usize;
            tail(&format!("{}{seed:b}", "0".repeat(length)), length)
        }
        // Names that every database has.
        "regclass" => "pg_class".to_owned(),
        "regtype" => "text".to_owned(),
        "regrole" => "pg_read_all_data".to_owned(),
        "regnamespace" => "pg_catalog".to_owned(),
        "regproc" => "now".to_owned(),
        "regprocedure" => "now()".to_owned(),
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
        "int2" if !column.is_array => Some((32_000 - number % 16_000).to_string()),
        "numeric" if column.digits.is_some() => Some((limit(column) - 1 - number % limit(column)).to_string()),
        "int4" | "int8" | "numeric" if !column.is_array => Some((1_000_000_000 + number).to_string()),
        _ => value(column, 1_000 + number),
    }
}

/// How many whole numbers the column's type holds, where it says so.
fn limit(column: &Column) -> usize {
    column.digits.map_or(usize::MAX, |digits| 10_usize.saturating_pow(digits.min(18)).max(1))
}

/// The `n`th of a type's values in their order, each with room for none between it and the next; `None` where the type
/// is not known to have an order.
pub(crate) fn point(base_type: &str, n: usize) -> Option<String> {
    let hour = i64::try_from(n).ok()?;
    // Hours from 2100 on, within the years that all dates reach.
    let day = i32::try_from(hour.div_euclid(24)).ok()?;
    let date = || time::Date::from_julian_day(2_488_070 + day % 2_000_000).ok();
    Some(match base_type {
        "int2" => (n % 32_000).to_string(),
        "int4" | "int8" | "numeric" | "float4" | "float8" | "money" | "oid" => n.to_string(),
        "timestamptz" | "timestamp" => format!("{} {:02}:00", date()?, hour % 24),
        "date" => time::Date::from_julian_day(2_488_070 + i32::try_from(n % 2_000_000).ok()?).ok()?.to_string(),
        "time" => format!("{:02}:{:02}:{:02}", n / 3600 % 24, n / 60 % 60, n % 60),
        "text" | "varchar" | "bpchar" | "citext" | "name" => format!("point {n:09}"),
        "inet" => format!("10.{}.{}.{}", n / 65_536 % 256, n / 256 % 256, n % 256),
        _ => return None,
    })
}

fn century(seed: usize) -> usize {
    if seed.is_multiple_of(2) { 2901 + seed / 3600 % 90 } else { 1901 + seed / 3600 % 90 }
}

/// The last `length` bytes of ASCII text.
fn tail(text: &str, length: usize) -> String {
    text.get(text.len().saturating_sub(length)..).unwrap_or(text).to_owned()
}
