//! What a run is told: the ground that it stands on, and what the user asked for.

use crate::verify::{findings, probe};

/// The database that is verified, as far as it changes how.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// The user's own database: no DDL, no TRUNCATE, and only bounded statements without WHERE.
    pub target: bool,
    /// One message at a time: an engine that serves one connection, and on which errors are dear.
    pub stepwise: bool,
    /// After so many errors the connection is made anew.
    pub errors_per_session: Option<usize>,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only attempts whose id contains one of these; all where empty.
    pub only: Vec<String>,
    /// Statements without WHERE are tried only on tables of at most so many rows (targets).
    pub bare_bound: u64,
    /// The id of the attempt or finding whose explanation is wanted, too; or the beginning, up to a slash, of several.
    pub asked: Option<String>,
    /// Whether its psql script is.
    pub repro: bool,
    /// The day by which the contract's `expires` are judged.
    pub today: time::Date,
}

impl Options {
    /// What has to be tried to see an attempt's or a finding's id again, as parts of ids.
    pub fn scope(id: &str) -> Vec<String> {
        // A finding is told of with its table's other attempts: `leak/documents/user/other/select`.
        let of_attempts = findings::CHECKS.iter().find_map(|check| id.strip_prefix(check)?.strip_prefix('/'));
        let table = of_attempts.and_then(|rest| rest.rsplitn(4, '/').nth(3)).map(|table| format!("{table}/"));
        table.into_iter().chain([id.to_owned()]).collect()
    }

    /// Whether the explanation of an attempt or finding of that id is wanted.
    pub fn asks_for(&self, id: &str) -> bool {
        self.asked.as_deref().is_some_and(|asked| id == asked || (asked.ends_with('/') && id.starts_with(asked)))
    }

    /// Whether an attempt or probe of that id is asked for.
    pub(crate) fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| id.contains(part))
    }

    /// Whether an attempt is asked for; for what attempts set off, all are.
    pub(crate) fn wants_attempt(&self, id: &str) -> bool {
        let set_off = |part: &String| probe::ON_ATTEMPTS.iter().any(|probe| part.starts_with(&format!("{probe}/")));
        self.wants(id) || self.only.iter().any(set_off)
    }

    /// Whether a probe of that name is asked for, by a part of its name or by the id of one of its findings.
    pub(super) fn wants_probe(&self, name: &str) -> bool {
        let own = format!("{name}/");
        self.wants(&own) || self.only.iter().any(|part| part.starts_with(&own))
    }
}
