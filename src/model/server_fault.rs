//! PostgreSQL's own known faults in row-level security: what each opens, and since which release it is mended.

/// A fault of the server that no schema is to blame for. Majors are those that this tool works with, 15 and later.
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
    /// Whether a server of that `server_version_num` (150018) has it.
    pub fn is_in(&self, version_num: u32) -> bool {
        let (major, minor) = (version_num / 10_000, version_num % 10_000);
        match self.fixed.iter().find(|(fixed, _)| *fixed == major) {
            Some((_, first)) => minor < *first,
            None => self.fixed.iter().all(|(fixed, _)| major < *fixed),
        }
    }

    /// The first release of the server's own major that is without it, as `15.20`; `None` where it never had it.
    pub fn fixed_in(&self, version_num: u32) -> Option<String> {
        let found = self.fixed.iter().find(|(major, _)| *major == version_num / 10_000);
        found.map(|(major, minor)| format!("{major}.{minor}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version_num: u32) -> Vec<&'static str> {
        SERVER_FAULTS.iter().filter(|fault| fault.is_in(version_num)).map(|fault| fault.name).collect()
    }

    #[test]
    fn a_release_has_the_faults_that_a_later_one_mends() {
        assert_eq!(of(150_002).len(), SERVER_FAULTS.len());
        assert_eq!(of(150_020), Vec::<&str>::new());
        assert_eq!(of(150_019), ["CVE-2026-16237", "CVE-2026-120154"]);
        assert_eq!(of(170_005), ["CVE-2025-8713", "CVE-2026-14666", "CVE-2026-16237", "CVE-2026-120154"]);
        assert_eq!(of(180_004), ["CVE-2026-14666", "CVE-2026-16237", "CVE-2026-120154"]);
        assert_eq!(of(180_007), Vec::<&str>::new());
        // A major that came later was never without the mending.
        assert_eq!(of(190_000), Vec::<&str>::new());
    }

    #[test]
    fn the_release_to_update_to_is_of_the_same_major() {
        let fault = SERVER_FAULTS.iter().find(|fault| fault.name == "CVE-2024-10976").copied();
        assert_eq!(fault.and_then(|fault| fault.fixed_in(160_002)).as_deref(), Some("16.5"));
        assert_eq!(fault.and_then(|fault| fault.fixed_in(180_000)), None);
    }
}
