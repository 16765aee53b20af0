//! The catch-up file's text: statements by section, and the header that says what it is and for which database.

use crate::model::failure::Failure;
use crate::model::source::SourceFile;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How the first line begins; the digest of the rest follows, so that an edited file is told from one that is not.
const MARK: &str = "-- Written by `chartchek-db migrate --adopt`; digest ";
/// How the line begins that names the catalogue which the file was written for.
const CATALOGUE: &str = "-- catalogue: ";

/// The sections, in the order in which their statements can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    Owners,
    PoliciesAway,
    ForeignKeysAway,
    KeysAway,
    Names,
    Schemas,
    Enums,
    Types,
    Functions,
    Tables,
    Columns,
    ColumnTypes,
    Defaults,
    NotNull,
    Constraints,
    Indexes,
    ForeignKeys,
    Views,
    Triggers,
    Properties,
    Policies,
    FunctionsAway,
    Revokes,
    Grants,
    Comments,
}

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Owners => "Owners.",
            Self::PoliciesAway => {
                "Policies, rules and triggers that the migrations do not have, or have otherwise. To keep one, write a\n\
                 -- migration that makes it."
            }
            Self::ForeignKeysAway => {
                "Foreign keys that differ, or stand in the way; those of the migrations come back below."
            }
            Self::KeysAway => "Constraints and unique indexes that the migrations do not have, or have otherwise.",
            Self::Names => "The same under the migrations' names.",
            Self::Schemas => "Schemas and extensions.",
            Self::Enums => "Enums.",
            Self::Types => "Other types, and sequences.",
            Self::Functions => "Functions: nobody may call them but whom the grants below name.",
            Self::Tables => "Tables: closed until the policies and grants below.",
            Self::Columns => "Columns. The rows that are there get the default.",
            Self::ColumnTypes => "Types of columns; a value that does not fit fails, and all is rolled back.",
            Self::Defaults => "Defaults.",
            Self::NotNull => "NOT NULL.",
            Self::Constraints => "Primary keys, UNIQUE and CHECK.",
            Self::Indexes => "Indexes.",
            Self::ForeignKeys => "Foreign keys.",
            Self::Views => "Views.",
            Self::Triggers => "Triggers.",
            Self::Properties => "Row security and other properties.",
            Self::Policies => "Policies.",
            Self::FunctionsAway => "Trigger functions that nothing calls any more.",
            Self::Revokes => "Rights that the migrations do not grant.",
            Self::Grants => "Rights.",
            Self::Comments => "Comments.",
        }
    }
}

/// A difference that no statement can be derived for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// What differs.
    pub(super) what: String,
    /// What to decide.
    pub(super) why: String,
    /// What could be done; may be empty.
    pub(super) statement: String,
}

/// The file as it grows.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    sections: BTreeMap<Section, Vec<String>>,
    /// What a person has to decide.
    pub(super) decisions: Vec<Decision>,
    /// What stays though the migrations do not make it.
    pub(super) kept: Vec<String>,
}

impl Script {
    /// Adds a statement, unless its section has it already. Empty ones are left out.
    pub(super) fn put(&mut self, section: Section, statement: impl Into<String>) {
        let statement = statement.into();
        let statements = self.sections.entry(section).or_default();
        if !statement.is_empty() && !statements.contains(&statement) {
            statements.push(statement);
        }
    }

    /// Adds what a person has to decide, once.
    pub(super) fn decide(&mut self, what: impl Into<String>, why: impl Into<String>, statement: impl Into<String>) {
        let decision = Decision { what: what.into(), why: why.into(), statement: statement.into() };
        if !self.decisions.contains(&decision) {
            self.decisions.push(decision);
        }
    }

    /// The whole text; `database` says which one in words, `catalogue` is its fingerprint.
    pub(super) fn text(&self, database: &str, catalogue: &str) -> String {
        let mut text = format!(
            "-- The catch-up file for {}: it makes of its schema what the migrations make.\n\
             -- Read it, edit it, and when every row in its way is mended:\n\
             --     chartchek-db migrate --adopt --apply <this file>\n\
             -- That runs it in one transaction, together with the history: afterwards no row, no value and no column may be\n\
             -- missing and the catalogue has to be what the migrations make, or all is rolled back. Nothing here drops a\n\
             -- table, column or type.\n\
             {CATALOGUE}{catalogue}\n",
            one_line(database)
        );
        self.write_notes(&mut text);
        text.push_str(
            "\n-- As pg_dump does: functions may name what comes after them.\nSET LOCAL check_function_bodies = off;\n",
        );
        for (section, statements) in self.sections.iter().filter(|(_, statements)| !statements.is_empty()) {
            text.push_str(&format!("\n-- {}\n", section.title()));
            for statement in statements {
                text.push_str(statement.trim_end_matches(';'));
                text.push_str(";\n");
            }
        }
        format!("{MARK}{}\n{text}", digest(&text))
    }

    fn write_notes(&self, text: &mut String) {
        if !self.kept.is_empty() {
            text.push_str("\n-- What the migrations do not make, and what stays as it is:\n");
            for kept in &self.kept {
                text.push_str(&format!("--   {}\n", one_line(kept)));
            }
        }
        for decision in &self.decisions {
            text.push_str(&format!(
                "\n-- To decide: {}.\n--   {}\n",
                one_line(&decision.what),
                one_line(&decision.why)
            ));
            for line in decision.statement.lines() {
                text.push_str(&format!("--   {line}\n"));
            }
            if !decision.statement.is_empty() {
                text.truncate(text.trim_end().len());
                text.push_str(";\n");
            }
        }
    }
}

/// Whether the text is as it was written: nobody's work is in it.
pub fn is_unedited(text: &str) -> bool {
    let Some((first, rest)) = text.split_once('\n') else { return false };
    first.strip_prefix(MARK).is_some_and(|found| found == digest(rest))
}

/// Holds a file against the catalogue of the database that it is about to run on. A file that names none passes: what
/// it leaves behind is looked at all the same.
///
/// # Errors
/// Usage: it was written for another catalogue.
pub(super) fn fits(source: &SourceFile, catalogue: &str) -> Result<(), Failure> {
    let named = source.text.lines().find_map(|line| line.trim_end().strip_prefix(CATALOGUE));
    if named.is_none_or(|named| named == catalogue) {
        return Ok(());
    }
    Err(Failure::usage(format!("{} was written for another catalogue than this database has", source.path))
        .note("it is another database, or its schema has changed since")
        .note("nothing was changed")
        .help("write the file anew with `chartchek-db migrate --adopt`")
        .help(format!("or, if you have seen that it still fits, take out its line `{}…`", CATALOGUE.trim_end())))
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// In a comment of one line no text may end the comment.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
