//! How the contract writes an owner: `owner = "…"`, `{ all = […] }`, `{ any = […] }`, `owner_sql = "…"`.

use crate::contract::reader::{Entry, Reader, Text, entries, kind, suggest};
use crate::contract::sql_text;
use crate::model::access::{OwnerPath, Ownership, TableName};
use toml::de::DeValue;

const FORMS: &str = "write owner = \"column\", \"column -> parent.column\", { all = […] }, { any = […] } or \"none\"";

/// A name as it stands in a table's key: `schema.table` where the first part is a schema of `[api]`, else a table of
/// the first of them.
pub(super) fn table_name(key: &str, schemas: &[String]) -> TableName {
    let qualified = schemas.iter().filter_map(|schema| {
        let name = key.strip_prefix(schema.as_str())?.strip_prefix('.')?;
        (!name.is_empty()).then(|| TableName { schema: schema.clone(), name: name.to_owned() })
    });
    // The longest schema: one can be named as another with a dot and more behind.
    qualified
        .max_by_key(|name| name.schema.len())
        .unwrap_or_else(|| TableName { schema: schemas.first().cloned().unwrap_or_default(), name: key.to_owned() })
}

/// `owner = …`.
pub(super) fn ownership(reader: &mut Reader<'_>, entry: Entry<'_, '_>, schemas: &[String]) -> Option<Ownership> {
    match entry.value.get_ref() {
        DeValue::String(_) => {
            let text = reader.string(entry.value, "the owner")?;
            if text.0.trim() == "none" {
                return Some(Ownership::None);
            }
            Some(Ownership::All(vec![path(reader, &text, schemas)?]))
        }
        DeValue::Table(table) => {
            let all = entries(table);
            let [only] = all.as_slice() else {
                let failure = reader
                    .failure(entry.key_span(), "an owner is either all or any of several paths", "one key, not more")
                    .help(FORMS);
                reader.report(failure);
                return None;
            };
            if !matches!(only.key(), "all" | "any") {
                let what = format!("unknown key `{}` in an owner", only.key());
                let failure = suggest(
                    reader.failure(only.key_span(), what, "unknown key"),
                    only.key(),
                    ["all", "any"].into_iter(),
                );
                reader.report(failure);
                return None;
            }
            let texts = reader.strings(only.value, "the owner's paths")?;
            if texts.is_empty() {
                let failure = reader
                    .failure(only.value.span(), "an owner without a path", "name at least one")
                    .help("a table without owners is written owner = \"none\"");
                reader.report(failure);
                return None;
            }
            let paths: Vec<_> = texts.iter().map(|text| path(reader, text, schemas)).collect();
            let paths = paths.into_iter().collect::<Option<Vec<_>>>()?;
            Some(if only.key() == "all" { Ownership::All(paths) } else { Ownership::Any(paths) })
        }
        other => {
            let found = format!("found {}", kind(other));
            let failure = reader.failure(entry.value.span(), "an owner must be a string or a table", found).help(FORMS);
            reader.report(failure);
            None
        }
    }
}

/// `owner_sql = …`.
pub(super) fn condition(reader: &mut Reader<'_>, entry: Entry<'_, '_>) -> Option<Ownership> {
    let (sql, span) = reader.string(entry.value, "owner_sql")?;
    let failure = match sql_text::uids(&sql) {
        Ok(found) if !found.is_empty() => return Some(Ownership::Sql(sql)),
        Ok(_) => reader
            .failure(span, "owner_sql does not ask about :uid", "true of the same rows for everybody")
            .help("compare something with :uid, or write owner = \"none\" where rows have no owner"),
        Err((at, why)) => {
            let part = sql.get(at.clone()).unwrap_or_default();
            let behind = at.start;
            reader.failure(span, "owner_sql is not one expression", why).note(format!(
                "`{part}` at character {} of the text",
                sql.get(..behind).unwrap_or_default().chars().count() + 1
            ))
        }
    };
    reader.report(failure);
    None
}

/// One path: `column`, or `column -> parent.column`.
fn path(reader: &mut Reader<'_>, text: &Text, schemas: &[String]) -> Option<OwnerPath> {
    match parse_path(&text.0, schemas) {
        Ok(path) => Some(path),
        Err(why) => {
            let failure = reader
                .failure(text.1.clone(), format!("`{}` is no path to an owner", text.0), why)
                .help("write \"column\" or \"column -> parent.column\"; names are taken as they are, and one with a space, dot or quote stands in double quotes");
            reader.report(failure);
            None
        }
    }
}

/// One path's text, or why it is none.
pub(super) fn parse_path(text: &str, schemas: &[String]) -> Result<OwnerPath, String> {
    let (left, right) = match split_arrow(text) {
        Some((left, right)) => (left, Some(right)),
        None => (text, None),
    };
    let mut left = names(left)?;
    let column = match (left.pop(), left.is_empty()) {
        (Some(column), true) => column,
        _ => return Err("the left side is one column of this table".to_owned()),
    };
    let Some(right) = right else {
        return Ok(OwnerPath::Column(column));
    };
    let mut right = names(right)?;
    let (Some(parent_column), Some(name)) = (right.pop(), right.pop()) else {
        return Err("the right side must name the parent's column: parent.column".to_owned());
    };
    let schema = match (right.pop(), right.is_empty()) {
        (None, _) => schemas.first().cloned().unwrap_or_default(),
        (Some(schema), true) if schemas.contains(&schema) => schema,
        (Some(schema), true) => return Err(format!("`{schema}` is not among the schemas of [api]")),
        (Some(_), false) => return Err("the right side is schema.parent.column at most".to_owned()),
    };
    Ok(OwnerPath::Parent { column, parent: TableName { schema, name }, parent_column })
}

/// Both sides of the first `->` outside double quotes.
fn split_arrow(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        quoted ^= character == '"';
        if !quoted && text.get(at..).is_some_and(|rest| rest.starts_with("->")) {
            return Some((text.get(..at)?, text.get(at + 2..)?));
        }
    }
    None
}

/// Names between dots, each bare or in double quotes as in SQL; a bare one is not folded to lower case.
fn names(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        let name;
        (name, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_name(quoted)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let (bare, rest) = rest.split_at(end);
                if let Some(odd) = bare.chars().find(|c| c.is_whitespace() || "\"'(),;:<>=-".contains(*c)) {
                    return Err(format!("a name with `{odd}` stands in double quotes"));
                }
                (bare.to_owned(), rest)
            }
        };
        if name.is_empty() {
            return Err("a name is missing".to_owned());
        }
        names.push(name);
        if rest.is_empty() {
            return Ok(names);
        }
        rest = rest.strip_prefix('.').ok_or("a dot belongs between two names")?;
    }
}

/// A name as a path writes it: in double quotes where it could be read as anything else.
pub(super) fn written(name: &str) -> String {
    let odd = |c: char| c.is_whitespace() || "\"'(),;:<>=-.".contains(c);
    if name.is_empty() || name == "none" || name.contains(odd) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

/// The name behind an opening quote, and what follows the closing one.
fn quoted_name(text: &str) -> Result<(String, &str), String> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"').ok_or("the double quote is not closed")?;
        name.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Ok((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_written() {
        let schemas = ["public".to_owned(), "app".to_owned()];
        let parent = |column: &str, schema: &str, name: &str, parent_column: &str| OwnerPath::Parent {
            column: column.to_owned(),
            parent: TableName { schema: schema.to_owned(), name: name.to_owned() },
            parent_column: parent_column.to_owned(),
        };
        for (text, expected) in [
            ("user_id", OwnerPath::Column("user_id".to_owned())),
            (" Größe ", OwnerPath::Column("Größe".to_owned())),
            (r#""a -> ""b"".c""#, OwnerPath::Column(r#"a -> "b".c"#.to_owned())),
            ("a->b.c", parent("a", "public", "b", "c")),
            ("a -> app.b.c", parent("a", "app", "b", "c")),
            (r#""x y" -> "b.b"."c d""#, parent("x y", "public", "b.b", "c d")),
        ] {
            assert_eq!(parse_path(text, &schemas).as_ref(), Ok(&expected), "{text}");
        }
        for text in [
            "",
            "a.b",
            "a ->",
            "-> b.c",
            "a -> b",
            "a -> x.b.c",
            "a -> w.x.y.z",
            "a b",
            "\"a",
            "a..b",
            "a -> \"b\"c",
            "a -> b -> c.d",
        ] {
            assert!(parse_path(text, &schemas).is_err(), "{text}");
        }
    }

    #[test]
    fn a_written_name_is_read_as_itself() {
        let schemas = ["public".to_owned()];
        for name in ["a", "none", "a b", "a.b", r#"a"b"#, "a->b", "größe", "it's", "a;", " "] {
            assert_eq!(parse_path(&written(name), &schemas), Ok(OwnerPath::Column(name.to_owned())), "{name}");
            assert!(name != "none" || written(name) != name);
        }
    }

    #[test]
    fn a_key_names_a_schema_only_where_the_api_has_it() {
        let schemas = ["public".to_owned(), "app".to_owned(), "app.x".to_owned()];
        let name = |schema: &str, name: &str| TableName { schema: schema.to_owned(), name: name.to_owned() };
        assert_eq!(table_name("t", &schemas), name("public", "t"));
        assert_eq!(table_name("app.t", &schemas), name("app", "t"));
        assert_eq!(table_name("app.x.t", &schemas), name("app.x", "t"));
        assert_eq!(table_name("other.t", &schemas), name("public", "other.t"));
        assert_eq!(table_name("app.", &schemas), name("public", "app."));
    }
}
