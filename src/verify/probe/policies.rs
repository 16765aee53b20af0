//! What the policies mention: the tables that they read, the constants and settings that stand in them and in the
//! functions that they call. It says where to look; what is so, the attempts show.

use super::functions::hidden_rows;
use super::site::Site;
use crate::model::access::TableName;
use serde::Deserialize;
use std::collections::BTreeSet;

/// How many constants of one policy are tried.
const CONSTANTS: usize = 12;

/// A policy of a table in the contract's schemas.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Policy {
    schema: String,
    table: String,
    pub(super) name: String,
    /// `polcmd`: `r`, `a`, `w`, `d`, or `*`.
    pub(super) command: char,
    expression: String,
    sources: Vec<String>,
    pub(crate) reads: Vec<Read>,
}

/// A table that a policy reads; its own may be among them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Read {
    schema: String,
    table: String,
    pub(super) columns: Vec<String>,
    /// Whether a function that the policy calls reads it, not only the policy's own expression.
    pub(super) by_function: bool,
    /// The database roles of untrusted actors that may write there.
    pub(super) writers: Vec<String>,
}

impl Read {
    pub(crate) fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.table.clone() }
    }
}

impl Policy {
    pub(crate) fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.table.clone() }
    }

    /// Its expressions, and the texts of the functions that they call.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.expression.as_str()).chain(self.sources.iter().map(String::as_str))
    }

    /// Whether it locks the rows that it reads against a change; `FOR KEY SHARE` does not.
    pub(super) fn locks(&self) -> bool {
        let expression = self.expression.to_uppercase();
        [" FOR SHARE", " FOR UPDATE", " FOR NO KEY UPDATE"].iter().any(|lock| expression.contains(lock))
    }

    /// Whether one of these words stands in a text.
    pub(super) fn mentions(&self, words: &[&str]) -> bool {
        self.texts().any(|text| words.iter().any(|word| text.to_lowercase().contains(word)))
    }

    /// The string constants that stand in those of its texts that hold `word`, and the parts of those that are paths
    /// (`{user_metadata,role}`).
    pub(super) fn constants(&self, word: &str) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let texts = self.texts().filter(|text| text.contains(word));
        texts
            .flat_map(strings)
            .flat_map(|text| parts(&text))
            .filter(|text| !text.is_empty() && seen.insert(text.clone()))
            .take(CONSTANTS)
            .collect()
    }

    /// The settings that its texts read by name, but for the claims.
    pub(super) fn settings(&self) -> BTreeSet<String> {
        let call = "current_setting";
        let mut names = BTreeSet::new();
        for text in self.texts() {
            for (at, _) in text.match_indices(call) {
                let name = strings(&text[at + call.len()..]).into_iter().next().unwrap_or_default();
                if !name.is_empty() && !name.starts_with("request.jwt") {
                    names.insert(name);
                }
            }
        }
        names
    }
}

/// What a value in a claim, header or setting may name: constants, other accounts, hidden rows.
pub(super) fn likely_values(site: &Site<'_>, persona: usize, constants: &[String]) -> Vec<String> {
    let mut values = vec!["true".to_owned()];
    values.extend(constants.iter().cloned());
    values.extend(
        (0..site.setting.personas.len())
            .filter(|&other| other != persona)
            .filter_map(|other| site.persona(other).uid.clone()),
    );
    let mut tables = BTreeSet::new();
    for row in hidden_rows(site, persona) {
        let table = site.table(row.subject);
        if tables.insert(row.subject) {
            let single = table.uniques.iter().filter_map(|columns| match columns.as_slice() {
                [column] => row.values.get(column).cloned().flatten(),
                _ => None,
            });
            values.extend(single);
        }
    }
    let mut seen = BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values
}

/// The string constants of an SQL text.
pub(super) fn strings(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\'' {
            continue;
        }
        let mut string = String::new();
        while let Some(c) = chars.next() {
            if c != '\'' {
                string.push(c);
            } else if chars.next_if_eq(&'\'').is_some() {
                string.push('\'');
            } else {
                break;
            }
        }
        found.push(string);
    }
    found
}

/// A constant, and where it is an array or path of names, those.
fn parts(text: &str) -> Vec<String> {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(inner) if !inner.contains(':') => {
            inner.split(',').map(|part| part.trim().trim_matches('"').to_owned()).collect()
        }
        _ => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(expression: &str) -> Policy {
        Policy {
            schema: "public".to_owned(),
            table: "t".to_owned(),
            name: "p".to_owned(),
            command: '*',
            expression: expression.to_owned(),
            sources: Vec::new(),
            reads: Vec::new(),
        }
    }

    #[test]
    fn constants_and_settings_are_found_in_a_text() {
        let policy = policy(
            "((a = 'it''s') AND (current_setting('app.tenant'::text, true) = (j #>> '{user_metadata,role}'::text[])))",
        );
        assert_eq!(policy.constants("a"), ["it's", "app.tenant", "user_metadata", "role"]);
        assert_eq!(policy.settings().into_iter().collect::<Vec<_>>(), ["app.tenant"]);
        assert!(policy.mentions(&["user_metadata"]));
    }

    #[test]
    fn claims_are_no_settings_of_a_client() {
        assert!(policy("current_setting('request.jwt.claims', true) = ''").settings().is_empty());
    }
}
