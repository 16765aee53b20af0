//! Attempts that did not hold, as findings: one for each table, actor, standing and command, with the statement that
//! shows it.

use crate::model::access::Standing;
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::model::finding::{Finding, Reach};
use crate::verify::world::Subject;

/// The findings of leaks and over-denials, in the attempts' order.
pub(crate) fn of_attempts(attempts: &[Attempt], subjects: &[Subject]) -> Vec<Finding> {
    let mut groups: Vec<(Vec<&Attempt>, &str)> = Vec::new();
    for attempt in attempts {
        let Some(check) = check(attempt) else { continue };
        let same = groups.iter_mut().find(|(group, of)| {
            *of == check
                && group.first().is_some_and(|first| {
                    (&first.table, &first.actor, first.standing, first.command)
                        == (&attempt.table, &attempt.actor, attempt.standing, attempt.command)
                })
        });
        match same {
            Some((group, _)) => group.push(attempt),
            None => groups.push((vec![attempt], check)),
        }
    }
    groups.into_iter().filter_map(|(group, check)| finding(&group, check, subjects)).collect()
}

fn check(attempt: &Attempt) -> Option<&'static str> {
    match attempt.verdict {
        Verdict::Leak if attempt.expected == Outcome::RefusedGrant && attempt.outcome != Outcome::Done => {
            Some("grant-without-promise")
        }
        Verdict::Leak => Some("leak"),
        Verdict::OverDenial => Some("over-denial"),
        Verdict::Held | Verdict::Inconclusive => None,
    }
}

fn finding(group: &[&Attempt], check: &str, subjects: &[Subject]) -> Option<Finding> {
    // The plainest statement shows it best.
    let shown = group.iter().min_by_key(|attempt| attempt.statement.len())?;
    let (actor, standing, command, table) = (&shown.actor, shown.standing, shown.command, &shown.table);
    let rows = match standing.word() {
        "own" => "rows of its own in",
        "other" => "other users' rows in",
        "orphan" => "nobody's rows in",
        "mixed" => "rows between two owners in",
        _ => "rows in",
    };
    let (what, remedy) = match check {
        "leak" if standing == Standing::Own => (
            format!("{actor} can {command} {table} beyond its own rows, or give its own away"),
            format!("tighten the {command} policy in policies/{table}.sql"),
        ),
        "leak" => (
            format!("{actor} can {command} {rows} {table}, and the contract does not promise it"),
            format!(
                "tighten the {command} policy or grant in policies/{table}.sql, or promise it in policies/access.toml"
            ),
        ),
        "grant-without-promise" => (
            format!("{actor} is granted {command} on {table} and promised nothing there"),
            format!(
                "REVOKE {} ON {table} from the role, or promise it in policies/access.toml",
                command.word().to_uppercase()
            ),
        ),
        _ => (
            format!("{actor} cannot {command} {rows} {table}, and the contract promises it"),
            format!("widen the {command} policy or grant in policies/{table}.sql, or take the promise back"),
        ),
    };
    Some(Finding {
        check: check.to_owned(),
        what,
        object: table.clone(),
        place: subjects
            .iter()
            .find(|subject| subject.access.table.to_string() == *table)
            .map(|s| s.access.place.clone()),
        why: format!("{}: expected {}, got {} ({})", shown.id, shown.expected, shown.outcome, shown.why),
        remedy,
        reach: Reach::Api,
        statement: format!("{}; -- as {}", shown.statement, shown.persona),
        attempts: group.iter().map(|attempt| attempt.id.clone()).collect(),
    })
}
