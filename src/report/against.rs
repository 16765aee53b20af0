//! A run held against an earlier report: what leaks that did not, what is not tried any more, and every promise that
//! was widened, so that a policy and its contract are not loosened together unseen.

mod coverage;
mod promises;

use crate::model::finding::{Finding, Reach};
use crate::model::report::{Change, Comparison, NotRun, Report};
use crate::model::source::Place;
use crate::report::json::contract::Contract;
use crate::report::json::earlier::Earlier;
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison comes to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Everything that changed.
    pub comparison: Comparison,
    /// What loosens and is no finding of the run itself.
    pub findings: Vec<Finding>,
    /// What could not be compared.
    pub not_run: Vec<NotRun>,
}

/// Compares. `file` is the earlier report's, `tables` are the relations that the database has now.
pub fn compare(file: &str, earlier: &Earlier, now: &Report, tables: &BTreeSet<String>) -> Compared {
    let mut compared = Compared::default();
    compared.comparison.earlier = format!("{file}: {}, {}", earlier.environment.subject, earlier.environment.tool);
    findings(earlier, now, &mut compared);
    coverage::compare(earlier, now, tables, &mut compared);
    match (&earlier.contract, &now.contract) {
        (Some(before), Some(contract)) => {
            promises::compare(before, &Contract::from(contract), contract, &mut compared);
        }
        _ => compared.not_run.push(NotRun {
            what: "promises, accepts and exemptions against the earlier report".to_owned(),
            why: format!("{file} holds no contract: {} did not write it yet", earlier.environment.tool),
        }),
    }
    compared
}

/// Findings of the run that the earlier one had not, or shown by attempts that held then; and those that are gone.
fn findings(earlier: &Earlier, now: &Report, compared: &mut Compared) {
    let verdicts: BTreeMap<&str, &str> =
        earlier.attempts.iter().map(|attempt| (attempt.id.as_str(), attempt.verdict.as_str())).collect();
    let known: BTreeSet<&str> = earlier.findings.iter().map(|finding| finding.id.as_str()).collect();
    let mut ids = BTreeSet::new();
    for finding in &now.findings {
        let id = finding.id(&now.attempts);
        let worse: Vec<&String> = finding
            .attempts
            .iter()
            .filter(|attempt| verdicts.get(attempt.as_str()).is_none_or(|verdict| *verdict == "held"))
            .collect();
        let kind = match finding.check.as_str() {
            "leak" | "grant-without-promise" => "new-leak",
            "over-denial" => "new-over-denial",
            _ => "new-finding",
        };
        if !known.contains(id.as_str()) {
            compared.comparison.add(kind, &id, finding.what.clone(), true);
        } else if let Some(first) = worse.first() {
            let what = format!("{} of its attempts did not show it before, {first} the first of them", worse.len());
            compared.comparison.add(kind, &id, what, true);
        }
        ids.insert(id);
    }
    // What is accepted now is there still, and told of with the contract.
    ids.extend(now.accepted.iter().map(|accepted| accepted.id.clone()));
    for gone in earlier.findings.iter().filter(|finding| !ids.contains(&finding.id)) {
        compared.comparison.add("gone", &gone.id, gone.what.clone(), false);
    }
}

impl Compared {
    /// Something that loosens and is to be looked at by whoever reviews the change.
    fn loosened(&mut self, check: &str, object: &str, what: String, why: &str, place: Option<&Place>) {
        let finding = Finding {
            check: check.to_owned(),
            what,
            object: object.to_owned(),
            place: place.cloned(),
            why: why.to_owned(),
            remedy:
                "take it back; or, where it is meant, let a reviewer agree to it, and compare with a report of this \
                     state from then on"
                    .to_owned(),
            reach: Reach::Api,
            statement: String::new(),
            attempts: Vec::new(),
        };
        self.comparison.add(check, &finding.id(&[]), finding.what.clone(), true);
        self.findings.push(finding);
    }

    fn tightened(&mut self, object: &str, what: String) {
        self.comparison.add("tightened", object, what, false);
    }
}

impl Comparison {
    fn add(&mut self, kind: &str, id: &str, what: String, loosens: bool) {
        self.changes.push(Change { kind: kind.to_owned(), id: id.to_owned(), what, loosens });
    }
}
