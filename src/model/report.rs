//! What a checking command has to say, before any format.

use crate::model::access::Contract;
use crate::model::attempt::{Attempt, Verdict};
use crate::model::explanation::Explanation;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::mutation::Mutation;
use std::collections::BTreeSet;

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

/// A part of a policy's condition that AND, OR and NOT put together, and what it was seen as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtomSeen {
    /// The policy: `documents.documents_select`.
    pub policy: String,
    /// `USING` or `WITH CHECK`.
    pub clause: String,
    /// As the server writes it, all names qualified.
    pub text: String,
    /// The personas for whom some row made it true.
    pub true_for: BTreeSet<String>,
    /// The personas for whom some row made it false.
    pub false_for: BTreeSet<String>,
    /// The personas for whom some row made it NULL.
    pub null_for: BTreeSet<String>,
}

/// A probe that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCount {
    /// Its name.
    pub name: String,
    /// How many things it tried: keys, functions, views; 0 where the schema has none.
    pub tried: usize,
}

/// A negative control: a hole that the run made itself, to see whether it is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The family of checks that it is for: `attempts: select of other rows`, `probe view`.
    pub name: String,
    /// Whether the hole was noticed; otherwise nothing that the family says can be relied on.
    pub noticed: bool,
    /// What showed it: an attempt's id, or the hole.
    pub shown_by: String,
    /// Why it does not count as noticed; empty where it does.
    pub why: String,
}

impl Control {
    /// One that could not be made, which is as good as one that was not noticed.
    pub fn failed(name: &str, failure: &Failure) -> Self {
        let note = failure.notes().first().map(|note| format!(": {note}")).unwrap_or_default();
        let shown_by = "it was not made".to_owned();
        Self { name: name.to_owned(), noticed: false, shown_by, why: format!("{failure}{note}") }
    }
}

/// What is otherwise than in an earlier report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `new-leak`, `new-over-denial`, `new-finding`, `lost-coverage`, `widened-promise`, `changed-owner`,
    /// `changed-actor`, `new-accept`, `new-exempt`: these loosen; `tightened`, `gone`, `fewer-forms`, `new-table`.
    pub kind: String,
    /// The finding's id, or what it is about.
    pub id: String,
    /// What changed.
    pub what: String,
    /// Whether it may let something through that was held before, or is not known of any more.
    pub loosens: bool,
}

/// A run held against an earlier report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The earlier report: its file, what it is of, and what made it.
    pub earlier: String,
    /// Everything that changed.
    pub changes: Vec<Change>,
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
    /// The negative controls.
    pub controls: Vec<Control>,
    /// The contract that it was held against, where it was against one.
    pub contract: Option<Contract>,
    /// What is otherwise than in an earlier report, where one was named.
    pub against: Option<Comparison>,
    /// What was tried of what there is; `None` where only some of it was asked for.
    pub coverage: Option<Coverage>,
    /// What the parts of the policies' conditions were seen as; empty on a target, and where only some was asked for.
    pub atoms: Vec<AtomSeen>,
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

    /// Whether a negative control was not noticed, so that nothing which held can be relied on.
    pub fn is_detector_broken(&self) -> bool {
        self.controls.iter().any(|control| !control.noticed)
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
