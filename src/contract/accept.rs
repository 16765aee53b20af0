//! `[[accept]]`: findings that the contract knows and wants, each entry for exactly one.

use crate::model::access::{Accept, AcceptKind};
use crate::model::finding::{Finding, Reach};
use crate::model::report::Accepted;
use time::Date;
use time::format_description::well_known::Iso8601;

/// What was found, by all checks of one kind.
pub struct Found<'a> {
    /// The kind.
    pub kind: AcceptKind,
    /// The names of all checks of that kind.
    pub names: &'a [&'a str],
    /// What fails a run.
    pub findings: &'a mut Vec<Finding>,
    /// What fails a run only with `--strict`.
    pub beyond: &'a mut Vec<Finding>,
    /// What is accepted: holds what a rule accepts already, and takes what an entry accepts.
    pub accepted: &'a mut Vec<Accepted>,
}

/// Moves accepted findings aside, and adds a finding for each entry that accepts nothing, or no longer holds. `all`:
/// whether everything was looked at, so that an entry that fits nothing is stale.
pub fn apply(found: &mut Found<'_>, accepts: &[Accept], all: bool, today: Date) {
    for accept in accepts.iter().filter(|accept| accept.kind == found.kind) {
        if !found.names.contains(&accept.check.as_str()) {
            let why = "an attempt's finding, or a name that nothing has, is never accepted: change the promise instead";
            found.findings.push(complaint(accept, &format!("names no {}", accept.kind.word()), why));
            continue;
        }
        let fits = |finding: &Finding| finding.check == accept.check && finding.object == accept.object;
        let id = format!("{}/{}", accept.check, accept.object);
        if !found.findings.iter().chain(found.beyond.iter()).any(fits) {
            if !all {
                continue;
            }
            let (what, why) = if found.accepted.iter().any(|accepted| accepted.id == id) {
                ("accepts what a rule accepts already", "what is said twice may come to be said differently")
            } else {
                ("accepts nothing", "the finding is gone, and the entry would hide it if it came back")
            };
            found.findings.push(complaint(accept, what, why));
            continue;
        }
        if accept.expires.as_deref().is_some_and(|expires| expired(expires, today)) {
            let why = "what was accepted for a time is to be looked at again: the finding itself stands, too";
            found.findings.push(complaint(accept, "has expired", why));
            continue;
        }
        for list in [&mut *found.findings, &mut *found.beyond] {
            for finding in list.extract_if(.., |finding| fits(finding)) {
                let reason = accept.reason.clone();
                found.accepted.push(Accepted { id: id.clone(), what: finding.what, reason });
            }
        }
    }
}

/// The contract's reader has seen to it that it is a date.
fn expired(expires: &str, today: Date) -> bool {
    Date::parse(expires, &Iso8601::DATE).is_ok_and(|expires| expires < today)
}

fn complaint(accept: &Accept, what: &str, why: &str) -> Finding {
    Finding {
        check: "stale-accept".to_owned(),
        what: format!("[[accept]] of {} at {} {what}", accept.check, accept.object),
        object: format!("{}/{}", accept.check, accept.object),
        place: Some(accept.place.clone()),
        why: why.to_owned(),
        remedy: "remove the [[accept]], or give it the name, the place and the date that hold".to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::{Place, SourceFile};

    fn accept(check: &str, object: &str, expires: Option<&str>) -> Accept {
        Accept {
            kind: AcceptKind::Probe,
            check: check.to_owned(),
            object: object.to_owned(),
            reason: "known".to_owned(),
            expires: expires.map(str::to_owned),
            place: Place { file: SourceFile::new("access.toml", ""), span: 0..0, label: String::new() },
        }
    }

    /// The checks of what is found once the entry was applied to a finding at `object`, and how many were accepted.
    fn after(object: &str, accept: Accept) -> (Vec<String>, usize) {
        let today = Date::from_ordinal_date(2026, 1).unwrap_or(Date::MIN);
        let finding = complaint(&accept, "", "");
        let finding = Finding { check: "unique-oracle".to_owned(), object: object.to_owned(), ..finding };
        let (mut findings, mut beyond, mut accepted) = (vec![finding], Vec::new(), Vec::new());
        let mut found = Found {
            kind: AcceptKind::Probe,
            names: &["unique-oracle"],
            findings: &mut findings,
            beyond: &mut beyond,
            accepted: &mut accepted,
        };
        apply(&mut found, &[accept], true, today);
        (findings.into_iter().map(|finding| finding.check).collect(), accepted.len())
    }

    #[test]
    fn an_entry_accepts_the_one_finding_that_it_names() {
        assert_eq!(after("t.a", accept("unique-oracle", "t.a", Some("2026-01-01"))), (Vec::new(), 1));
        let stale = vec!["unique-oracle".to_owned(), "stale-accept".to_owned()];
        assert_eq!(after("t.b", accept("unique-oracle", "t.a", None)), (stale.clone(), 0));
        assert_eq!(after("t.a", accept("unique-oracle", "t.a", Some("2025-12-31"))), (stale.clone(), 0));
        assert_eq!(after("t.a", accept("leak", "t.a", None)), (stale, 0));
    }

    #[test]
    fn an_entry_of_another_kind_is_left_alone() {
        let of_lint = Accept { kind: AcceptKind::Lint, ..accept("unique-oracle", "t.a", None) };
        assert_eq!(after("t.a", of_lint), (vec!["unique-oracle".to_owned()], 0));
    }
}
