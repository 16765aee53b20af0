//! Two sets of facts compared: what is missing, what is extra, what differs.

use crate::schema::facts::{Facts, Key, Object, Property};
use std::collections::BTreeSet;

/// How an object or a property differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Expected, and not there.
    Missing,
    /// There, and not expected.
    Extra,
    /// There, and otherwise than expected.
    Changed,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Kind and name of the object.
    pub key: Key,
    /// What it belongs to; may be empty.
    pub parent: String,
    /// Which property; empty for the object itself or its definition.
    pub property: String,
    /// How.
    pub case: Case,
    /// What is expected; empty where nothing is.
    pub expected: String,
    /// What is there; empty where nothing is.
    pub found: String,
    /// The statements that make it as expected, in order; none where that takes thought.
    pub mend: Vec<String>,
}

/// How to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// The servers are of different majors, which print expressions differently: white space, parentheses and letters'
    /// case do not count.
    pub loose: bool,
    /// Report what belongs to a missing or extra object too.
    pub parts: bool,
}

/// Every difference, by kind and name.
pub fn compare(expected: &Facts, found: &Facts, how: Comparison) -> Vec<Difference> {
    let (wanted, there) = (expected.names(), found.names());
    let mut differences = Vec::new();
    let keys: BTreeSet<&Key> = expected.objects.keys().chain(found.objects.keys()).collect();
    for key in keys {
        match (expected.objects.get(key), found.objects.get(key)) {
            (Some(one), Some(other)) => properties(key, one, other, how.loose, &mut differences),
            (Some(one), None) if how.parts || !wanted.contains(&one.parent) || there.contains(&one.parent) => {
                differences.push(whole(key, one, Case::Missing));
            }
            (None, Some(other)) if how.parts || !there.contains(&other.parent) || wanted.contains(&other.parent) => {
                differences.push(whole(key, other, Case::Extra));
            }
            // Its parent is missing or extra, and that says it all.
            _ => {}
        }
    }
    differences
}

fn properties(key: &Key, expected: &Object, found: &Object, loose: bool, differences: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = expected.properties.keys().chain(found.properties.keys()).collect();
    for name in names {
        let (one, other) = (expected.properties.get(name), found.properties.get(name));
        let (case, mend) = match (one, other) {
            (Some(one), Some(other)) if same(&one.value, &other.value, loose) => continue,
            // A definition is replaced; any other property is set.
            (Some(one), Some(other)) if name.is_empty() => {
                // Half of it would be worse than nothing.
                let both = !one.mend.is_empty() && !other.undo.is_empty();
                (Case::Changed, if both { vec![&other.undo, &one.mend] } else { vec![] })
            }
            (Some(one), Some(_)) => (Case::Changed, vec![&one.mend]),
            (Some(one), None) => (Case::Missing, vec![&one.mend]),
            (None, Some(other)) => (Case::Extra, vec![&other.undo]),
            (None, None) => continue,
        };
        let value = |property: Option<&Property>| property.map(|property| property.value.clone()).unwrap_or_default();
        differences.push(Difference {
            key: key.clone(),
            parent: expected.parent.clone(),
            property: name.clone(),
            case,
            expected: value(one),
            found: value(other),
            mend: statements(mend),
        });
    }
}

fn whole(key: &Key, object: &Object, case: Case) -> Difference {
    let definition = object.properties.get("");
    let text = describe(object);
    let mend = definition.map(|property| if case == Case::Missing { &property.mend } else { &property.undo });
    let (expected, found) = if case == Case::Missing { (text, String::new()) } else { (String::new(), text) };
    Difference {
        key: key.clone(),
        parent: object.parent.clone(),
        property: String::new(),
        case,
        expected,
        found,
        mend: statements(mend.into_iter().collect()),
    }
}

/// An object in few lines: its definition, or where that is one word its properties.
fn describe(object: &Object) -> String {
    let definition = object.properties.get("").map(|property| property.value.as_str()).unwrap_or_default();
    if definition.contains(char::is_whitespace) || object.properties.len() == 1 {
        return definition.to_owned();
    }
    let shown = object.properties.iter().filter(|(name, _)| !["", "comment", "body", "cost"].contains(&name.as_str()));
    shown.map(|(name, property)| format!("{name} {}", property.value)).collect::<Vec<_>>().join(", ")
}

fn statements(mend: Vec<&String>) -> Vec<String> {
    mend.into_iter().filter(|statement| !statement.is_empty()).cloned().collect()
}

fn same(one: &str, other: &str, loose: bool) -> bool {
    one == other || (loose && loosened(one) == loosened(other))
}

fn loosened(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).flat_map(char::to_lowercase).collect()
}
