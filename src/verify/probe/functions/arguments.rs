//! What to give for an argument: first what names a hidden row, then one's own, then what lets everything through, then
//! NULL.

use super::{Function, hidden_rows, own_rows};
use crate::db::quote::table as quote_table;
use crate::model::access::TableName;
use crate::model::catalog::Column;
use crate::verify::probe::policies::strings;
use crate::verify::probe::site::Site;
use crate::verify::world::Row;
use crate::verify::world::insert::sql_value;
use crate::verify::world::values::{as_element, value};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How many hidden values are tried for one argument.
const HIDDEN: usize = 4;

/// How many names that stand in a function's text are put into a document for it.
const NAMES: usize = 40;

/// What a call needs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Argument {
    #[serde(flatten)]
    column: Column,
    /// Of an array its elements', else its own type.
    element_type: String,
    /// The table whose row it is.
    table: Option<TypeTable>,
    /// Of a row or composite type (or an array of such) its columns.
    attributes: Option<Vec<Attribute>>,
}

#[derive(Debug, Clone, Deserialize)]
struct TypeTable {
    schema: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Attribute {
    name: String,
    base_type: String,
    is_array: bool,
}

/// The rows that values are taken from.
struct Rows<'a> {
    hidden: Vec<&'a Row>,
    own: Vec<&'a Row>,
    /// Another's account, and one's own.
    accounts: [Option<String>; 2],
}

impl Argument {
    /// As findings and obstacles name its type.
    pub(super) fn type_name(&self) -> &str {
        &self.column.type_name
    }

    /// SQL expressions for it; `None` where no value of its type is known.
    pub(super) fn values(&self, site: &Site<'_>, persona: usize, function: &Function) -> Option<Vec<String>> {
        let other = site.scene(0, persona).other_holder().and_then(|other| site.persona(other).uid.clone());
        let rows = Rows {
            hidden: hidden_rows(site, persona),
            own: own_rows(site, persona),
            accounts: [other, site.persona(persona).uid.clone()],
        };
        let null = format!("NULL::{}", self.column.type_name);
        if let Some(attributes) = &self.attributes {
            let made = [&rows.hidden, &rows.own].map(|rows| self.composite(site, attributes, rows));
            return Some(unique(made.into_iter().chain([null])));
        }
        if let Some(polymorphic) = self.polymorphic(site, &rows) {
            return Some(polymorphic);
        }
        let typed = |text: String| format!("{}::{}", sql_value(Some(&text)), self.column.type_name);
        Some(unique(self.texts(site, function, &rows)?.into_iter().map(typed).chain([null])))
    }

    /// Whether it is JSON.
    pub(super) fn is_document(&self) -> bool {
        is_document(&self.column.base_type)
    }

    /// Whether any text can be given for it: itself, or in an array or document.
    pub(super) fn holds_text(&self) -> bool {
        self.attributes.is_none()
            && self.column.enum_labels.is_empty()
            && (is_text(&self.column.base_type) || is_document(&self.column.base_type))
    }

    /// That text, as an SQL expression of its type; in a document under each name that stands in the function.
    pub(super) fn text(&self, text: &str, function: &Function) -> String {
        let value = if is_document(&self.column.base_type) {
            let names = function.names().into_iter().map(|name| (name, Value::from(text)));
            let named: Map<String, Value> = names.collect();
            // A document is taken as it is.
            let whole = serde_json::from_str::<Value>(text).ok();
            whole.unwrap_or_else(|| if named.is_empty() { text.into() } else { named.into() }).to_string()
        } else {
            text.to_owned()
        };
        let value = if self.column.is_array { as_element(&value) } else { value };
        format!("{}::{}", sql_value(Some(&value)), self.column.type_name)
    }

    /// A row of the type, or an array of one: of the table where it is a table's, else of what fits its columns.
    fn composite(&self, site: &Site<'_>, attributes: &[Attribute], rows: &[&Row]) -> String {
        let of_table = self.table.as_ref().and_then(|table| {
            let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
            rows.iter().find(|row| site.table(row.subject).name() == name)
        });
        let document = of_table.map_or_else(
            || {
                let likely = |attribute: &Attribute| {
                    let found = likely(site, &plain(&attribute.name), &attribute.base_type, rows).into_iter().next();
                    let found =
                        found.map(|text| if attribute.is_array { vec![text].into() } else { Value::from(text) });
                    found.map(|found| (attribute.name.clone(), found))
                };
                Value::Object(attributes.iter().filter_map(likely).collect()).to_string()
            },
            |row| Value::Object(json(row)).to_string(),
        );
        let row = format!("jsonb_populate_record(NULL::{}, {}::jsonb)", self.element_type, sql_value(Some(&document)));
        if self.column.is_array { format!("ARRAY[{row}]::{}", self.column.type_name) } else { row }
    }

    /// For a type that the call itself says: rows of the tables that hide some, whose type alone may tell the function what to
    /// read; keys.
    fn polymorphic(&self, site: &Site<'_>, rows: &Rows<'_>) -> Option<Vec<String>> {
        let array = match self.column.base_type.as_str() {
            "anyelement" | "anynonarray" | "anycompatible" | "anycompatiblenonarray" => false,
            "anyarray" | "anycompatiblearray" => true,
            _ => return None,
        };
        let mut tables = BTreeSet::new();
        let hiding = rows.hidden.iter().filter(|row| tables.insert(row.subject));
        let rows_of = hiding.take(HIDDEN).map(|row| format!("NULL::{}", quote_table(&site.table(row.subject).name())));
        let keys = ["uuid", "text", "int8"].into_iter().flat_map(|base| {
            let keys = likely(site, &self.column.name, base, &rows.hidden).into_iter().take(2);
            keys.map(move |key| format!("{}::pg_catalog.{base}", sql_value(Some(&key))))
        });
        let all = rows_of.chain(keys);
        Some(unique(all.map(|value| if array { format!("ARRAY[{value}]") } else { value })))
    }

    /// Values as text, best first.
    fn texts(&self, site: &Site<'_>, function: &Function, rows: &Rows<'_>) -> Option<Vec<String>> {
        let column = &self.column;
        let base = column.base_type.as_str();
        if !column.enum_labels.is_empty() {
            return Some(column.enum_labels.iter().map(|label| self.element(label)).collect());
        }
        if is_document(base) {
            return Some(
                documents(site, function, rows).iter().map(|value| self.element(&value.to_string())).collect(),
            );
        }
        let wanted = plain(&column.name);
        let hidden = likely(site, &wanted, base, &rows.hidden);
        let own = likely(site, &wanted, base, &rows.own).into_iter().take(1);
        let accounts: Vec<String> = match base {
            _ if base == "uuid" || is_text(base) => rows.accounts.iter().flatten().cloned().collect(),
            _ => Vec::new(),
        };
        let mut texts: Vec<String> = Vec::new();
        if column.is_array && !hidden.is_empty() {
            let all: Vec<String> = hidden.iter().map(|text| as_element(text)).collect();
            texts.push(format!("{{{}}}", all.iter().map(|one| &one[1..one.len() - 1]).collect::<Vec<_>>().join(",")));
        }
        let hidden = hidden.into_iter().take(HIDDEN);
        let front = front(site, function, &wanted, base, rows);
        // Whoever the argument names is tried first: then the other arguments are that one's rows.
        texts.extend(front.into_iter().map(|text| self.element(&text)));
        if names_account(&wanted) {
            texts.extend(accounts.iter().chain(&hidden.collect::<Vec<_>>()).map(|text| self.element(text)));
        } else {
            texts.extend(hidden.chain(accounts).map(|text| self.element(&text)));
        }
        texts.extend(open(base).iter().map(|text| self.element(text)));
        if texts.is_empty() {
            texts.push(value(column, 999_001)?);
        }
        // What shows that the function works comes last.
        texts.extend(own.map(|text| self.element(&text)));
        Some(texts)
    }

    fn element(&self, text: &str) -> String {
        if self.column.is_array { as_element(text) } else { text.to_owned() }
    }
}

/// What an argument of such a name is given before all else: a bound that lets everything through, or in a function that
/// makes SQL of text the name of a table or column.
fn front(site: &Site<'_>, function: &Function, wanted: &str, base: &str, rows: &Rows<'_>) -> Vec<String> {
    let holds = |words: &[&str]| words.iter().any(|word| wanted.contains(word));
    if base.starts_with("int") || base == "numeric" {
        if holds(&["offset", "skip"]) {
            return vec!["0".to_owned()];
        }
        if holds(&["limit", "size", "count", "max", "top", "take", "first", "per_page"]) {
            return vec!["1000".to_owned()];
        }
        return if holds(&["page"]) { vec!["0".to_owned(), "1".to_owned()] } else { Vec::new() };
    }
    if !is_text(base) || !function.is_dynamic() {
        return Vec::new();
    }
    let Some(row) = rows.hidden.first().or(rows.own.first()) else { return Vec::new() };
    let table = site.table(row.subject);
    let column = table.columns.iter().map(|column| column.name.clone()).next();
    if holds(&["schema"]) {
        return vec![table.schema.clone()];
    }
    if holds(&["column", "col", "field", "sort", "order"]) {
        return column.into_iter().collect();
    }
    [Some(table.table.clone()), Some(table.name().to_string()), column].into_iter().flatten().collect()
}

/// What lets everything through, of that type.
fn open(base: &str) -> &'static [&'static str] {
    match base {
        "bool" => &["true", "false"],
        "date" | "timestamp" | "timestamptz" => &["-infinity", "infinity"],
        "int2" | "int4" | "int8" => &["0", "1", "100"],
        "numeric" | "float4" | "float8" => &["0", "1e9", "-1e9"],
        "text" | "varchar" => &["", "%"],
        _ => &[],
    }
}

/// Documents that name hidden rows, another account and one's own, under the names of columns and those that stand in the
/// function; a list of keys and one of documents; an empty one.
fn documents(site: &Site<'_>, function: &Function, rows: &Rows<'_>) -> Vec<Value> {
    let names = function.names();
    let document = |rows: &[&Row], account: Option<&String>| {
        let mut document = rows.first().map(|row| json(row)).unwrap_or_default();
        for name in &names {
            let wanted = plain(name);
            let found = likely(site, &wanted, "text", rows).into_iter().next();
            let found = if names_account(&wanted) { account.cloned().or(found) } else { found };
            document.entry(name.clone()).or_insert_with(|| found.map_or(Value::Null, Value::from));
        }
        Value::Object(document)
    };
    let [other, own] = &rows.accounts;
    let (hidden, mine) = (document(&rows.hidden, other.as_ref()), document(&rows.own, own.as_ref()));
    let all_accounts = names.iter().map(|name| (name.clone(), other.clone().map_or(Value::Null, Value::from)));
    let all_accounts = Value::Object(all_accounts.collect());
    let keys: Vec<String> = likely(site, "id", "uuid", &rows.hidden).into_iter().take(HIDDEN).collect();
    vec![hidden.clone(), all_accounts, mine, Value::Array(vec![hidden]), keys.into(), Value::Object(Map::new())]
}

impl Function {
    /// The names that its text asks a document for: its constants, and where it unfolds one into a list of columns, its
    /// words.
    fn names(&self) -> Vec<String> {
        let source = self.source.as_deref().unwrap_or_default();
        let mut names = strings(source);
        if source.contains("to_record") {
            let words = source.split(|c: char| !c.is_alphanumeric() && c != '_');
            names.extend(words.filter(|word| word.chars().any(char::is_lowercase)).map(str::to_owned));
        }
        let mut seen = BTreeSet::new();
        let is_name = |name: &String| {
            name.len() > 1
                && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
                && name.starts_with(|c: char| c.is_alphabetic())
        };
        names.retain(|name| is_name(name) && seen.insert(name.clone()));
        names.truncate(NAMES);
        names
    }
}

fn unique(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    values.filter(|value| seen.insert(value.clone())).collect()
}

pub(super) fn is_text(base_type: &str) -> bool {
    matches!(base_type, "text" | "varchar" | "bpchar" | "citext" | "name")
}

fn is_document(base_type: &str) -> bool {
    matches!(base_type, "json" | "jsonb")
}

/// An argument's name without what marks it as one.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = ["p_", "in_", "arg_", "v_"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    name.trim_matches('_').to_owned()
}

/// Whether an argument of that name is likely to be whose rows are wanted.
fn names_account(wanted: &str) -> bool {
    [
        "user", "owner", "account", "uid", "profile", "member", "author", "creator", "patient", "customer", "person",
        "sub",
    ]
    .iter()
    .any(|word| wanted.contains(word))
}

/// Values of the rows that fit the type, best first: from a column named as the argument is, from a key, others.
fn likely(site: &Site<'_>, wanted: &str, base: &str, rows: &[&Row]) -> Vec<String> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for row in rows {
        let table = site.table(row.subject);
        for (name, value) in &row.values {
            let (Some(column), Some(value)) = (table.column(name), value) else { continue };
            let of = column.base_type.as_str();
            let fits = of == base
                || is_text(base) && (is_text(of) || of == "uuid")
                || base.starts_with("int") && of.starts_with("int");
            if !fits || column.is_array {
                continue;
            }
            let key = table.uniques.iter().any(|columns| columns.as_slice() == [name.clone()]);
            let singular = table.table.trim_end_matches('s');
            let rank = if name == wanted {
                0
            } else if key && (wanted.contains(singular) || wanted.is_empty() || wanted == "id") {
                1
            } else if !wanted.is_empty() && (name.contains(wanted) || wanted.contains(name.as_str())) {
                2
            } else if key {
                3
            } else {
                4
            };
            found.push((rank, value.clone()));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    unique(found.into_iter().map(|(_, value)| value))
}

/// The row as a JSON object of texts.
fn json(row: &Row) -> Map<String, Value> {
    let values = row.values.iter();
    values.map(|(name, value)| (name.clone(), value.clone().map_or(Value::Null, Value::from))).collect()
}
