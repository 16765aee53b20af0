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
                    (&first.table, &first.actor, first.standing, first.command, &first.column)
                        == (&attempt.table, &attempt.actor, attempt.standing, attempt.command, &attempt.column)
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
        Verdict::Leak if attempt.column.is_some() => Some("client-may-set"),
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
        attempts: group.iter().map(|attempt| attempt.id.clone()).collect(),
    })
}
