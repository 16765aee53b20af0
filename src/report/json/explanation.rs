//! An explanation in the JSON report: the policies that were consulted, with the parts of their conditions.

use crate::model::explanation;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Explanation<'a> {
    attempt: &'a str,
    role: &'a str,
    because: &'a str,
    missing: &'a [String],
    consulted: Vec<Consulted<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    doubt: &'a str,
}

#[derive(Serialize)]
struct Consulted<'a> {
    command: &'a str,
    row: &'a str,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    unknown: &'a str,
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
struct Policy<'a> {
    name: &'a str,
    permissive: bool,
    command: &'a str,
    roles: &'a [String],
    clause: &'a str,
    value: &'a str,
    decides: bool,
    atoms: Vec<Atom<'a>>,
}

#[derive(Serialize)]
struct Atom<'a> {
    text: &'a str,
    value: &'a str,
    decides: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
}

impl<'a> From<&'a explanation::Explanation> for Explanation<'a> {
    fn from(of: &'a explanation::Explanation) -> Self {
        Self {
            attempt: &of.attempt,
            role: &of.role,
            because: &of.because,
            missing: &of.missing,
            consulted: of.consulted.iter().map(consulted).collect(),
            doubt: &of.doubt,
        }
    }
}

fn consulted(of: &explanation::Consulted) -> Consulted<'_> {
    Consulted {
        command: of.command.word(),
        row: match of.row {
            explanation::RowVersion::Existing => "existing",
            explanation::RowVersion::New => "new",
            explanation::RowVersion::Proposed => "proposed",
        },
        value: of.value.map(explanation::Truth::word),
        unknown: &of.unknown,
        policies: of.policies.iter().map(policy).collect(),
    }
}

fn policy(of: &explanation::PolicySeen) -> Policy<'_> {
    Policy {
        name: &of.name,
        permissive: of.permissive,
        command: &of.command,
        roles: &of.roles,
        clause: of.clause,
        value: of.value.word(),
        decides: of.decides,
        atoms: of
            .atoms
            .iter()
            .map(|one| Atom { text: &one.text, value: one.value.word(), decides: one.decides, note: &one.note })
            .collect(),
    }
}
