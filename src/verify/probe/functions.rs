//! The functions that actors may call, and the calls that are tried: arguments from the rows of the world.

use super::site::Site;
use crate::db::error::DbError;
use crate::db::session::StatementResult;
use crate::model::access::{Command, Standing, TableName};
use crate::model::catalog::Column;
use crate::model::failure::Failure;
use crate::model::finding::Reach;
use crate::verify::world::Row;
use crate::verify::world::insert::sql_value;
use crate::verify::world::rows::Values;
use crate::verify::world::values::value;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How many rows of an answer are looked at.
const ANSWER_ROWS: usize = 10_000;

/// How many calls of one function are tried as one persona, at most; fewer where errors are dear.
const CALLS: (usize, usize) = (48, 16);

/// How many values are tried for one argument.
const VALUES: usize = 6;

/// A function or procedure.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Function {
    /// Quoted, with its schema.
    pub(super) name: String,
    /// As people and REVOKE name it: `public.f(uuid, text)`.
    pub(super) signature: String,
    /// Whether its schema is exposed.
    pub(super) exposed: bool,
    /// SECURITY DEFINER.
    pub(super) definer: bool,
    pub(super) procedure: bool,
    pub(super) volatile: bool,
    /// Whether it is a trigger's and can't be called.
    pub(super) trigger: bool,
    /// Whether a trigger or policy of the contract's schemas calls it.
    pub(super) in_reach: bool,
    bare_record: bool,
    returns_in_out: bool,
    variadic: bool,
    required: usize,
    /// `proconfig`.
    pub(super) config: Vec<String>,
    /// Its text; `None` where it was parsed when it was made, or is no text.
    pub(super) source: Option<String>,
    pub(super) language: String,
    /// The database roles of the contract's untrusted actors that may call it.
    pub(super) roles: Vec<String>,
    pub(super) arguments: Vec<Argument>,
}

/// What a call needs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Argument {
    #[serde(flatten)]
    pub(super) column: Column,
    /// The table whose row it is.
    table: Option<TypeTable>,
}

#[derive(Debug, Clone, Deserialize)]
struct TypeTable {
    schema: String,
    name: String,
}

/// Every function outside PostgreSQL's own schemas and extensions.
///
/// # Errors
/// The server's.
pub(super) async fn functions(site: &Site<'_>) -> Result<Vec<Function>, Failure> {
    site.catalogue(include_str!("functions.sql")).await
}

impl Function {
    /// As findings name it.
    pub(super) fn object(&self) -> String {
        format!("function {}", self.signature)
    }

    /// `FUNCTION public.f(uuid)`, for ALTER, GRANT and REVOKE.
    pub(super) fn statement_name(&self) -> String {
        format!("{} {}", if self.procedure { "PROCEDURE" } else { "FUNCTION" }, self.signature)
    }

    /// PostgREST calls exposed functions, and no procedures.
    pub(super) fn reach(&self) -> Reach {
        if self.exposed && !self.procedure { Reach::Api } else { Reach::Sql }
    }

    /// The personas that try and may call it.
    pub(super) fn callers(&self, site: &Site<'_>) -> Vec<usize> {
        site.knockers().filter(|&persona| self.roles.contains(&site.persona(persona).actor.role)).collect()
    }

    /// Why it can't be called here, if so.
    pub(super) fn obstacle(&self, site: &Site<'_>) -> Option<String> {
        if site.target && self.volatile {
            return Some("it is VOLATILE, and what it would do on a target is not known".to_owned());
        }
        if self.bare_record {
            return Some("it returns record: its columns are not known".to_owned());
        }
        if self.procedure && self.returns_in_out {
            return Some("it is a procedure with OUT parameters".to_owned());
        }
        self.arguments
            .iter()
            .find(|argument| self.values(site, 0, argument).is_none())
            .map(|argument| format!("no value of type {} can be made", argument.column.type_name))
    }

    /// The statement that calls it with these SQL expressions.
    pub(super) fn call(&self, arguments: &[String]) -> String {
        let last = arguments.len().saturating_sub(1);
        let arguments: Vec<String> = arguments
            .iter()
            .enumerate()
            .map(|(index, argument)| {
                let whole = self.variadic && index == last && arguments.len() == self.arguments.len();
                if whole { format!("VARIADIC {argument}") } else { argument.clone() }
            })
            .collect();
        let call = format!("{}({})", self.name, arguments.join(", "));
        if self.procedure {
            format!("CALL {call}")
        } else {
            format!("SELECT r::text FROM {call} AS r LIMIT {ANSWER_ROWS}")
        }
    }

    /// The calls to try as that persona: every combination of values where those are few; else each value of each
    /// argument, the others being a hidden row's, one's own and NULL in turn.
    pub(super) fn calls(&self, site: &Site<'_>, persona: usize) -> Vec<String> {
        let most = if site.stepwise { CALLS.1 } else { CALLS.0 };
        let mut calls = Vec::new();
        for given in [self.arguments.len(), self.required] {
            let values: Option<Vec<Vec<String>>> =
                self.arguments.iter().take(given).map(|argument| self.values(site, persona, argument)).collect();
            let Some(values) = values else { continue };
            let product = values.iter().try_fold(1_usize, |product, values| product.checked_mul(values.len()));
            if product.is_some_and(|product| product <= most) {
                let mut rows: Vec<Vec<String>> = vec![Vec::new()];
                for values in &values {
                    rows = rows
                        .iter()
                        .flat_map(|row| {
                            values.iter().map(|value| [row.as_slice(), std::slice::from_ref(value)].concat())
                        })
                        .collect();
                }
                calls.extend(rows.iter().map(|row| self.call(row)));
            } else {
                let bases = [0, 1, 2].map(|nth| values.iter().map(|values| pick(values, nth)).collect::<Vec<String>>());
                for base in bases {
                    calls.push(self.call(&base));
                    for (index, values) in values.iter().enumerate() {
                        for value in values {
                            let mut row = base.clone();
                            value.clone_into(&mut row[index]);
                            calls.push(self.call(&row));
                        }
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        calls.retain(|call| seen.insert(call.clone()));
        calls.truncate(most * 2);
        calls
    }

    /// SQL expressions for an argument, first what names a hidden row, then one's own, then NULL; `None` where no value of its
    /// type is known.
    fn values(&self, site: &Site<'_>, persona: usize, argument: &Argument) -> Option<Vec<String>> {
        let column = &argument.column;
        let typed = |text: &str| format!("{}::{}", sql_value(Some(text)), column.type_name);
        let null = format!("NULL::{}", column.type_name);
        let hidden = hidden_rows(site, persona);
        let own = own_rows(site, persona);
        if let Some(table) = &argument.table {
            let name = TableName { schema: table.schema.clone(), name: table.name.clone() };
            let of = |rows: &[&Row]| {
                let row = rows.iter().find(|row| site.table(row.subject).name() == name)?;
                Some(format!(
                    "jsonb_populate_record(NULL::{}, {}::jsonb)",
                    column.type_name,
                    sql_value(Some(&json(row)))
                ))
            };
            return Some([of(&hidden), of(&own), Some(null)].into_iter().flatten().collect());
        }
        let element = |text: String| {
            if column.is_array { format!("{{\"{}\"}}", text.replace('\\', "\\\\").replace('"', "\\\"")) } else { text }
        };
        let mut texts: Vec<String> = Vec::new();
        match column.base_type.as_str() {
            "bool" if !column.is_array => texts.extend(["true", "false"].map(str::to_owned)),
            "json" | "jsonb" if !column.is_array => {
                texts.extend(hidden.first().map(|row| json(row)));
                texts.extend(own.first().map(|row| json(row)));
            }
            _ if !column.enum_labels.is_empty() => {
                texts.extend(column.enum_labels.iter().take(VALUES).cloned().map(element))
            }
            "uuid" | "text" | "varchar" | "bpchar" | "citext" | "name" | "int2" | "int4" | "int8" | "numeric" => {
                let hidden = likely(site, column, &hidden);
                if column.is_array {
                    let all: Vec<String> = hidden.iter().map(|text| format!("\"{text}\"")).collect();
                    texts.push(format!("{{{}}}", all.join(",")));
                } else {
                    texts.extend(hidden.into_iter().take(VALUES - 2));
                    // Another's id names rows in itself; one's own shows that the function works.
                    let second =
                        site.scene(0, persona).other_holder().and_then(|other| site.persona(other).uid.clone());
                    let uids = [second, site.persona(persona).uid.clone()].into_iter().flatten();
                    if is_text(column) || column.base_type == "uuid" {
                        texts.extend(uids);
                    }
                }
                texts.extend(likely(site, column, &own).into_iter().take(1).map(element));
                if texts.is_empty() {
                    texts.extend(value(column, 1));
                }
            }
            _ => texts.push(value(column, 999_001)?),
        }
        let mut seen = BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        let mut values: Vec<String> = texts.iter().map(|text| typed(text)).collect();
        values.push(null);
        Some(values)
    }
}

/// The first of one kind: 0 the first, 1 the last before NULL, 2 NULL.
fn pick(values: &[String], nth: usize) -> String {
    let index = match nth {
        0 => 0,
        1 => values.len().saturating_sub(2),
        _ => values.len().saturating_sub(1),
    };
    values.get(index).cloned().unwrap_or_else(|| "NULL".to_owned())
}

fn is_text(column: &Column) -> bool {
    matches!(column.base_type.as_str(), "text" | "varchar" | "bpchar" | "citext" | "name")
}

/// Values of the rows that fit the type, best first: from a column named as the argument is, from a key, others.
fn likely(site: &Site<'_>, argument: &Column, rows: &[&Row]) -> Vec<String> {
    let wanted = argument.name.trim_start_matches("p_").trim_start_matches("in_").trim_matches('_');
    let mut found: Vec<(usize, String)> = Vec::new();
    for row in rows {
        let table = site.table(row.subject);
        for (name, value) in &row.values {
            let (Some(column), Some(value)) = (table.column(name), value) else { continue };
            let fits = column.base_type == argument.base_type
                || is_text(argument) && (is_text(column) || column.base_type == "uuid")
                || argument.base_type.starts_with("int") && column.base_type.starts_with("int");
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
    let mut seen = BTreeSet::new();
    found.into_iter().map(|(_, value)| value).filter(|value| seen.insert(value.clone())).collect()
}

/// The row as a JSON object of texts.
fn json(row: &Row) -> String {
    let values = row
        .values
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().map_or(serde_json::Value::Null, Into::into)));
    serde_json::Value::Object(values.collect()).to_string()
}

/// The world's rows that the persona is not promised to see: of each table one of each standing first.
pub(super) fn hidden_rows<'a>(site: &'a Site<'_>, persona: usize) -> Vec<&'a Row> {
    hidden_rows_of(site, persona, 0..site.subjects().len())
}

/// As [`hidden_rows`], of those subjects.
pub(super) fn hidden_rows_of<'a>(
    site: &'a Site<'_>,
    persona: usize,
    subjects: impl IntoIterator<Item = usize>,
) -> Vec<&'a Row> {
    rows(site, persona, subjects, |standing, seen| !seen && standing != Standing::Own)
}

fn own_rows<'a>(site: &'a Site<'_>, persona: usize) -> Vec<&'a Row> {
    rows(site, persona, 0..site.subjects().len(), |standing, seen| seen && standing == Standing::Own)
}

fn rows<'a>(
    site: &'a Site<'_>,
    persona: usize,
    subjects: impl IntoIterator<Item = usize>,
    wanted: impl Fn(Standing, bool) -> bool,
) -> Vec<&'a Row> {
    let mut ranked: Vec<(usize, &Row)> = Vec::new();
    for subject in subjects {
        let scene = site.scene(subject, persona);
        for standing in Standing::ALL {
            if wanted(standing, scene.promised(standing, Command::Select)) {
                let rows = site.rows(subject, persona, standing);
                ranked.extend(rows.into_iter().enumerate().map(|(nth, (row, _))| (nth, row)));
            }
        }
    }
    ranked.sort_by_key(|(nth, _)| *nth);
    ranked.into_iter().map(|(_, row)| row).collect()
}

/// What names hidden rows in an answer: texts that stand in no row that the persona may see, by the subject.
#[derive(Debug, Default)]
pub(super) struct Secrets(BTreeMap<String, (usize, Standing)>);

impl Secrets {
    /// Those hidden from a persona.
    pub(super) fn of(site: &Site<'_>, persona: usize) -> Self {
        let telling = |subject: usize, values: &Values| -> Vec<String> {
            let table = site.table(subject);
            let long = |name: &String, value: &String| {
                value.len() >= 6
                    && table.column(name).is_some_and(|column| {
                        !column.is_array
                            && column.enum_labels.is_empty()
                            && (is_text(column)
                                || matches!(column.base_type.as_str(), "uuid" | "int8" | "int4" | "numeric"))
                    })
            };
            values.iter().filter_map(|(name, value)| value.clone().filter(|value| long(name, value))).collect()
        };
        let mut hidden = BTreeMap::new();
        let mut known: BTreeSet<String> =
            site.setting.personas.iter().filter_map(|persona| persona.uid.clone()).collect();
        for subject in 0..site.subjects().len() {
            let scene = site.scene(subject, persona);
            for standing in Standing::ALL {
                let promised = scene.promised(standing, Command::Select);
                for (row, _) in site.rows(subject, persona, standing) {
                    let texts = telling(subject, &row.values);
                    if promised {
                        known.extend(texts);
                    } else {
                        hidden.extend(texts.into_iter().map(|text| (text, (subject, standing))));
                    }
                }
            }
        }
        hidden.retain(|text, _| !known.contains(text));
        Self(hidden)
    }

    /// The table and standing of a hidden row of which something stands in the answer that did not stand in the
    /// question.
    pub(super) fn told(&self, question: &str, answer: &Result<StatementResult, DbError>) -> Option<(usize, Standing)> {
        let texts: Vec<&str> = match answer {
            Ok(result) => result.keys.iter().flatten().map(String::as_str).collect(),
            Err(error) => [Some(&error.message), error.detail.as_ref(), error.hint.as_ref()]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
        };
        if texts.iter().all(|text| text.len() < 6) {
            return None;
        }
        self.0.iter().find_map(|(secret, about)| {
            let tells = texts.iter().any(|text| holds(text, secret)) && !holds(question, secret);
            tells.then_some(*about)
        })
    }
}

/// Whether `text` holds `part` as a word of its own.
fn holds(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + part.len()..].chars().next();
        [before, after].into_iter().flatten().all(|c| !c.is_ascii_alphanumeric())
    })
}
