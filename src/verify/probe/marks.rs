//! Marks: values of the world's rows that nothing else holds by accident, by which a hidden row is known wherever it
//! turns up.

use super::site::Site;
use crate::model::access::{Command, OwnerPath, Standing};
use crate::verify::world::Row;
use std::collections::BTreeSet;

/// What tells a hidden row, and the table that it is a row of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Index into the subjects.
    pub(super) subject: usize,
    /// The value.
    pub(super) value: String,
}

/// The marks of one persona's world: of the rows that it may not see, and of those that it may.
#[derive(Debug)]
pub(super) struct Marks {
    hidden: Vec<Mark>,
    open: BTreeSet<String>,
}

impl Marks {
    pub(super) fn of(site: &Site<'_>, persona: usize) -> Self {
        let mut open = BTreeSet::new();
        open.extend(site.persona(persona).uid.clone());
        let mut hidden = Vec::new();
        for subject in 0..site.subjects().len() {
            let scene = site.scene(subject, persona);
            for standing in Standing::ALL {
                let promised = scene.promised(standing, Command::Select);
                for (row, _) in scene.rows(standing) {
                    if promised {
                        open.extend(row.values.values().flatten().cloned());
                    } else {
                        hidden.extend(telling(site, row).map(|value| Mark { subject, value }));
                    }
                }
            }
        }
        hidden.retain(|mark| !open.contains(&mark.value));
        open.retain(|value| made_up(value));
        Self { hidden, open }
    }

    /// The subjects whose hidden rows turn up in `texts`, in the contract's order.
    pub(super) fn hidden_in(&self, texts: &[String]) -> BTreeSet<usize> {
        let shown = |mark: &&Mark| texts.iter().any(|text| holds(text, &mark.value));
        self.hidden.iter().filter(shown).map(|mark| mark.subject).collect()
    }

    /// Whether any row of the world turns up in `texts`.
    pub(super) fn any_in(&self, texts: &[String]) -> bool {
        self.open.iter().any(|value| texts.iter().any(|text| holds(text, value))) || !self.hidden_in(texts).is_empty()
    }
}

/// The values that tell a row: not those that it shares with its parent, whose own they are.
fn telling<'a>(site: &Site<'a>, row: &'a Row) -> impl Iterator<Item = String> + use<'a> {
    let subject = &site.subjects()[row.subject];
    let paths = site.maker.paths(row.subject);
    row.values.iter().filter_map(move |(name, value)| {
        let column = subject.table.column(name)?;
        let owner = paths.iter().any(|path| matches!(path, OwnerPath::Column(column) if column == name));
        let shared = subject.table.foreign_keys.iter().any(|key| key.columns.contains(name))
            || paths.iter().any(|path| path.column() == name);
        let value = value.as_ref()?;
        ((owner || !shared) && column.enum_labels.is_empty() && made_up(value)).then(|| value.clone())
    })
}

/// Whether this tool made the value up, in a form that nobody else uses.
fn made_up(value: &str) -> bool {
    value.starts_with("made up ") || value.starts_with("made-up-") || uuid::Uuid::parse_str(value).is_ok()
}

/// Whether `text` holds `value`, and not only as a part of a longer word.
fn holds(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let ends = |neighbour: Option<char>| neighbour.is_none_or(|c| !c.is_alphanumeric());
        ends(text[..at].chars().next_back()) && ends(text[at + value.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_word_of_its_own() {
        assert!(holds("(1,\"made up 12\")", "made up 12"));
        assert!(holds("{\"\"dx\"\": \"\"made up 12\"\"}", "made up 12"));
        assert!(!holds("(1,\"made up 120\")", "made up 12"));
        assert!(!holds("(1,\"remade up 12\")", "made up 12"));
    }

    #[test]
    fn only_what_this_tool_makes_up_is_a_mark() {
        assert!(made_up("made up 3") && made_up("made-up-x") && made_up("6368617274634865a66b2d6462000001"));
        assert!(!made_up("assistant") && !made_up("3") && !made_up("2901-01-01 00:00:12"));
    }
}
