//! The JSON report, version 1: frozen structs of its own, so that no change of the model changes the format.

pub(crate) mod contract;
pub mod earlier;
mod explanation;
mod mutation;

use crate::model::attempt;
use crate::model::finding;
use crate::model::report;
use serde::Serialize;
use std::collections::BTreeSet;

/// The version that the report begins with.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    command: &'a str,
    environment: Environment<'a>,
    summary: Summary,
    attempts: Vec<Attempt<'a>>,
    findings: Vec<Finding<'a>>,
    beyond: Vec<Finding<'a>>,
    accepted: Vec<Accepted<'a>>,
    probes: Vec<Probe<'a>>,
    controls: Vec<Control<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Coverage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Against<'a>>,
    inconclusive_probes: Vec<NotRun<'a>>,
    not_run: Vec<NotRun<'a>>,
    not_tried: Vec<NotRun<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<contract::Contract>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutation: Option<mutation::Mutation<'a>>,
}

#[derive(Serialize)]
struct Environment<'a> {
    subject: &'a str,
    engine: &'a str,
    server: &'a str,
    project: &'a str,
    regime: &'a str,
    tool: &'a str,
    seconds: f64,
}

#[derive(Serialize)]
struct Summary {
    attempts: usize,
    held: usize,
    leak: usize,
    over_denial: usize,
    inconclusive: usize,
    not_run: usize,
    findings: usize,
    probes: usize,
    beyond: usize,
}

#[derive(Serialize)]
struct Coverage<'a> {
    tables: Tried,
    actors: Tried,
    columns: Tried,
    policies: Tried,
    atoms: Vec<Atom<'a>>,
}

#[derive(Serialize)]
struct Atom<'a> {
    policy: &'a str,
    clause: &'a str,
    text: &'a str,
    true_for: &'a BTreeSet<String>,
    false_for: &'a BTreeSet<String>,
    null_for: &'a BTreeSet<String>,
}

#[derive(Serialize)]
struct Tried {
    tried: usize,
    of: usize,
}

#[derive(Serialize)]
struct Accepted<'a> {
    id: &'a str,
    what: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Probe<'a> {
    name: &'a str,
    tried: usize,
}

#[derive(Serialize)]
struct Control<'a> {
    name: &'a str,
    noticed: bool,
    shown_by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
}

#[derive(Serialize)]
struct Against<'a> {
    earlier: &'a str,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    kind: &'a str,
    id: &'a str,
    what: &'a str,
    loosens: bool,
}

#[derive(Serialize)]
struct Attempt<'a> {
    id: &'a str,
    table: &'a str,
    actor: &'a str,
    persona: &'a str,
    standing: &'a str,
    command: &'a str,
    form: &'a str,
    expected: &'a str,
    outcome: &'a str,
    verdict: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
    statement: &'a str,
}

#[derive(Serialize)]
struct Finding<'a> {
    id: String,
    check: &'a str,
    what: &'a str,
    object: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    why: &'a str,
    remedy: &'a str,
    reach: &'a str,
    statement: &'a str,
    attempts: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<explanation::Explanation<'a>>,
}

#[derive(Serialize)]
struct NotRun<'a> {
    what: &'a str,
    why: &'a str,
}

/// The report as one JSON object, indented, with a line feed at its end.
///
/// # Errors
/// None that a report can cause; the serializer's are passed on.
pub fn render(report: &report::Report) -> Result<String, serde_json::Error> {
    let summary = report.summary();
    let environment = &report.environment;
    let document = Report {
        version: VERSION,
        command: &report.command,
        environment: Environment {
            subject: &environment.subject,
            engine: &environment.engine,
            server: &environment.server,
            project: &environment.project,
            regime: &environment.regime,
            tool: &environment.tool,
            seconds: report.seconds,
        },
        summary: Summary {
            attempts: summary.attempts,
            held: summary.held,
            leak: summary.leak,
            over_denial: summary.over_denial,
            inconclusive: summary.inconclusive,
            not_run: summary.not_run,
            findings: summary.findings,
            probes: summary.probes,
            beyond: summary.beyond,
        },
        attempts: report.attempts.iter().map(of_attempt).collect(),
        findings: report.findings.iter().map(|finding| of_finding(report, finding)).collect(),
        beyond: report.beyond.iter().map(|finding| of_finding(report, finding)).collect(),
        accepted: report
            .accepted
            .iter()
            .map(|accepted| Accepted { id: &accepted.id, what: &accepted.what, reason: &accepted.reason })
            .collect(),
        coverage: report.coverage.as_ref().map(|coverage| of_coverage(coverage, &report.atoms)),
        against: report.against.as_ref().map(of_comparison),
        probes: report.probes.iter().map(|probe| Probe { name: &probe.name, tried: probe.tried }).collect(),
        controls: report.controls.iter().map(of_control).collect(),
        inconclusive_probes: report.doubts.iter().map(of_not_run).collect(),
        not_run: report.not_run.iter().map(of_not_run).collect(),
        not_tried: report.not_tried.iter().map(of_not_run).collect(),
        contract: report.contract.as_ref().map(Into::into),
        mutation: report.mutation.as_ref().map(Into::into),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn of_attempt(attempt: &attempt::Attempt) -> Attempt<'_> {
    Attempt {
        id: &attempt.id,
        table: &attempt.table,
        actor: &attempt.actor,
        persona: &attempt.persona,
        standing: attempt.standing.word(),
        command: attempt.command.word(),
        form: &attempt.form,
        expected: attempt.expected.word(),
        outcome: attempt.outcome.word(),
        verdict: attempt.verdict.word(),
        why: &attempt.why,
        statement: &attempt.statement,
    }
}

fn of_control(control: &report::Control) -> Control<'_> {
    let report::Control { name, noticed, shown_by, why } = control;
    Control { name, noticed: *noticed, shown_by, why }
}

fn of_comparison(comparison: &report::Comparison) -> Against<'_> {
    Against { earlier: &comparison.earlier, changes: comparison.changes.iter().map(of_change).collect() }
}

fn of_change(change: &report::Change) -> Change<'_> {
    let report::Change { kind, id, what, loosens } = change;
    Change { kind, id, what, loosens: *loosens }
}

fn of_atom(atom: &report::AtomSeen) -> Atom<'_> {
    let report::AtomSeen { policy, clause, text, true_for, false_for, null_for } = atom;
    Atom { policy, clause, text, true_for, false_for, null_for }
}

fn of_coverage<'a>(coverage: &report::Coverage, atoms: &'a [report::AtomSeen]) -> Coverage<'a> {
    let tried = |tried: report::Tried| Tried { tried: tried.tried, of: tried.of };
    let report::Coverage { tables, actors, columns, policies } = *coverage;
    let atoms = atoms.iter().map(of_atom).collect();
    Coverage { tables: tried(tables), actors: tried(actors), columns: tried(columns), policies: tried(policies), atoms }
}

fn of_finding<'a>(report: &'a report::Report, finding: &'a finding::Finding) -> Finding<'a> {
    Finding {
        id: finding.id(&report.attempts),
        check: &finding.check,
        what: &finding.what,
        object: &finding.object,
        location: finding.place.as_ref().map(crate::model::source::Place::location),
        why: &finding.why,
        remedy: &finding.remedy,
        reach: finding.reach.word(),
        statement: &finding.statement,
        attempts: &finding.attempts,
        explanation: report.explanation(finding).map(Into::into),
    }
}

fn of_not_run(not_run: &report::NotRun) -> NotRun<'_> {
    NotRun { what: &not_run.what, why: &not_run.why }
}
