//! PostgreSQL's own known faults in row-level security: what each opens, and since which release it is mended.

use crate::model::catalog::Server;
use crate::model::finding::{Finding, Reach};
use std::ops::RangeInclusive;

/// The majors whose faults are listed here.
pub const MAJORS: RangeInclusive<u32> = 15..=18;

/// Up to when releases were looked at: 15.20, 16.16, 17.12 and 18.7.
pub const AS_OF: &str = "November 2026";

/// The one that is mended in the catalogue and not by the release alone: a cluster keeps its views through an update.
pub const IN_THE_CATALOGUE: &str = "CVE-2024-4317";

/// A fault of the server that no schema is to blame for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerFault {
    /// `CVE-2024-10976`.
    pub name: &'static str,
    /// What it lets happen, in one sentence without a full stop.
    pub what: &'static str,
    /// What leads to it.
    pub through: &'static str,
    /// The first release without it in each major that had it: 15.9 is (15, 9). A later major never had it.
    pub fixed: &'static [(u32, u32)],
}

/// All that are known, oldest first. Sources: postgresql.org/support/security, the release notes of each minor.
pub const SERVER_FAULTS: &[ServerFault] = &[
    ServerFault {
        name: "CVE-2023-2455",
        what: "the plan of an inlined SQL function is used again for another role, with the first one's policies",
        through: "SQL functions that return rows, called through a kept plan",
        fixed: &[(15, 3)],
    },
    ServerFault {
        name: "CVE-2023-39418",
        what: "MERGE does not apply the UPDATE and SELECT policies to the rows that it changes",
        through: "functions that run MERGE",
        fixed: &[(15, 4)],
    },
    ServerFault {
        name: "CVE-2024-4317",
        what: "pg_stats_ext and pg_stats_ext_exprs show values of rows that are hidden from who reads them",
        through: "tables with extended statistics",
        fixed: &[(15, 7), (16, 3)],
    },
    ServerFault {
        name: "CVE-2024-10976",
        what: "a plan in which a table with policies stands below the top is used again for another role",
        through: "security_invoker views and functions, called through a kept plan",
        fixed: &[(15, 9), (16, 5), (17, 1)],
    },
    ServerFault {
        name: "CVE-2025-8713",
        what: "an operator's function is shown the statistics of partitions and views that hide their rows",
        through: "operators with a selectivity estimator and a function of the schema's own",
        fixed: &[(15, 14), (16, 10), (17, 6)],
    },
    ServerFault {
        name: "CVE-2026-14666",
        what: "a kept plan goes on with the policies of before after a role's memberships or attributes changed",
        through: "changes of roles while connections are pooled",
        fixed: &[(15, 19), (16, 15), (17, 11), (18, 6)],
    },
    ServerFault {
        name: "CVE-2026-16237",
        what: "ON CONFLICT DO UPDATE through a view reads and overwrites rows that the view leaves out",
        through: "views with a condition that rows can be inserted through",
        fixed: &[(15, 20), (16, 16), (17, 12), (18, 7)],
    },
    ServerFault {
        name: "CVE-2026-120154",
        what: "the WHERE of ON CONFLICT DO UPDATE is asked of rows that are hidden, before the policies are",
        through: "functions that run INSERT … ON CONFLICT DO UPDATE … WHERE with the caller's rights",
        fixed: &[(15, 20), (16, 16), (17, 12), (18, 7)],
    },
];

impl ServerFault {
    /// Whether a release of that `server_version_num` (150018) came without its mending.
    fn is_in(&self, version_num: u32) -> bool {
        let (major, minor) = (version_num / 10_000, version_num % 10_000);
        self.fixed.iter().any(|(fixed, first)| *fixed == major && minor < *first)
    }

    /// The finding on a server that has it, as far as its release and its catalogue tell.
    pub fn finding(&self, server: &Server) -> Finding {
        let version = server.version.split(' ').next().unwrap_or_default();
        let how = if self.name == IN_THE_CATALOGUE { "the views' definition" } else { "the server's version" };
        Finding {
            check: "server-fault".to_owned(),
            what: format!("PostgreSQL {version} has {}: {}", self.name, self.what),
            object: self.name.to_owned(),
            place: None,
            why: format!("told by {how}; what leads to it: {}", self.through),
            remedy: self.remedy(server.version_num),
            reach: Reach::Sql,
            statement: String::new(),
            attempts: Vec::new(),
        }
    }

    /// What mends it on a server of that `server_version_num`.
    fn remedy(&self, version_num: u32) -> String {
        let major = version_num / 10_000;
        if self.name == IN_THE_CATALOGUE {
            return "run fix-CVE-2024-4317.sql, which comes with PostgreSQL 15.7, 16.3 and later, in every database"
                .to_owned();
        }
        match self.fixed.iter().find(|(fixed, _)| *fixed == major) {
            Some((_, minor)) => format!("update PostgreSQL to {major}.{minor} or a later {major} release"),
            None => "update PostgreSQL to its newest release".to_owned(),
        }
    }
}

/// The faults that a server has, by its release and its catalogue.
///
/// # Errors
/// Why that can't be said: a major that is not among [`MAJORS`].
pub fn known(server: &Server) -> Result<Vec<&'static ServerFault>, String> {
    let major = server.version_num / 10_000;
    if !MAJORS.contains(&major) {
        let (oldest, newest) = (MAJORS.start(), MAJORS.end());
        return Err(format!("of PostgreSQL {major} nothing is known here, but of {oldest} to {newest}"));
    }
    let has = |fault: &&ServerFault| match fault.name {
        IN_THE_CATALOGUE => server.old_pg_stats_ext,
        _ => fault.is_in(server.version_num),
    };
    Ok(SERVER_FAULTS.iter().filter(has).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version_num: u32, old_pg_stats_ext: bool) -> Result<Vec<&'static str>, String> {
        let server = Server { version_num, old_pg_stats_ext, ..Server::default() };
        known(&server).map(|faults| faults.iter().map(|fault| fault.name).collect())
    }

    #[test]
    fn a_release_has_the_faults_that_a_later_one_mends() {
        assert_eq!(of(150_002, true).map(|all| all.len()), Ok(SERVER_FAULTS.len()));
        assert_eq!(of(150_020, false), Ok(vec![]));
        assert_eq!(of(150_019, false), Ok(vec!["CVE-2026-16237", "CVE-2026-120154"]));
        let embedded = ["CVE-2025-8713", "CVE-2026-14666", "CVE-2026-16237", "CVE-2026-120154"];
        assert_eq!(of(170_005, false), Ok(embedded.to_vec()));
        assert_eq!(of(180_004, false), Ok(embedded[1..].to_vec()));
        assert_eq!(of(180_007, false), Ok(vec![]));
        // An update leaves the views as they were.
        assert_eq!(of(160_016, true), Ok(vec![IN_THE_CATALOGUE]));
    }

    #[test]
    fn of_other_majors_nothing_is_said() {
        assert!(of(140_020, false).is_err_and(|why| why.contains("PostgreSQL 14")));
        assert!(of(190_000, false).is_err_and(|why| why.contains("15 to 18")));
    }

    #[test]
    fn the_release_to_update_to_is_of_the_same_major() {
        let remedy = |name, version| {
            SERVER_FAULTS.iter().find(|fault| fault.name == name).map(|fault| fault.remedy(version)).unwrap()
        };
        assert_eq!(remedy("CVE-2024-10976", 160_002), "update PostgreSQL to 16.5 or a later 16 release");
        assert!(remedy(IN_THE_CATALOGUE, 150_020).contains("in every database"));
    }
}
