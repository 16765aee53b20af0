//! The probes: checks of channels that are not plain attempts, each in a file of its own, in one slice.

pub(crate) mod controls;
mod doorway;
mod marks;
mod rights;
pub(crate) mod site;

mod beyond_tables;
mod cascade;
mod child_table;
mod client_setting;
mod column_right;
mod copied_value;
mod cursor_across_actors;
mod default_privilege;
mod definer_function;
mod definer_search_path;
mod definer_trigger;
mod disguise;
mod dynamic_sql_function;
mod effects;
mod erroring_policy;
mod explain_estimate;
mod for_update_recheck;
mod foreign_key_oracle;
mod foreign_table;
mod forged_claim;
mod function_oracle;
mod functions;
mod group_membership;
mod leakproof;
mod materialized_view;
mod null_claims;
mod null_value;
mod ownership;
pub(crate) mod policies;
mod policy_input;
mod prepared_across_actors;
mod public_grant;
mod publication;
mod real_row;
mod residual_right;
mod row_security_off;
mod rule;
mod sequence;
mod server_fault;
mod side_effects;
mod statistics_view;
mod storage;
mod table_statistics;
mod unique_oracle;
mod view;

use crate::contract::accept;
use crate::model::access::{Accept, AcceptKind};
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::{Accepted, NotRun, ProbeCount};
use crate::verify::effect::Effect;
use futures::future::LocalBoxFuture;
use site::{Site, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Every probe, in the order in which they are made. Its name is that of its file, of its folder in `fixtures/probe/`
/// and of the check that its findings carry.
pub(crate) const PROBES: &[Probe] = &[
    row_security_off::PROBE,
    unique_oracle::PROBE,
    // Around the policy: relations and rights.
    view::PROBE,
    materialized_view::PROBE,
    child_table::PROBE,
    ownership::PROBE,
    group_membership::PROBE,
    public_grant::PROBE,
    residual_right::PROBE,
    column_right::PROBE,
    sequence::PROBE,
    default_privilege::PROBE,
    publication::PROBE,
    foreign_table::PROBE,
    storage::PROBE,
    beyond_tables::PROBE,
    real_row::PROBE,
    // Functions, triggers, what policies read, predicates.
    definer_function::PROBE,
    function_oracle::PROBE,
    definer_trigger::PROBE,
    rule::PROBE,
    copied_value::PROBE,
    policy_input::PROBE,
    null_claims::PROBE,
    null_value::PROBE,
    forged_claim::PROBE,
    client_setting::PROBE,
    erroring_policy::PROBE,
    leakproof::PROBE,
    definer_search_path::PROBE,
    dynamic_sql_function::PROBE,
    // Oracles, statistics, sessions, the server itself.
    foreign_key_oracle::PROBE,
    cascade::PROBE,
    statistics_view::PROBE,
    prepared_across_actors::PROBE,
    cursor_across_actors::PROBE,
    explain_estimate::PROBE,
    table_statistics::PROBE,
    for_update_recheck::PROBE,
    server_fault::PROBE,
];

/// The probes that draw on what the attempts changed: who asks for one asks for all attempts.
pub(crate) const ON_ATTEMPTS: [&str; 2] = [definer_trigger::PROBE.name, rule::PROBE.name];

/// Whose fault it is that a channel is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The schema's: it can be closed there, so a finding fails the run.
    Schema,
    /// The server's: a fault of its version, or a channel that no schema can close. Fails only with `--strict`.
    Server,
}

/// A check of one channel.
pub(crate) struct Probe {
    /// Kebab-case.
    pub(crate) name: &'static str,
    /// What holds where it is silent, in one sentence.
    pub(crate) about: &'static str,
    /// Whose fault a finding is.
    pub(crate) fault: Fault,
    /// Whether it needs DDL of its own (a function that watches, a role): never run on a target.
    pub(crate) plants: bool,
    /// Makes it.
    pub(crate) run: for<'a> fn(&'a Site<'a>) -> LocalBoxFuture<'a, Result<Probed, Failure>>,
}

/// A hole that a probe found.
#[derive(Debug, Clone)]
pub(crate) struct Hole {
    /// What, where, why, what to do; its `check` and, where that is empty, its `statement` are filled in by the slice.
    pub(crate) finding: Finding,
    /// What shows it, on the world, in one transaction that is rolled back.
    pub(crate) steps: Vec<Step>,
}

/// What is to be known of a probe without making it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Kebab-case: the check that its findings carry.
    pub name: &'static str,
    /// What holds where it is silent, in one sentence.
    pub about: &'static str,
    /// Whether a finding is the schema's fault, and fails a run; else the server's or nobody's, which only `--strict`
    /// takes to heart.
    pub is_schema: bool,
}

/// Every probe, in the order in which they are made.
pub fn probes() -> Vec<About> {
    let about = |probe: &Probe| About { name: probe.name, about: probe.about, is_schema: probe.fault == Fault::Schema };
    PROBES.iter().map(about).collect()
}

/// What a probe saw.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    /// How many things were tried: keys, functions, views.
    pub(crate) tried: usize,
    /// The holes.
    pub(crate) holes: Vec<Hole>,
    /// Holes that are accepted by a rule of the design.
    pub(crate) accepted: Vec<Accepted>,
    /// What was tried and shows nothing: never passes.
    pub(crate) doubts: Vec<NotRun>,
    /// What could be tried and was not: passes only where the user allows it.
    pub(crate) not_run: Vec<NotRun>,
    /// What can't be tried here at all, for information.
    pub(crate) not_tried: Vec<NotRun>,
    /// What attempts changed elsewhere and the holes explain, by the attempts' ids.
    pub(crate) explained: Vec<(String, Effect)>,
}

/// What all probes saw.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    pub(crate) counts: Vec<ProbeCount>,
    pub(crate) findings: Vec<Finding>,
    /// Findings that are the server's fault, or nobody's.
    pub(crate) beyond: Vec<Finding>,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) doubts: Vec<NotRun>,
    pub(crate) not_run: Vec<NotRun>,
    pub(crate) not_tried: Vec<NotRun>,
    /// Finding's id -> the steps that show it.
    pub(crate) steps: BTreeMap<String, Vec<Step>>,
    /// What attempts changed elsewhere and findings explain, by the attempts' ids.
    pub(crate) explained: BTreeSet<(String, Effect)>,
}

/// The id that `--only` and `--repro` know a probe's finding by: `unique-oracle/chat_threads.thread_id`.
pub(crate) fn id(finding: &Finding) -> String {
    format!("{}/{}", finding.check, finding.object)
}

impl Probes {
    /// Makes one probe. What it can't say for an error of its own is a doubt.
    pub(crate) async fn make(&mut self, probe: &Probe, site: &Site<'_>) {
        if probe.plants && site.target {
            let why = "it needs DDL of its own, which is never run on a target".to_owned();
            self.not_tried.push(NotRun { what: probe.name.to_owned(), why });
            return;
        }
        let started = Instant::now();
        let probed = (probe.run)(site).await;
        tracing::debug!(probe = probe.name, milliseconds = started.elapsed().as_millis(), "made");
        let probed = match probed {
            Ok(probed) => probed,
            Err(failure) => {
                let mut why = failure.to_string();
                if let Some(note) = failure.notes().first() {
                    why = format!("{why}: {note}");
                }
                self.doubts.push(NotRun { what: probe.name.to_owned(), why });
                return;
            }
        };
        self.counts.push(ProbeCount { name: probe.name.to_owned(), tried: probed.tried });
        for hole in probed.holes {
            let mut finding = hole.finding;
            probe.name.clone_into(&mut finding.check);
            if finding.statement.is_empty()
                && let Some(last) = hole.steps.last()
            {
                let own = hole.steps.iter().filter(|step| step.who == last.who).map(|step| step.sql.as_str());
                finding.statement = format!("{}; -- as {}", own.collect::<Vec<_>>().join("; "), site.name(last.who));
            }
            if !hole.steps.is_empty() {
                self.steps.entry(id(&finding)).or_insert(hole.steps);
            }
            match probe.fault {
                Fault::Schema => self.findings.push(finding),
                Fault::Server => self.beyond.push(finding),
            }
        }
        let named = |items: Vec<NotRun>| {
            items.into_iter().map(|item| NotRun { what: format!("{}/{}", probe.name, item.what), why: item.why })
        };
        self.explained.extend(probed.explained);
        self.accepted.extend(probed.accepted);
        self.doubts.extend(named(probed.doubts));
        self.not_run.extend(named(probed.not_run));
        self.not_tried.extend(named(probed.not_tried));
    }

    /// Takes what the contract accepts out of the findings; entries that are stale, expired or not a probe's are
    /// findings themselves. `all`: whether everything was tried, so that an entry that fits nothing is stale.
    pub(crate) fn accept(&mut self, accepts: &[Accept], all: bool, today: time::Date) {
        let names: Vec<&str> = PROBES.iter().map(|probe| probe.name).collect();
        let mut found = accept::Found {
            kind: AcceptKind::Probe,
            names: &names,
            findings: &mut self.findings,
            beyond: &mut self.beyond,
            accepted: &mut self.accepted,
        };
        accept::apply(&mut found, accepts, all, today);
    }
}
