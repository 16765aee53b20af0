//! `[[accept]]`: findings of probes that the contract knows and wants, each entry for exactly one.

use super::{PROBES, Probes};
use crate::model::access::Accept;
use crate::model::finding::{Finding, Reach};
use crate::model::report::Accepted;
use time::Date;
use time::format_description::well_known::Iso8601;

/// Moves accepted findings aside, and adds a finding for each entry that accepts nothing, or no longer holds.
pub(super) fn apply(probes: &mut Probes, accepts: &[Accept], all: bool, today: Date) {
    for accept in accepts {
        if PROBES.iter().all(|probe| probe.name != accept.probe) {
            let why =
                "an attempt's finding, or a name that no probe has, is never accepted: change the promise instead";
            probes.findings.push(complaint(accept, "names no probe", why));
            continue;
        }
        let fits = |finding: &Finding| finding.check == accept.probe && finding.object == accept.object;
        let known = probes.findings.iter().chain(&probes.beyond).filter(|finding| fits(finding)).count();
        let by_rule =
            probes.accepted.iter().any(|accepted| accepted.id == format!("{}/{}", accept.probe, accept.object));
        if known == 0 {
            if !all {
                continue;
            }
            let (what, why) = if by_rule {
                ("accepts what a rule accepts already", "what is said twice may come to be said differently")
            } else {
                ("accepts nothing", "the finding is gone, and the entry would hide it if it came back")
            };
            probes.findings.push(complaint(accept, what, why));
            continue;
        }
        if accept.expires.as_deref().is_some_and(|expires| expired(expires, today)) {
            let why = "what was accepted for a time is to be looked at again: the finding itself stands, too";
            probes.findings.push(complaint(accept, "has expired", why));
            continue;
        }
        for list in [&mut probes.findings, &mut probes.beyond] {
            list.retain(|finding| {
                if fits(finding) {
                    probes.accepted.push(Accepted {
                        id: super::id(finding),
                        what: finding.what.clone(),
                        reason: accept.reason.clone(),
                    });
                }
                !fits(finding)
            });
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
        what: format!("[[accept]] of {} at {} {what}", accept.probe, accept.object),
        object: format!("{}/{}", accept.probe, accept.object),
        place: Some(accept.place.clone()),
        why: why.to_owned(),
        remedy: "remove the [[accept]], or give it the probe, the place and the date that hold".to_owned(),
        reach: Reach::Sql,
        statement: String::new(),
        attempts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::{Place, SourceFile};

    fn accept(probe: &str, object: &str, expires: Option<&str>) -> Accept {
        Accept {
            probe: probe.to_owned(),
            object: object.to_owned(),
            reason: "known".to_owned(),
            expires: expires.map(str::to_owned),
            place: Place { file: SourceFile::new("access.toml", ""), span: 0..0, label: String::new() },
        }
    }

    fn found(object: &str) -> Probes {
        let finding = Finding { check: "unique-oracle".to_owned(), ..complaint(&accept("", "", None), "", "") };
        Probes { findings: vec![Finding { object: object.to_owned(), ..finding }], ..Probes::default() }
    }

    fn after(mut probes: Probes, accept: Accept) -> (Vec<String>, usize) {
        let today = Date::from_ordinal_date(2026, 1).unwrap_or(Date::MIN);
        apply(&mut probes, &[accept], true, today);
        (probes.findings.iter().map(|finding| finding.check.clone()).collect(), probes.accepted.len())
    }

    #[test]
    fn an_entry_accepts_the_one_finding_that_it_names() {
        assert_eq!(after(found("t.a"), accept("unique-oracle", "t.a", Some("2026-01-01"))), (Vec::new(), 1));
        let (checks, accepted) = after(found("t.b"), accept("unique-oracle", "t.a", None));
        assert_eq!((checks, accepted), (vec!["unique-oracle".to_owned(), "stale-accept".to_owned()], 0));
        let (checks, accepted) = after(found("t.a"), accept("unique-oracle", "t.a", Some("2025-12-31")));
        assert_eq!((checks, accepted), (vec!["unique-oracle".to_owned(), "stale-accept".to_owned()], 0));
        let (checks, _) = after(found("t.a"), accept("leak", "t.a", None));
        assert_eq!(checks, ["unique-oracle", "stale-accept"]);
    }
}
