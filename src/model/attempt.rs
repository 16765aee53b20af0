//! One statement tried as one actor on rows of one standing, and what came of it.

use crate::model::access::{Command, Standing};
use std::fmt;

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Rows were seen or changed.
    Done,
    /// Nothing was seen or changed, without an error.
    Hidden,
    /// 42501 although every grant that the statement needs is there: a policy refused.
    RefusedPolicy,
    /// 42501, and a grant that the statement needs is missing.
    RefusedGrant,
    /// Any other error, or an answer that contradicts the catalogue.
    Error,
}

impl Outcome {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Hidden => "hidden",
            Self::RefusedPolicy => "refused_policy",
            Self::RefusedGrant => "refused_grant",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an attempt says of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As promised.
    Held,
    /// Less than promised.
    OverDenial,
    /// Nothing can be concluded; never passes.
    Inconclusive,
    /// More than promised.
    Leak,
}

impl Verdict {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::OverDenial => "over_denial",
            Self::Inconclusive => "inconclusive",
            Self::Leak => "leak",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An attempt that was made and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Stable and readable: `chat_messages/user/other/update/bare`.
    pub id: String,
    /// The table, as people read it.
    pub table: String,
    /// The contract's actor.
    pub actor: String,
    /// Who of that actor tried: the actor's name, or e.g. `user-without-rows`.
    pub persona: String,
    /// How the tried rows stand to the actor.
    pub standing: Standing,
    /// The command.
    pub command: Command,
    /// The form of the statement: `key`, `bare`, `transfer`, …; worlds other than the first end in `@world`.
    pub form: String,
    /// The column that it is about, where it gives one under a rule a value.
    pub column: Option<String>,
    /// The outcome that the contract asks for.
    pub expected: Outcome,
    /// What it came to.
    pub outcome: Outcome,
    /// What that says of the contract.
    pub verdict: Verdict,
    /// Why, in a fragment; empty where the verdict is `held`.
    pub why: String,
    /// The statement.
    pub statement: String,
}

impl Attempt {
    /// The id of the finding that `check` makes of attempts like this one. Stable: neither engine nor order, neither
    /// form nor row stand in it.
    pub fn finding_id(&self, check: &str) -> String {
        let column = self.column.as_ref().map_or_else(String::new, |column| format!("/{column}"));
        format!("{check}/{}/{}/{}/{}{column}", self.table, self.actor, self.standing, self.command)
    }
}
