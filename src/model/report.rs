//! What a checking command has to say, before any format.

use crate::model::attempt::{Attempt, Verdict};
use crate::model::explanation::Explanation;
use crate::model::finding::Finding;
use crate::model::mutation::Mutation;

/// Something that was not tried, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRun {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A finding that is known and wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The finding's id: `unique-oracle/chat_threads.thread_id`.
    pub id: String,
    /// What was found.
    pub what: String,
    /// Why it is accepted.
    pub reason: String,
}

/// How many were tried, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// So many were.
    pub tried: usize,
    /// So many there are.
    pub of: usize,
}

/// What was tried of what there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The relations of the exposed schemas that are not exempted.
    pub tables: Tried,
    /// The contract's actors.
    pub actors: Tried,
    /// Columns that the contract says something of: rules, and whose a row is.
    pub columns: Tried,
    /// The policies of the contract's tables.
    pub policies: Tried,
}

/// A probe that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCount {
    /// Its name.
    pub name: String,
    /// How many things it tried: keys, functions, views; 0 where the schema has none.
    pub tried: usize,
}

/// Where and on what the command ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// One phrase that says what was verified: `a scratch database made from …`, `the target chartchek on …`.
    pub subject: String,
    /// The engine or `target`.
    pub engine: String,
    /// The server's version.
    pub server: String,
    /// The project and its hash.
    pub project: String,
    /// What became of the migrations: `7 applied in 0.21 s, V001__schemas.sql to V007__policies.sql`; empty on a target.
    pub migrations: String,
    /// The default-privilege regime of a scratch database; empty on a target.
    pub regime: String,
    /// This tool's version.
    pub tool: String,
}

/// The counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Attempts made and judged.
    pub attempts: usize,
    /// As promised.
    pub held: usize,
    /// More than promised.
    pub leak: usize,
    /// Less than promised.
    pub over_denial: usize,
    /// Attempts, and things that probes tried, of which nothing can be concluded.
    pub inconclusive: usize,
    /// Planned and not made.
    pub not_run: usize,
    /// Findings.
    pub findings: usize,
    /// Probes made.
    pub probes: usize,
    /// Findings that are the server's fault, or that no schema can help: these fail only with `--strict`.
    pub beyond: usize,
}

/// A verification's report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// The command: `verify-rls`.
    pub command: String,
    /// Where.
    pub environment: Environment,
    /// The attempts, in the order in which they are shown.
    pub attempts: Vec<Attempt>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// Why attempts came to what they came to: one for each finding that attempts show.
    pub explanations: Vec<Explanation>,
    /// Findings that are the server's fault, or that no schema can help.
    pub beyond: Vec<Finding>,
    /// Findings that the contract, or a rule of the design, accepts.
    pub accepted: Vec<Accepted>,
    /// The probes that were made.
    pub probes: Vec<ProbeCount>,
    /// What was tried of what there is; `None` where only some of it was asked for.
    pub coverage: Option<Coverage>,
    /// What probes tried and could not judge.
    pub doubts: Vec<NotRun>,
    /// What was planned and not made.
    pub not_run: Vec<NotRun>,
    /// What this engine or this way of running cannot try at all, for information.
    pub not_tried: Vec<NotRun>,
    /// What came of the mutants, where they were asked for.
    pub mutation: Option<Mutation>,
    /// How long the attempts took, in seconds; 0 where none was made.
    pub seconds: f64,
}

impl Report {
    /// The explanation of a finding, where there is one.
    pub fn explanation(&self, finding: &Finding) -> Option<&Explanation> {
        self.explanations.iter().find(|explanation| finding.attempts.contains(&explanation.attempt))
    }

    /// The counts.
    pub fn summary(&self) -> Summary {
        let count = |verdict| self.attempts.iter().filter(|attempt| attempt.verdict == verdict).count();
        Summary {
            attempts: self.attempts.len(),
            held: count(Verdict::Held),
            leak: count(Verdict::Leak),
            over_denial: count(Verdict::OverDenial),
            inconclusive: count(Verdict::Inconclusive) + self.doubts.len(),
            not_run: self.not_run.len(),
            findings: self.findings.len(),
            probes: self.probes.len(),
            beyond: self.beyond.len(),
        }
    }
}
