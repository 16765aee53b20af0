//! The functions that actors may call, and the calls that are tried: arguments from the rows of the world.

mod arguments;
mod secrets;

use super::site::{Site, Step};
use crate::model::access::{Command, Standing};
use crate::model::finding::Reach;
use crate::verify::world::Row;
use arguments::Argument;
pub(super) use secrets::Secrets;
use serde::Deserialize;
use std::collections::BTreeSet;

/// How many rows of an answer are looked at.
const ANSWER_ROWS: usize = 10_000;

/// How many calls of one function are tried as one persona, at most; fewer where errors are dear.
const CALLS: (usize, usize) = (48, 16);

/// Where a procedure's answer is put, which a statement can't give.
const ANSWER: &str = "chartchek_db.answer";

/// A function or procedure.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Function {
    /// In `pg_proc`.
    pub(super) oid: i64,
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
    /// Returns record without saying which columns.
    bare_record: bool,
    /// The type's name.
    returns: String,
    /// Of each of all its parameters the mode (`i`, `o`, `b`, `v`, `t`) and type; empty where all are IN.
    parameters: Vec<(char, String)>,
    variadic: bool,
    required: usize,
    /// `proconfig`.
    pub(super) config: Vec<String>,
    /// Its text; `None` where it is none.
    pub(super) source: Option<String>,
    pub(super) language: String,
    /// The database roles of the contract's untrusted actors that may call it.
    pub(super) roles: Vec<String>,
    arguments: Vec<Argument>,
}

/// A call, as a persona.
pub(super) struct Call<'a> {
    pub(super) function: &'a Function,
    pub(super) persona: usize,
    pub(super) sql: String,
}

impl Function {
    /// Whether it can be called and may do more than its caller: what runs as its caller, and is not exposed, reads and
    /// writes what its caller may anyhow.
    pub(super) fn may_do_more(&self) -> bool {
        (self.definer || self.exposed) && !self.trigger
    }

    /// As findings name it.
    pub(super) fn object(&self) -> String {
        format!("function {}", self.signature)
    }

    /// `FUNCTION public.f(uuid)`, for ALTER, GRANT and REVOKE.
    pub(super) fn statement_name(&self) -> String {
        format!("{} {}", if self.procedure { "PROCEDURE" } else { "FUNCTION" }, self.signature)
    }

    /// Where its name stands first in a call stack; far away where it does not.
    pub(super) fn place_in(&self, stack: &str) -> usize {
        let name = self.name.rsplit('.').next().unwrap_or_default().trim_matches('"');
        stack.find(name).unwrap_or(usize::MAX)
    }

    /// Whether it makes SQL out of text.
    fn is_dynamic(&self) -> bool {
        let executes = |source: &String| holds(&source.to_lowercase(), "execute");
        self.language != "sql" && self.source.as_ref().is_some_and(executes)
    }

    /// The calls in which each of these texts stands in the place of each argument that can hold one, and where there are
    /// several such arguments all of the texts in a row; the others are a hidden row's, or one's own.
    pub(super) fn calls_with(&self, site: &Site<'_>, persona: usize, texts: &[String]) -> Vec<String> {
        let values: Option<Vec<Vec<String>>> =
            self.arguments.iter().map(|argument| argument.values(site, persona, self)).collect();
        let Some(values) = values else { return Vec::new() };
        let places: Vec<usize> =
            (0..self.arguments.len()).filter(|&index| self.arguments[index].holds_text()).collect();
        let mut calls = Vec::new();
        for nth in [0, 1] {
            let base: Vec<String> = values.iter().map(|values| pick(values, nth)).collect();
            let mut put = |given: &[(usize, &String)]| {
                let mut row = base.clone();
                for (place, text) in given {
                    row[*place] = self.arguments[*place].text(text, self);
                }
                calls.push(self.call(&row));
            };
            for &place in &places {
                for text in texts {
                    put(&[(place, text)]);
                }
            }
            if places.len() > 1 {
                put(&places.iter().copied().zip(texts).collect::<Vec<_>>());
            }
        }
        let mut seen = BTreeSet::new();
        calls.retain(|call| seen.insert(call.clone()));
        calls
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
        self.arguments
            .iter()
            .find(|argument| argument.values(site, 0, self).is_none())
            .map(|argument| format!("no value of type {} can be made", argument.type_name()))
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
        if self.procedure {
            return self.call_procedure(&arguments);
        }
        let call = format!("{}({})", self.name, arguments.join(", "));
        match self.returns.as_str() {
            // What it opened is read where it is still open.
            "refcursor" => format!("SELECT cursor_to_xml({call}, {ANSWER_ROWS}, true, false, '')::text"),
            // As a column it needs no list of columns.
            _ if self.bare_record => format!("SELECT {call}::text LIMIT {ANSWER_ROWS}"),
            "bytea" => format!("SELECT encode(r, 'escape') FROM {call} AS r LIMIT {ANSWER_ROWS}"),
            // A name that no column of a row has: else the column alone would be read.
            _ => format!("SELECT chartchek_answer::text FROM {call} AS chartchek_answer LIMIT {ANSWER_ROWS}"),
        }
    }

    /// `CALL`; where it gives something back, that is kept in a setting, as a statement's result is text alone.
    fn call_procedure(&self, arguments: &[String]) -> String {
        if !self.gives_back() {
            return format!("CALL {}({})", self.name, arguments.join(", "));
        }
        let mut given = arguments.iter();
        let (mut declared, mut passed, mut back) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (mode, type_name)) in self.parameters.iter().enumerate() {
            let variable = format!("back_{index}");
            let value = if *mode == 'o' { None } else { given.next() };
            if matches!(mode, 'o' | 'b') {
                let start = value.map_or_else(String::new, |value| format!(" := {value}"));
                declared.push(format!("{variable} {type_name}{start};"));
                back.push(format!("{variable}::text"));
                passed.push(variable);
            } else if let Some(value) = value {
                passed.push(value.clone());
            }
        }
        format!(
            "DO $call$ DECLARE {} BEGIN CALL {}({}); PERFORM set_config('{ANSWER}', concat_ws(' ', {}), true); END $call$",
            declared.join(" "),
            self.name,
            passed.join(", "),
            back.join(", ")
        )
    }

    /// Whether it is a procedure that answers.
    fn gives_back(&self) -> bool {
        self.procedure && self.parameters.iter().any(|(mode, _)| matches!(mode, 'o' | 'b'))
    }

    /// Whether one of its arguments is a document, whose shape calls can only guess.
    pub(super) fn takes_document(&self) -> bool {
        self.arguments.iter().any(Argument::is_document)
    }

    /// The steps that make a call and give its answer.
    pub(super) fn ask(&self, persona: usize, call: &str) -> Vec<Step> {
        let answer = self.gives_back().then(|| Step::by(persona, format!("SELECT current_setting('{ANSWER}', true)")));
        std::iter::once(Step::by(persona, call)).chain(answer).collect()
    }

    /// The calls to try as that persona: every combination of values where those are few; else each value of each
    /// argument, the others being a hidden row's, one's own and NULL in turn.
    pub(super) fn calls(&self, site: &Site<'_>, persona: usize) -> Vec<String> {
        let most = if site.stepwise { CALLS.1 } else { CALLS.0 };
        let mut calls = Vec::new();
        for given in [self.arguments.len(), self.required] {
            let values: Option<Vec<Vec<String>>> =
                self.arguments.iter().take(given).map(|argument| argument.values(site, persona, self)).collect();
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

/// Whether `text` holds `part` as a word of its own.
fn holds(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + part.len()..].chars().next();
        [before, after].into_iter().flatten().all(|c| !c.is_ascii_alphanumeric())
    })
}
