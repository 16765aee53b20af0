//! Reads TOML values with their spans, and collects every error instead of stopping at the first.

use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A string of the file, and where it stands.
pub(super) type Text = (String, Range<usize>);

/// One `key = value`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'t, 'i> {
    key: &'t Spanned<DeString<'i>>,
    /// The value.
    pub(super) value: &'t Spanned<DeValue<'i>>,
}

impl<'t> Entry<'t, '_> {
    /// The key's text.
    pub(super) fn key(&self) -> &'t str {
        self.key.get_ref()
    }

    /// Where the key stands.
    pub(super) fn key_span(&self) -> Range<usize> {
        self.key.span()
    }
}

/// The entries of a table in the order of the file.
pub(super) fn entries<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().map(|(key, value)| Entry { key, value }).collect();
    entries.sort_by_key(|entry| entry.key_span().start);
    entries
}

/// The entry of that key.
pub(super) fn get<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<Entry<'t, 'i>> {
    table.iter().find(|(found, _)| found.get_ref() == key).map(|(key, value)| Entry { key, value })
}

/// What a value is, for "found …".
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The file being read, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    file: &'f SourceFile,
    failures: Vec<Failure>,
}

impl<'f> Reader<'f> {
    /// Starts on `file`.
    pub(super) fn new(file: &'f SourceFile) -> Self {
        Self { file, failures: Vec::new() }
    }

    /// A place in the file.
    pub(super) fn place(&self, span: Range<usize>, label: impl Into<String>) -> Place {
        Place { file: self.file.clone(), span, label: label.into() }
    }

    /// A failure at `span`, not yet reported.
    pub(super) fn failure(&self, span: Range<usize>, what: impl Into<String>, label: impl Into<String>) -> Failure {
        Failure::usage(what).at(self.place(span, label))
    }

    /// Reports a failure and goes on.
    pub(super) fn report(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// Ok where nothing was wrong; else the failures as one.
    pub(super) fn finish(self) -> Result<(), Failure> {
        combine(self.failures)
    }

    /// Whether nothing was wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Reports every key of `table` that is not `allowed`; `what` names the table.
    pub(super) fn check_keys(&mut self, what: &str, table: &DeTable<'_>, allowed: &[&str]) {
        for entry in entries(table) {
            if !allowed.contains(&entry.key()) {
                let failure =
                    self.failure(entry.key_span(), format!("unknown key `{}` in {what}", entry.key()), "unknown key");
                self.report(suggest(failure, entry.key(), allowed.iter().copied()));
            }
        }
    }

    /// A value of another type than wanted.
    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, what: &str, wanted: &str) {
        let found = kind(value.get_ref());
        let failure = self.failure(value.span(), format!("{what} must be {wanted}"), format!("found {found}"));
        self.report(failure);
    }

    /// A table.
    pub(super) fn table<'t, 'i>(&mut self, entry: Entry<'t, 'i>, what: &str) -> Option<&'t DeTable<'i>> {
        match entry.value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                // The value of a `[[header]]` spans nothing that helps; its key does.
                let (what, found) = (format!("{what} must be a table"), format!("found {}", kind(other)));
                let failure = self.failure(entry.key_span(), what, found);
                self.report(failure);
                None
            }
        }
    }

    /// A string that is not empty and holds no NUL, which no name, text or statement of PostgreSQL can hold.
    pub(super) fn string(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<Text> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value, what, "a string");
            return None;
        };
        if text.trim().is_empty() {
            let failure = self.failure(value.span(), format!("{what} is empty"), "say something here");
            self.report(failure);
            return None;
        }
        if !self.check_nul(text, value.span(), what) {
            return None;
        }
        Some((text.to_string(), value.span()))
    }

    /// Reports a NUL character; true where there is none.
    pub(super) fn check_nul(&mut self, text: &str, span: Range<usize>, what: &str) -> bool {
        if text.contains('\0') {
            let failure =
                self.failure(span, format!("{what} holds a NUL character"), "PostgreSQL can't hold it in any text");
            self.report(failure);
            return false;
        }
        true
    }

    /// An array of strings, each given once.
    pub(super) fn strings(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<Vec<Text>> {
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(value, what, "an array of strings");
            return None;
        };
        let mut texts: Vec<Text> = Vec::new();
        for item in array.iter() {
            if let Some(text) = self.string(item, &format!("each of {what}")) {
                if texts.iter().any(|(earlier, _)| *earlier == text.0) {
                    let failure =
                        self.failure(text.1, format!("`{}` stands twice in {what}", text.0), "leave this one out");
                    self.report(failure);
                } else {
                    texts.push(text);
                }
            }
        }
        Some(texts)
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<bool> {
        let DeValue::Boolean(boolean) = value.get_ref() else {
            self.wrong_type(value, what, "true or false");
            return None;
        };
        Some(*boolean)
    }

    /// A day, as a TOML date or as a string `YYYY-MM-DD`.
    pub(super) fn date(&mut self, value: &Spanned<DeValue<'_>>, what: &str) -> Option<String> {
        let parsed = match value.get_ref() {
            DeValue::Datetime(date) => Some(*date),
            DeValue::String(text) => text.parse::<toml::value::Datetime>().ok(),
            _ => None,
        };
        match parsed {
            Some(toml::value::Datetime { date: Some(date), time: None, offset: None }) => Some(date.to_string()),
            _ => {
                let failure = self
                    .failure(value.span(), format!("{what} is no date"), "not a day of the calendar")
                    .help("write a day as YYYY-MM-DD, such as 2027-11-22");
                self.report(failure);
                None
            }
        }
    }
}

/// Adds "did you mean", or the words that are allowed.
pub(crate) fn suggest<'w>(failure: Failure, word: &str, allowed: impl Iterator<Item = &'w str>) -> Failure {
    let allowed: Vec<&str> = allowed.collect();
    let near = allowed
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min();
    match near {
        Some((_, candidate)) => failure.help(format!("did you mean `{candidate}`?")),
        None if allowed.is_empty() => failure,
        None => {
            let words: Vec<String> = allowed.iter().map(|word| format!("`{word}`")).collect();
            failure.help(format!("there is {}", words.join(", ")))
        }
    }
}

/// Ok where there are none; else the first in the order of the file, with the others as notes.
pub(super) fn combine(mut failures: Vec<Failure>) -> Result<(), Failure> {
    const SHOWN: usize = 10;
    failures.sort_by_key(|failure| failure.place().map_or(0, |place| place.span.start));
    let mut rest = failures.into_iter();
    let Some(mut first) = rest.next() else {
        return Ok(());
    };
    let others: Vec<String> = rest.map(|failure| format!("also {failure}")).collect();
    let more = others.len().saturating_sub(SHOWN);
    for other in others.into_iter().take(SHOWN) {
        first = first.note(other);
    }
    if more > 0 {
        first = first.note(format!("and {more} more"));
    }
    Err(first)
}
