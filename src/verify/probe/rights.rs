//! Rights that the catalogue shows and no statement may try: how they become findings.

use super::Hole;
use crate::model::access::TableAccess;
use crate::model::finding::{Finding, Reach};
use serde::Deserialize;

/// Rights of one grantee, with the catalogue's names of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Held {
    /// The role, or PUBLIC.
    pub(super) role: String,
    /// `SELECT`, `TRIGGER`, …
    pub(super) rights: Vec<String>,
}

/// `anon, authenticated: SELECT, UPDATE`, grouped by rights in the order of the roles.
pub(super) fn describe(held: &[Held]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for one in held {
        let rights = one.rights.join(", ");
        match groups.iter_mut().find(|(known, _)| *known == rights) {
            Some((_, roles)) => roles.push(&one.role),
            None => groups.push((rights, vec![&one.role])),
        }
    }
    let groups = groups.into_iter().map(|(rights, roles)| format!("{}: {rights}", roles.join(", ")));
    groups.collect::<Vec<_>>().join("; ")
}

/// A hole that needs no steps: `shown_by` is the query that tells of the right.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) what: String,
    pub(super) object: String,
    pub(super) access: Option<&'a TableAccess>,
    pub(super) why: &'a str,
    pub(super) remedy: String,
    pub(super) reach: Reach,
    pub(super) shown_by: String,
}

impl Told<'_> {
    pub(super) fn hole(self) -> Hole {
        Hole {
            finding: Finding {
                check: String::new(),
                what: self.what,
                object: self.object,
                place: self.access.map(|access| access.place.clone()),
                why: self.why.to_owned(),
                remedy: self.remedy,
                reach: self.reach,
                statement: self.shown_by,
                attempts: Vec::new(),
            },
            steps: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_told_by_who_shares_them() {
        let held = |role: &str, rights: &[&str]| Held {
            role: role.to_owned(),
            rights: rights.iter().map(|right| (*right).to_owned()).collect(),
        };
        let all = [held("anon", &["TRIGGER"]), held("authenticated", &["TRIGGER"]), held("x", &["SELECT", "UPDATE"])];
        assert_eq!(describe(&all), "anon, authenticated: TRIGGER; x: SELECT, UPDATE");
    }
}
