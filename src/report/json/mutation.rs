//! The JSON report's part on mutants.

use crate::model::mutation;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Mutation<'a> {
    mutants: usize,
    killed: usize,
    survived: usize,
    equivalent: usize,
    undecided: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    databases: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    small_world: &'a str,
    not_changed: &'a [String],
    list: Vec<Mutant<'a>>,
}

#[derive(Serialize)]
struct Mutant<'a> {
    id: &'a str,
    operator: &'a str,
    about: &'a str,
    object: &'a str,
    change: &'a str,
    statement: &'a str,
    fate: &'a str,
    tried: &'a [String],
    killed_by: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    would_be_killed_by: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
}

impl<'a> From<&'a mutation::Mutation> for Mutation<'a> {
    fn from(all: &'a mutation::Mutation) -> Self {
        Self {
            mutants: all.mutants.len(),
            killed: all.count(mutation::Fate::Killed),
            survived: all.count(mutation::Fate::Survived),
            equivalent: all.count(mutation::Fate::Equivalent),
            undecided: all.count(mutation::Fate::Undecided),
            score: all.score(),
            databases: all.databases,
            seconds: all.seconds,
            small_world: &all.small_world,
            not_changed: &all.opaque,
            list: all.mutants.iter().map(of_mutant).collect(),
        }
    }
}

fn of_mutant(mutant: &mutation::Mutated) -> Mutant<'_> {
    Mutant {
        id: &mutant.id,
        operator: &mutant.operator,
        about: &mutant.about,
        object: &mutant.object,
        change: &mutant.change,
        statement: &mutant.statement,
        fate: mutant.fate.word(),
        tried: &mutant.tried,
        killed_by: &mutant.killers,
        would_be_killed_by: &mutant.differences,
        why: &mutant.why,
    }
}
