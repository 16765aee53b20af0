//! Why an attempt came to what it came to: the rights that were missing, the policies that were consulted, and what
//! each part of their conditions was for the row. Holds no values of rows.

use crate::model::access::Command;
use std::fmt;

/// What a condition is for a row. SQL's three values, and a fourth where it raises an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// True: the only one that lets a row through.
    True,
    /// False.
    False,
    /// NULL: neither.
    Null,
    /// It raised an error.
    Error,
}

impl Truth {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Null => "null",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A part of a condition that AND, OR and NOT put together; a sub-select is one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// As the server writes it.
    pub text: String,
    /// What it is for the row.
    pub value: Truth,
    /// Whether the condition is what it is because of this part.
    pub decides: bool,
    /// Why it is that, where that can be told: one level down in a sub-select; the error. Else empty.
    pub note: String,
}

/// A policy that was consulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySeen {
    /// Its name.
    pub name: String,
    /// PERMISSIVE: any one that is true suffices. Else RESTRICTIVE: each must be true.
    pub permissive: bool,
    /// What it is for: `ALL`, `SELECT`, …
    pub command: String,
    /// Whom it is for: roles, or `PUBLIC`.
    pub roles: Vec<String>,
    /// Which of its conditions: `USING` or `WITH CHECK`.
    pub clause: &'static str,
    /// What that is for the row.
    pub value: Truth,
    /// Whether it made the row pass, or not pass.
    pub decides: bool,
    /// Its parts.
    pub atoms: Vec<Atom>,
}

/// The row that policies are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowVersion {
    /// The row as it stands.
    Existing,
    /// The row as the statement would leave it, after the table's triggers.
    New,
    /// The row that INSERT … ON CONFLICT proposes.
    Proposed,
}

impl RowVersion {
    /// The words in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Existing => "the row",
            Self::New => "the new row",
            Self::Proposed => "the proposed row",
        }
    }
}

/// One question that PostgreSQL puts to a set of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consulted {
    /// The command whose policies are asked.
    pub command: Command,
    /// About which row.
    pub row: RowVersion,
    /// The answer; `None` where the row could not be had.
    pub value: Option<Truth>,
    /// Why the row could not be had; else empty.
    pub unknown: String,
    /// Those that are for the command and the role, permissive ones first.
    pub policies: Vec<PolicySeen>,
}

/// An attempt, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The attempt's id.
    pub attempt: String,
    /// The role it was made as.
    pub role: String,
    /// The table.
    pub table: String,
    /// The reason in one sentence, without a full stop.
    pub because: String,
    /// Rights that the statement needs and the role lacks: `UPDATE on column a of t`, `USAGE on schema s`.
    pub missing: Vec<String>,
    /// What the policies were asked, in PostgreSQL's order; empty where it was not come to that.
    pub consulted: Vec<Consulted>,
    /// How far the explanation is to be doubted; empty where it is not.
    pub doubt: String,
}

/// Above so many characters a condition is cut for people; the JSON report has all of it.
const SHOWN: usize = 160;

impl Explanation {
    /// The explanation for people: the reason, then a line for each policy that was asked.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.because.clone()];
        lines.extend(self.missing.iter().map(|right| format!("missing: {right}")));
        for consulted in &self.consulted {
            let about = format!("{} of {}", consulted.command.word().to_uppercase(), consulted.row.word());
            match consulted.value {
                None => lines.push(format!(
                    "{about}: no policy was evaluated, since the row is not to be had: {}",
                    consulted.unknown
                )),
                Some(value) if consulted.policies.is_empty() => {
                    lines.push(format!("{about}: no policy is for it, which is {value}"));
                }
                Some(_) => lines.extend(consulted.policies.iter().map(|policy| format!("{about}: {}", line(policy)))),
            }
        }
        if !self.doubt.is_empty() {
            lines.push(format!("in doubt: {}", self.doubt));
        }
        lines
    }
}

/// One policy on one line; `→` stands before what decides.
fn line(policy: &PolicySeen) -> String {
    let kind = if policy.permissive { "permissive" } else { "restrictive" };
    let mark = |decides: bool| if decides { "→ " } else { "" };
    let parts: Vec<String> = policy
        .atoms
        .iter()
        .map(|atom| {
            let note = if atom.note.is_empty() { String::new() } else { format!(" ({})", cut(&atom.note)) };
            format!("{}{} is {}{note}", mark(atom.decides && policy.decides), cut(&atom.text), atom.value)
        })
        .collect();
    format!(
        "{}{} ({kind}, for {} to {}) {} is {}: {}",
        mark(policy.decides),
        policy.name,
        policy.command,
        policy.roles.join(", "),
        policy.clause,
        policy.value,
        parts.join("; ")
    )
}

/// On one line, and not too long.
fn cut(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    if text.chars().count() <= SHOWN {
        return text;
    }
    let kept: String = text.chars().take(SHOWN).collect();
    format!("{kept}…")
}
