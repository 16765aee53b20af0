//! Finds a value of the contract again by the place of its table or actor: the data keep one place each, and only an
//! error needs to point closer.

use crate::contract::reader::{Entry, entries, get};
use crate::model::source::Place;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The place of the value under `key` in the section that begins at `place`, with `label` beside the caret; `place`
/// itself where there is no such key. In a value of several strings the one that `wanted` accepts.
pub(super) fn value(place: &Place, key: &str, label: &str, wanted: impl Fn(&str) -> bool) -> Place {
    let span = span(place, key, &wanted).unwrap_or_else(|| place.span.clone());
    Place { file: place.file.clone(), span, label: label.to_owned() }
}

/// The place itself, with `label` beside the caret.
pub(super) fn label(place: &Place, label: &str) -> Place {
    Place { label: label.to_owned(), ..place.clone() }
}

fn span(place: &Place, key: &str, wanted: &dyn Fn(&str) -> bool) -> Option<Range<usize>> {
    let document = DeTable::parse(&place.file.text).ok()?;
    entries(document.get_ref()).into_iter().find_map(|top| {
        let DeValue::Table(sections) = top.value.get_ref() else { return None };
        let section: Entry<'_, '_> = entries(sections).into_iter().find(|entry| entry.key_span() == place.span)?;
        let DeValue::Table(fields) = section.value.get_ref() else { return None };
        let field = get(fields, key)?;
        Some(string(field.value.get_ref(), field.value.span(), wanted).unwrap_or_else(|| field.key_span()))
    })
}

/// The first string in a value, however deep, that is `wanted`.
fn string(value: &DeValue<'_>, span: Range<usize>, wanted: &dyn Fn(&str) -> bool) -> Option<Range<usize>> {
    match value {
        DeValue::String(text) => wanted(text).then_some(span),
        DeValue::Array(items) => items.iter().find_map(|item| string(item.get_ref(), item.span(), wanted)),
        DeValue::Table(table) => {
            entries(table).into_iter().find_map(|entry| string(entry.value.get_ref(), entry.value.span(), wanted))
        }
        _ => None,
    }
}
