//! What tells of hidden rows in a function's answer, and did not stand in the question.

use super::arguments::is_text;
use super::holds;
use crate::db::error::DbError;
use crate::db::session::StatementResult;
use crate::model::access::{Command, Standing};
use crate::verify::probe::site::Site;
use crate::verify::world::rows::Values;
use std::collections::{BTreeMap, BTreeSet};

/// What names hidden rows in an answer: texts that stand in no row that the persona may see, by the subject.
#[derive(Debug, Default)]
pub(in crate::verify::probe) struct Secrets(BTreeMap<String, (usize, Standing)>);

impl Secrets {
    /// Whether an answer that holds a hidden row of the table could be told by it.
    pub(in crate::verify::probe) fn tell_of(&self, subject: usize) -> bool {
        self.0.values().any(|(of, _)| *of == subject)
    }

    /// Those hidden from a persona.
    pub(in crate::verify::probe) fn of(site: &Site<'_>, persona: usize) -> Self {
        let telling = |subject: usize, values: &Values| -> Vec<String> {
            let table = site.table(subject);
            let long = |name: &String, value: &String| {
                value.len() >= 6
                    && table.column(name).is_some_and(|column| {
                        !column.is_array
                            && column.enum_labels.is_empty()
                            && (is_text(&column.base_type)
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
    pub(in crate::verify::probe) fn told(
        &self,
        question: &str,
        answer: &Result<StatementResult, DbError>,
    ) -> Option<(usize, Standing)> {
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
