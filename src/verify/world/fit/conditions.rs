//! A table's conditions, and which columns each names.

use crate::model::catalog::Table;
use crate::verify::world::constants::quoted;
use std::collections::BTreeSet;

/// A condition, and the columns of the table that it names.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) text: String,
    pub(super) columns: BTreeSet<String>,
}

/// The table's conditions; those that name a generated column can't be asked about.
pub(super) fn conditions(table: &Table) -> Vec<Condition> {
    let texts = table.checks.iter().map(|check| &check.text).chain(&table.bound);
    texts
        .map(|text| Condition { text: text.clone(), columns: named_in(text, table) })
        .filter(|condition| !condition.columns.is_empty())
        .filter(|condition| {
            condition.columns.iter().all(|name| table.column(name).is_some_and(|column| !column.generated))
        })
        .collect()
}

/// The columns that a condition names. A word that only looks like one costs no more than a value for it.
pub(crate) fn named_in(text: &str, table: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |name: &str| {
        if table.column(name).is_some() {
            found.insert(name.to_owned());
        }
    };
    let mut rest = text;
    let mut cast = false;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let length = match first {
            '\'' | '"' => {
                let (length, content) = quoted(rest, first);
                if first == '"' && !cast {
                    add(&content);
                }
                length
            }
            first if word(first) => {
                let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
                if !cast {
                    add(&rest[..length]);
                }
                length
            }
            first => first.len_utf8(),
        };
        cast = rest.starts_with("::") || (cast && first == ':');
        rest = &rest[length..];
    }
    found
}

/// Groups that share a column, as one.
pub(super) fn joined(groups: Vec<BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let mut whole: Vec<BTreeSet<String>> = Vec::new();
    for mut group in groups {
        let mut rest = Vec::new();
        for other in whole {
            if other.is_disjoint(&group) {
                rest.push(other);
            } else {
                group.extend(other);
            }
        }
        rest.push(group);
        whole = rest;
    }
    whole
}
