//! What came of the mutants: the database changed in one way at a time, and whether the suite noticed.

use std::fmt;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// An attempt, a probe or a check told it from the database as it is.
    Killed,
    /// Nothing did, although somebody sees or reaches something else: a finding.
    Survived,
    /// Nothing did, and nobody sees or reaches anything else in the small world.
    Equivalent,
    /// It could not be made, or what was tried on it shows nothing: never counted as killed.
    Undecided,
}

impl Fate {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Killed, Self::Survived, Self::Equivalent, Self::Undecided];

    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Survived => "survived",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A mutant, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutated {
    /// Stable and readable: `conjunct-dropped/policy-chat_threads_select-on-chat_threads/1`.
    pub id: String,
    /// The operator's name: `conjunct-dropped`.
    pub operator: String,
    /// What is so in it, in one sentence: `a policy is gone`.
    pub about: String,
    /// What was changed: `policy chat_threads_select on chat_threads`.
    pub object: String,
    /// How: `in USING … became …`.
    pub change: String,
    /// The statements that change it.
    pub statement: String,
    /// What became of it.
    pub fate: Fate,
    /// What was run on it, in that order; it ends where something noticed.
    pub tried: Vec<String>,
    /// The ids of the attempts that noticed, `probe/…` and `check/…` for what else did; only of what was run last.
    pub killers: Vec<String>,
    /// Of a survivor: what is different in the small world, so that a row or an attempt there would kill it.
    pub differences: Vec<String>,
    /// Why it is undecided, or equivalent; else empty.
    pub why: String,
}

/// All mutants of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mutation {
    /// In the operators' order.
    pub mutants: Vec<Mutated>,
    /// Conditions that no operator could change, because they were not understood.
    pub opaque: Vec<String>,
    /// What the small world holds, in plain words; empty where it was not needed.
    pub small_world: String,
    /// How many databases they were tried in at once.
    pub databases: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Mutation {
    /// How many came to that.
    pub fn count(&self, fate: Fate) -> usize {
        self.mutants.iter().filter(|mutant| mutant.fate == fate).count()
    }

    /// The share of the mutants that was killed, of 1. Equivalents can't be, and don't count; what is undecided counts
    /// as not killed. `None` where there is nothing to be killed.
    pub fn score(&self) -> Option<f64> {
        let all = self.mutants.len() - self.count(Fate::Equivalent);
        (all > 0).then(|| self.count(Fate::Killed) as f64 / all as f64)
    }
}
