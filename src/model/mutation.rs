//! What came of the mutants: the database changed in one way at a time, and whether the suite noticed.

use std::fmt;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// An attempt, a probe or a check told it from the database as it is.
    Killed,
    /// Nothing did.
    Survived,
    /// It could not be made, or what was tried on it shows nothing: never counted as killed.
    Undecided,
}

impl Fate {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Survived => "survived",
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
    /// The operator's name: `conjunct-dropped`.
    pub operator: String,
    /// What was changed: `policy chat_threads_select on chat_threads`.
    pub object: String,
    /// How: `in USING … became …`.
    pub change: String,
    /// The statements that change it.
    pub statement: String,
    /// What became of it.
    pub fate: Fate,
    /// The ids of the attempts that noticed, `probe/…` and `check/…` for what else did.
    pub killers: Vec<String>,
    /// Why it is undecided; else empty.
    pub why: String,
}

/// All mutants of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mutation {
    /// In the operators' order.
    pub mutants: Vec<Mutated>,
    /// Conditions that no operator could change, because they were not understood.
    pub opaque: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Mutation {
    /// How many came to that.
    pub fn count(&self, fate: Fate) -> usize {
        self.mutants.iter().filter(|mutant| mutant.fate == fate).count()
    }

    /// The share of all mutants that was killed, of 1; what is undecided counts as not killed.
    pub fn score(&self) -> f64 {
        if self.mutants.is_empty() { 0.0 } else { self.count(Fate::Killed) as f64 / self.mutants.len() as f64 }
    }
}
