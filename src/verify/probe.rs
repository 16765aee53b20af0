//! The probes: checks of channels that are not plain attempts, each in a file of its own, in one slice.

mod accept;
mod doorway;
mod marks;
mod rights;
pub(crate) mod site;

mod beyond_tables;
mod cascade;
mod child_table;
mod cursor_across_actors;
mod default_privilege;
mod definer_function;
mod definer_trigger;
mod effects;
mod explain_estimate;
mod foreign_key_oracle;
mod foreign_table;
mod function_oracle;
mod functions;
mod group_membership;
mod materialized_view;
mod ownership;
mod policies;
mod policy_input;
mod prepared_across_actors;
mod public_grant;
mod publication;
mod residual_right;
mod row_security_off;
mod rule;
mod sequence;
mod side_effects;
mod statistics_view;
mod storage;
mod table_statistics;
mod unique_oracle;
mod view;

use crate::model::access::Accept;
use crate::model::failure::Failure;
use crate::model::finding::Finding;
use crate::model::report::{Accepted, NotRun, ProbeCount};
use futures::future::LocalBoxFuture;
use site::{Site, Step};
use std::collections::BTreeMap;

/// Every probe, in the order in which they are made. The name is that of the file, of the folder in `fixtures/probe/`
/// and of the check that findings carry.
pub(crate) const PROBES: &[Probe] = &[
    Probe {
        name: "row-security-off",
        about: "SET row_security = off is refused (42501) on every table that an actor may read: RLS does apply to it",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(row_security_off::run(site)),
    },
    Probe {
        name: "unique-oracle",
        about: "a unique key or exclusion constraint tells whether a row exists that the actor can't see (23505, 23P01)",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(unique_oracle::run(site)),
    },
    // Around the policy: relations and rights.
    Probe {
        name: "view",
        about: "what is seen and changed through a view is what the contract promises on the tables behind it",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(view::run(site)),
    },
    Probe {
        name: "materialized-view",
        about: "a materialized view, which has no row security, shows an actor no row that the contract hides",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(materialized_view::run(site)),
    },
    Probe {
        name: "child-table",
        about: "a partition or inheriting table, named itself, gives no more than the contract promises on its parent",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(child_table::run(site)),
    },
    Probe {
        name: "ownership",
        about: "no role of an untrusted actor owns anything in the database",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(ownership::run(site)),
    },
    Probe {
        name: "group-membership",
        about: "no role of an untrusted actor is a member of one that owns, bypasses row security or makes roles",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(group_membership::run(site)),
    },
    Probe {
        name: "public-grant",
        about: "nothing in an exposed schema is granted to PUBLIC",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(public_grant::run(site)),
    },
    Probe {
        name: "residual-right",
        about: "nobody holds REFERENCES, TRIGGER or MAINTAIN on a table of the contract, or CREATE on a schema",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(residual_right::run(site)),
    },
    Probe {
        name: "sequence",
        about: "sequences are open to nobody, but for USAGE where a promised insert draws from one",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(sequence::run(site)),
    },
    Probe {
        name: "default-privilege",
        about: "no default privileges open tables, sequences or functions that are still to be made",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(default_privilege::run(site)),
    },
    Probe {
        name: "publication",
        about: "no publication takes all tables, or sends more of a deleted row than a uuid",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(publication::run(site)),
    },
    Probe {
        name: "foreign-table",
        about: "no foreign table, which has no row security, is open to an actor beyond what is promised to all",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(foreign_table::run(site)),
    },
    Probe {
        name: "storage",
        about: "nobody reads, overwrites, deletes or adds to objects in another's folder of Supabase's storage",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(storage::run(site)),
    },
    Probe {
        name: "beyond-tables",
        about: "accounts, secrets, jobs, queues, other servers' passwords and Realtime's channels are open to nobody",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(beyond_tables::run(site)),
    },
    // Functions, triggers, what policies read, predicates.
    Probe {
        name: "definer-function",
        about: "a function that an actor may call gives nothing of hidden rows and changes nothing that is not promised",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(definer_function::run(site)),
    },
    Probe {
        name: "function-oracle",
        about: "the answer of an exposed function does not depend on rows that are hidden from its caller",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(function_oracle::run(site)),
    },
    Probe {
        name: "definer-trigger",
        about: "a write of one's own row sets off no trigger, at once or deferred, that writes to rows of others",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(definer_trigger::run(site)),
    },
    Probe {
        name: "rule",
        about: "a write of one's own row sets off no rewrite rule that writes to rows of others with the owner's rights",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(rule::run(site)),
    },
    Probe {
        name: "policy-input",
        about: "no row that an actor may write to a table that policies read opens rows that are hidden from it",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(policy_input::run(site)),
    },
    // Oracles, statistics, sessions, the server itself.
    Probe {
        name: "foreign-key-oracle",
        about: "no child is attached to a parent that its writer can't see, and a hidden parent is answered as a missing one",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(foreign_key_oracle::run(site)),
    },
    Probe {
        name: "cascade",
        about: "who deletes or changes a row of their own deletes and changes no row of another's with it",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(cascade::run(site)),
    },
    Probe {
        name: "statistics-view",
        about: "pg_stats, pg_stats_ext and pg_stats_ext_exprs show no actor values of rows that are hidden from it",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(statistics_view::run(site)),
    },
    Probe {
        name: "prepared-across-actors",
        about: "a plan that was made for one actor shows the next one on the same connection no more than a new plan",
        fault: Fault::Schema,
        plants: false,
        run: |site| Box::pin(prepared_across_actors::run(site)),
    },
    Probe {
        name: "cursor-across-actors",
        about: "a cursor opened by one actor shows another in the same session nothing; no schema can see to that",
        fault: Fault::Server,
        plants: false,
        run: |site| Box::pin(cursor_across_actors::run(site)),
    },
    Probe {
        name: "explain-estimate",
        about: "EXPLAIN tells nothing of how values are distributed over hidden rows; no schema can see to that",
        fault: Fault::Server,
        plants: true,
        run: |site| Box::pin(explain_estimate::run(site)),
    },
    Probe {
        name: "table-statistics",
        about: "the catalogue tells no one how large a table of hidden rows is; no schema can see to that",
        fault: Fault::Server,
        plants: false,
        run: |site| Box::pin(table_statistics::run(site)),
    },
];

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
    /// Finding's id -> psql script that shows it.
    pub(crate) scripts: BTreeMap<String, String>,
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
        let probed = match (probe.run)(site).await {
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
                self.scripts.entry(id(&finding)).or_insert_with(|| site.script(&id(&finding), &hole.steps));
            }
            match probe.fault {
                Fault::Schema => self.findings.push(finding),
                Fault::Server => self.beyond.push(finding),
            }
        }
        let named = |items: Vec<NotRun>| {
            items.into_iter().map(|item| NotRun { what: format!("{}/{}", probe.name, item.what), why: item.why })
        };
        self.accepted.extend(probed.accepted);
        self.doubts.extend(named(probed.doubts));
        self.not_run.extend(named(probed.not_run));
        self.not_tried.extend(named(probed.not_tried));
    }

    /// Takes what the contract accepts out of the findings; entries that are stale, expired or not a probe's are
    /// findings themselves. `all`: whether everything was tried, so that an entry that fits nothing is stale.
    pub(crate) fn accept(&mut self, accepts: &[Accept], all: bool, today: time::Date) {
        accept::apply(self, accepts, all, today);
    }
}
