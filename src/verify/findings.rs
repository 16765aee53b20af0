//! Attempts that did not hold, as findings: one for each table, actor, standing and command, with the statement that
//! shows it.

use crate::model::access::Standing;
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::model::finding::{Finding, Reach};
use crate::verify::world::Subject;

/// The checks that attempts' findings carry.
pub(crate) const CHECKS: &[&str] = &["leak", "over-denial", "grant-without-promise"];

/// Attempts that show the same: the same check failed for one table, actor, standing and command.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    check: &'static str,
    attempts: Vec<&'a Attempt>,
}

impl Group<'_> {
    /// The one that shows it best: of the first world, the plainest statement; a count, which names no row, last.
    pub(crate) fn shown(&self) -> Option<&Attempt> {
        let rank = |attempt: &&&Attempt| {
            let base = attempt.form.split('@').next().unwrap_or_default();
            let plain = matches!(base, "all" | "key" | "bare" | "plain" | "rights") || base.starts_with("plain-");
            (attempt.form.contains('@'), attempt.form.starts_with("count"), !plain, attempt.statement.len())
        };
        self.attempts.iter().min_by_key(rank).copied()
    }

    /// The id of its finding.
    pub(crate) fn id(&self) -> String {
        self.shown().map(|shown| shown.finding_id(self.check)).unwrap_or_default()
    }
}

/// The attempts that did not hold, grouped, in the attempts' order.
pub(crate) fn groups(attempts: &[Attempt]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for attempt in attempts {
        let Some(check) = check(attempt) else { continue };
        let same = groups.iter_mut().find(|group| {
            group.check == check
                && group.attempts.first().is_some_and(|first| {
                    (&first.table, &first.actor, first.standing, first.command, &first.column)
                        == (&attempt.table, &attempt.actor, attempt.standing, attempt.command, &attempt.column)
                })
        });
        match same {
            Some(group) => group.attempts.push(attempt),
            None => groups.push(Group { check, attempts: vec![attempt] }),
        }
    }
    groups
}

/// The findings of leaks and over-denials, in the attempts' order.
pub(crate) fn of_attempts(attempts: &[Attempt], subjects: &[Subject]) -> Vec<Finding> {
    groups(attempts).iter().filter_map(|group| finding(group, subjects)).collect()
}

fn check(attempt: &Attempt) -> Option<&'static str> {
    match attempt.verdict {
        Verdict::Leak if attempt.expected == Outcome::RefusedGrant && attempt.outcome != Outcome::Done => {
            Some("grant-without-promise")
        }
        Verdict::Leak if attempt.column.is_some() => Some("client-may-set"),
        Verdict::Leak => Some("leak"),
        Verdict::OverDenial => Some("over-denial"),
        Verdict::Held | Verdict::Inconclusive => None,
    }
}

fn finding(group: &Group<'_>, subjects: &[Subject]) -> Option<Finding> {
    let (shown, check) = (group.shown()?, group.check);
    let (actor, standing, command, table) = (&shown.actor, shown.standing, shown.command, &shown.table);
    let rows = match standing.word() {
        "own" => "rows of its own in",
        "other" => "other users' rows in",
        "orphan" => "nobody's rows in",
        "mixed" => "rows between two owners in",
        _ => "rows in",
    };
    let column = shown.column.as_ref().map(|column| format!("{table}.{column}"));
    let (what, remedy) = match check {
        "client-may-set" => (
            format!("{actor} can set {} to a value that the contract does not allow", column.unwrap_or_default()),
            format!(
                "let a trigger on {table} overwrite or refuse it, or take {} on the column from the role and grant the \
                 others",
                command.word().to_uppercase()
            ),
        ),
        "over-denial" if column.is_some() => (
            format!("{actor} cannot set {} to a value that the contract allows", column.unwrap_or_default()),
            "let it through, or take the value out of client_may_set in policies/access.toml".to_owned(),
        ),
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
            .map(|subject| &subject.access)
            .map(|access| {
                let rule = shown.column.as_ref().and_then(|column| access.columns.get(column));
                rule.map_or_else(|| access.place.clone(), |rule| rule.place.clone())
            }),
        why: format!("{}: expected {}, got {} ({})", shown.id, shown.expected, shown.outcome, shown.why),
        remedy,
        reach: Reach::Api,
        statement: format!("{}; -- as {}", shown.statement, shown.persona),
        attempts: group.attempts.iter().map(|attempt| attempt.id.clone()).collect(),
    })
}
