//! What a check reports: what, where, why, what to do.

use crate::model::attempt::Attempt;
use crate::model::source::Place;
use std::fmt;

/// What it takes to use what a finding describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A PostgREST request can do it.
    Api,
    /// Through something that is exposed.
    Function,
    /// It needs SQL text.
    Sql,
}

impl Reach {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Function => "function",
            Self::Sql => "sql",
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A finding. Holds no values of rows that the tool did not make itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check's name, kebab-case: `leak`, `over-denial`, `grant-without-promise`, a probe's or a lint's name.
    pub check: String,
    /// What was found, in one sentence without a full stop.
    pub what: String,
    /// The object: a table, column, role, policy.
    pub object: String,
    /// The place in a file, where there is one.
    pub place: Option<Place>,
    /// Why it matters, or how it was seen.
    pub why: String,
    /// What to do.
    pub remedy: String,
    /// What it takes to use it.
    pub reach: Reach,
    /// The statement that shows it, with who runs it in a comment; may be empty.
    pub statement: String,
    /// The attempts that show it, if attempts do.
    pub attempts: Vec<String>,
}

impl Finding {
    /// Its stable id, by which it is reproduced and explained: the check and what it is about. `attempts` are the
    /// report's.
    pub fn id(&self, attempts: &[Attempt]) -> String {
        let shown = self.attempts.first().and_then(|id| attempts.iter().find(|attempt| attempt.id == *id));
        shown.map_or_else(|| format!("{}/{}", self.check, self.object), |shown| shown.finding_id(&self.check))
    }
}
