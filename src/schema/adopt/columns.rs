//! Columns and the labels of enums: definitions from the facts, and changes of type that lose no value.

use crate::schema::adopt::changes::Writer;
use crate::schema::adopt::script::Section;
use crate::schema::adopt::sides::Side;
use crate::schema::difference::Difference;

/// Whole numbers, from the smallest.
const INTEGERS: &[&str] = &["smallint", "integer", "bigint"];
/// What an old type is called once its labels are the migrations' no more.
const OLD: &str = "before_adoption";

/// A column as CREATE TABLE and ADD COLUMN take it; `name` is `table.column`.
pub(super) fn definition(wanted: &Side, table: &str, name: &str) -> String {
    let value = |property: &str| wanted.value("column", name, property);
    let mut text = format!("{} {}", column_of(table, name), value("type"));
    for (property, before, after) in
        [("generated", " GENERATED ALWAYS ", ""), ("identity", " ", " AS IDENTITY"), ("default", " DEFAULT ", "")]
    {
        if !value(property).is_empty() {
            text.push_str(&format!("{before}{}{after}", value(property)));
        }
    }
    if value("null") == "NOT NULL" {
        text.push_str(" NOT NULL");
    }
    text
}

/// `public.t.c` as `c`.
pub(super) fn column_of<'a>(table: &str, name: &'a str) -> &'a str {
    name.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name)
}

/// The expression that makes of a column of type `from` one of type `to`, where no value can come out otherwise than it
/// went in: it is the same as text, or the statement fails.
pub(super) fn conversion(column: &str, from: &str, to: &str, to_is_enum: bool) -> Option<String> {
    let place = |name: &str| INTEGERS.iter().position(|integer| *integer == name);
    let is_text = |name: &str| name == "text" || name.starts_with("character varying");
    // Without a length nothing is cut off.
    let is_whole_text = |name: &str| matches!(name, "text" | "character varying");
    let from_array = from.ends_with("[]");
    match (from, to) {
        (_, _) if to_is_enum => Some(format!("{column}::text{}::{to}", if from_array { "[]" } else { "" })),
        (_, _) if is_text(from) && is_whole_text(to) => Some(format!("{column}::{to}")),
        (_, _) if is_text(from) && to == "uuid" => Some(format!("{column}::uuid")),
        ("uuid", _) if is_whole_text(to) => Some(format!("{column}::{to}")),
        ("json", "jsonb") => Some(format!("{column}::jsonb")),
        // A number that is too large fails.
        _ if place(from).is_some() && place(to).is_some() => Some(format!("{column}::{to}")),
        _ => None,
    }
}

impl Writer<'_> {
    /// Whether the migrations have an enum, or an array of one, of that name.
    fn enum_of(&self, kind: &str) -> Option<String> {
        let name = kind.strip_suffix("[]").unwrap_or(kind);
        self.sides.wanted.object("enum", name).map(|_| name.to_owned())
    }

    /// Changes a column's type.
    pub(super) fn retype(&mut self, name: &str, from: &str, to: &str) {
        let Some(object) = self.sides.wanted.object("column", name) else { return };
        let Some(table) = object.parent.strip_prefix("table ") else { return };
        let (table, column) = (table.to_owned(), column_of(table, name).to_owned());
        let alter = format!("ALTER TABLE {table} ALTER COLUMN {column}");
        let is_array = |kind: &str| kind.ends_with("[]");
        let to_enum = self.enum_of(to).is_some() && is_array(from) == is_array(to);
        let base = to.split(" COLLATE ").next().unwrap_or(to);
        let Some(using) = conversion(&column, from.split(" COLLATE ").next().unwrap_or(from), base, to_enum) else {
            let why = format!("{from} becomes {to}: whether every value stays what it is depends on the values");
            let statement = format!("{alter} TYPE {to} USING {column}::{base}");
            return self.script.decide(format!("type of column {name}"), why, statement);
        };
        if !self.sides.there.value("column", name, "default").is_empty() {
            self.script.put(Section::ColumnTypes, format!("{alter} DROP DEFAULT"));
        }
        self.script.put(Section::ColumnTypes, format!("{alter} TYPE {to} USING {using}"));
        let default = self.sides.wanted.value("column", name, "default");
        if !default.is_empty() {
            self.script.put(Section::Defaults, format!("{alter} SET DEFAULT {default}"));
        }
        self.retyped.insert(format!("{table}.{column}"));
    }

    /// Gives an enum the migrations' labels. Labels that are only missing are added; else the type is made anew under its
    /// name, and the columns move over.
    pub(super) fn relabel(&mut self, one: &Difference) {
        let name = one.key.1.clone();
        let (wanted, there) = (labels(&one.expected), labels(&one.found));
        let mut left = wanted.iter();
        let only_missing = there.iter().all(|label| left.any(|other| other == label));
        let new: Vec<&&str> = wanted.iter().filter(|label| !there.contains(label)).collect();
        // A label cannot be used in the transaction that adds it.
        let objects = self.sides.wanted.facts.objects.iter().filter(|((kind, _), _)| kind != "function");
        let texts: Vec<&str> = objects
            .flat_map(|(_, object)| object.properties.values())
            .map(|property| property.value.as_str())
            .collect();
        let used = new.iter().any(|label| texts.iter().any(|text| text.contains(&format!("{label}::{name}"))));
        if only_missing && !used {
            for (place, label) in wanted.iter().enumerate().filter(|(_, label)| !there.contains(label)) {
                let before = place.checked_sub(1).and_then(|before| wanted.get(before));
                let after = before.map_or_else(
                    || there.first().map(|first| format!(" BEFORE {first}")).unwrap_or_default(),
                    |before| format!(" AFTER {before}"),
                );
                self.script.put(Section::Enums, format!("ALTER TYPE {name} ADD VALUE {label}{after}"));
            }
            return;
        }
        let bare = name.rsplit_once('.').map_or(name.as_str(), |(_, bare)| bare);
        let old = format!("{}_{OLD}", bare.trim_matches('"'));
        let old = if bare.starts_with('"') { format!("\"{old}\"") } else { old };
        self.script.put(Section::Enums, format!("ALTER TYPE {name} RENAME TO {old}"));
        self.script.put(Section::Enums, format!("CREATE TYPE {name} AS ENUM ({})", one.expected));
        let object = self.sides.wanted.object("enum", &name);
        if let Some(comment) = object.and_then(|object| object.properties.get("comment")) {
            self.script.put(Section::Comments, comment.mend.clone());
        }
        let columns = self.sides.wanted.facts.objects.keys().filter(|(kind, column)| {
            let kinds = [self.sides.wanted.value(kind, column, "type"), self.sides.there.value(kind, column, "type")];
            kind == "column" && (kinds == [name.as_str(); 2] || kinds == [format!("{name}[]").as_str(); 2])
        });
        let columns: Vec<(String, String)> = columns
            .map(|(kind, column)| (column.clone(), self.sides.wanted.value(kind, column, "type").to_owned()))
            .collect();
        for (column, kind) in columns {
            self.retype(&column, &kind, &kind);
        }
    }
}

/// The labels of an enum's definition, as literals.
pub(super) fn labels(definition: &str) -> Vec<&str> {
    let mut quoted = false;
    let labels = definition.split(|c: char| {
        quoted ^= c == '\'';
        c == ',' && !quoted
    });
    labels.map(str::trim).filter(|label| !label.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_hold_what_separates_them() {
        assert_eq!(labels("'a', 'b, c', 'it''s, so'"), ["'a'", "'b, c'", "'it''s, so'"]);
        assert_eq!(labels(""), Vec::<&str>::new());
    }

    #[test]
    fn only_conversions_that_keep_every_value_are_derived() {
        for (from, to, is_enum, using) in [
            ("text", "public.s", true, "c::text::public.s"),
            ("text[]", "public.s[]", true, "c::text[]::public.s[]"),
            ("character varying(10)", "text", false, "c::text"),
            ("text", "character varying", false, "c::character varying"),
            ("text", "uuid", false, "c::uuid"),
            ("uuid", "text", false, "c::text"),
            ("json", "jsonb", false, "c::jsonb"),
            ("bigint", "integer", false, "c::integer"),
        ] {
            assert_eq!(conversion("c", from, to, is_enum).as_deref(), Some(using), "{from} to {to}");
        }
        // Cut off, rounded, moved by a time zone, or read in more than one way.
        for (from, to) in [
            ("text", "character varying(10)"),
            ("numeric", "integer"),
            ("timestamp without time zone", "timestamp with time zone"),
            ("timestamp with time zone", "timestamp without time zone"),
            ("text", "timestamp with time zone"),
            ("text", "integer"),
            ("jsonb", "jsonb[]"),
            ("double precision", "real"),
        ] {
            assert_eq!(conversion("c", from, to, false), None, "{from} to {to}");
        }
    }
}
