//! Expected against observed: the outcome and the verdict of an attempt. Pure; the policies are not consulted.

use crate::db::sqlstate;
use crate::model::access::{Command, Contract, Standing};
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::verify::form::{Aim, Planned, Promise};
use crate::verify::persona::Persona;
use crate::verify::trial::Observed;
use crate::verify::world::{Sight, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that one attempt is judged by.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) subject: &'a Subject,
    pub(crate) persona: &'a Persona,
    pub(crate) planned: &'a Planned,
    /// How the table's rows stood to the persona before.
    pub(crate) before: &'a Sight,
    /// The standings that rows of the world have to the persona: each is told of in attempts of its own.
    pub(crate) told: &'a BTreeSet<Standing>,
    /// `None` where no statement was run (the rights decide).
    pub(crate) observed: Option<&'a Observed>,
    /// What the control did, where the attempt has one.
    pub(crate) control: Option<&'a Observed>,
}

/// Judges.
pub(crate) fn judge(case: &Case<'_>) -> Attempt {
    let planned = case.planned;
    let promised = case.promised();
    let expected = if promised { Outcome::Done } else { planned.denial };
    let (outcome, cause) = case.outcome();
    let (verdict, why) = case.verdict(promised, expected, outcome, cause);
    let table = case.subject.access.table.to_string();
    Attempt {
        id: format!("{table}/{}/{}/{}/{}", case.persona.name, planned.standing, planned.command, planned.form),
        table,
        actor: case.persona.actor.name.clone(),
        persona: case.persona.name.clone(),
        standing: planned.standing,
        command: planned.command,
        form: planned.form.clone(),
        expected,
        outcome,
        verdict,
        why,
        statement: planned.sql.clone(),
    }
}

impl Case<'_> {
    /// Whether the contract promises rows of that standing.
    fn row_promised(&self, standing: Standing) -> bool {
        self.contract.promises(&self.subject.access, &self.persona.actor, standing, self.planned.command)
    }

    fn promised(&self) -> bool {
        match self.planned.promise {
            Promise::Yes => true,
            Promise::No => false,
            // The row as the same statement leaves it without policies shows whose it would be.
            Promise::ByControl => {
                let written = self.control.and_then(|control| control.changes.as_ref()).map(|changes| &changes.written);
                let row = written.and_then(|written| match &self.planned.aim {
                    Aim::Rows(keys) | Aim::All(keys) => {
                        keys.first().and_then(|key| written.get(key)).or_else(|| self.new_row(written))
                    }
                    _ => self.new_row(written),
                });
                row.is_some_and(|standing| self.row_promised(*standing))
            }
        }
    }

    /// A row under a key that was not there: a new one, or one whose key the statement changed.
    fn new_row<'a>(&self, written: &'a BTreeMap<String, Standing>) -> Option<&'a Standing> {
        written.iter().find(|(key, _)| !self.before.contains_key(*key)).map(|(_, standing)| standing)
    }

    fn granted(&self) -> bool {
        self.planned
            .needs
            .iter()
            .all(|need| self.subject.table.grants(&self.persona.actor.role, need.command, &need.columns))
    }

    fn outcome(&self) -> (Outcome, String) {
        let Some(observed) = self.observed else {
            return if self.granted() && self.planned.command == Command::Truncate {
                (Outcome::Done, "the grant is there".to_owned())
            } else if self.granted() {
                // The policies may still stand in the way.
                (Outcome::Hidden, String::new())
            } else {
                (Outcome::RefusedGrant, String::new())
            };
        };
        match &observed.result {
            Err(error) if error.code == sqlstate::INSUFFICIENT_PRIVILEGE => {
                if self.granted() {
                    (Outcome::RefusedPolicy, error.message.clone())
                } else {
                    (Outcome::RefusedGrant, String::new())
                }
            }
            Err(error) => (Outcome::Error, error.to_string()),
            Ok(_) if !self.granted() => {
                (Outcome::Error, "it ran although the catalogue says that a grant it needs is missing".to_owned())
            }
            Ok(result) => match &self.planned.aim {
                Aim::Count(_) => {
                    (if counted(&result.keys) == Some(0) { Outcome::Hidden } else { Outcome::Done }, String::new())
                }
                Aim::Rows(keys) | Aim::All(keys) | Aim::Untouched(keys) => {
                    let touched = self.touched(observed);
                    let done = keys.iter().any(|key| touched.contains(key.as_str()));
                    (if done { Outcome::Done } else { Outcome::Hidden }, String::new())
                }
                Aim::New => {
                    let done = self.touched(observed).iter().any(|key| !self.before.contains_key(*key));
                    (if done { Outcome::Done } else { Outcome::Hidden }, String::new())
                }
                Aim::Rights => (Outcome::Error, "no statement was to be run".to_owned()),
            },
        }
    }

    /// The keys of the rows that were seen or changed.
    fn touched<'a>(&self, observed: &'a Observed) -> BTreeSet<&'a str> {
        if self.planned.command == Command::Select {
            return observed
                .result
                .iter()
                .flat_map(|result| result.keys.iter().flatten().map(String::as_str))
                .collect();
        }
        let changes = observed.changes.iter();
        changes.flat_map(|changes| changes.written.keys().chain(&changes.gone)).map(String::as_str).collect()
    }

    /// Rows that were seen or changed and are not promised: before, or as they stand afterwards.
    fn beyond(&self, observed: &Observed) -> usize {
        if matches!(self.planned.aim, Aim::Count(_)) {
            return 0;
        }
        let touched = self.touched(observed);
        let before = touched.iter().filter(|key| match self.before.get(**key) {
            Some(seen) if self.told_elsewhere(seen.standing) => false,
            Some(seen) => !self.row_promised(seen.standing),
            // A row that is neither the world's nor was read: another's, unless it is new.
            None => self.planned.command == Command::Select && !self.row_promised(Standing::Other),
        });
        let after = observed.changes.iter().flat_map(|changes| &changes.written).filter(|(key, standing)| {
            let stood = self.before.get(*key);
            // Unpromised rows are counted above already.
            stood.is_none_or(|seen| self.row_promised(seen.standing)) && !self.row_promised(**standing)
        });
        before.count() + after.count()
    }

    /// Whether the same statement is judged for rows of that standing by another attempt.
    fn told_elsewhere(&self, standing: Standing) -> bool {
        matches!(self.planned.aim, Aim::All(_)) && standing != self.planned.standing && self.told.contains(&standing)
    }

    fn verdict(&self, promised: bool, expected: Outcome, outcome: Outcome, cause: String) -> (Verdict, String) {
        if outcome == Outcome::Error {
            let everyone = self.planned.impossible.is_some_and(|code| self.refused_to_everyone(code));
            let same = self.observed.and_then(|seen| seen.result.as_ref().err()).map(|error| error.code.as_str());
            if everyone && self.planned.impossible.is_some_and(|code| same.is_some_and(|same| alike(same, code))) {
                return (Verdict::Held, String::new());
            }
            return (Verdict::Inconclusive, cause);
        }
        if let Some(observed) = self.observed
            && let Ok(result) = &observed.result
        {
            if let Aim::Count(expected) = self.planned.aim {
                return self.count_verdict(expected, counted(&result.keys), promised);
            }
            let beyond = self.beyond(observed);
            if beyond > 0 {
                return (
                    Verdict::Leak,
                    format!("{beyond} row{} beyond the promise", if beyond == 1 { "" } else { "s" }),
                );
            }
        }
        if promised {
            return self.promised_verdict(outcome, &cause);
        }
        match (expected, outcome) {
            (_, Outcome::Done) => {
                (Verdict::Leak, if cause.is_empty() { "it did what is not promised".to_owned() } else { cause })
            }
            (Outcome::RefusedGrant, Outcome::Hidden | Outcome::RefusedPolicy) => {
                (Verdict::Leak, "a grant without a promise: only the policies stand in the way".to_owned())
            }
            (_, Outcome::RefusedGrant) => (Verdict::Held, String::new()),
            _ => self.denied_verdict(),
        }
    }

    fn promised_verdict(&self, outcome: Outcome, cause: &str) -> (Verdict, String) {
        if outcome != Outcome::Done {
            let why = match outcome {
                Outcome::Hidden => "no row was seen or changed".to_owned(),
                Outcome::RefusedGrant => "a grant that it needs is missing".to_owned(),
                _ => cause.to_owned(),
            };
            return (Verdict::OverDenial, why);
        }
        // Every row that it is about, not just some.
        if let (Aim::Rows(keys) | Aim::All(keys), Some(observed)) = (&self.planned.aim, self.observed) {
            let touched = self.touched(observed);
            let missing = keys.iter().filter(|key| !touched.contains(key.as_str())).count();
            if missing > 0 {
                return (
                    Verdict::OverDenial,
                    format!("{missing} of {} promised rows were not seen or changed", keys.len()),
                );
            }
        }
        (Verdict::Held, String::new())
    }

    fn count_verdict(&self, expected: u64, counted: Option<u64>, promised: bool) -> (Verdict, String) {
        match counted {
            None => (Verdict::Inconclusive, "the count was not understood".to_owned()),
            Some(count) if count > expected => {
                (Verdict::Leak, format!("it counted {count} rows, and {expected} are promised"))
            }
            Some(count) if count < expected => {
                (Verdict::OverDenial, format!("it counted {count} rows, and {expected} are promised"))
            }
            Some(_) if !promised && self.planned.denial == Outcome::RefusedGrant => {
                (Verdict::Leak, "a grant without a promise: only the policies stand in the way".to_owned())
            }
            Some(_) => (Verdict::Held, String::new()),
        }
    }

    /// A denial counts only where the same statement does something for someone.
    fn denied_verdict(&self) -> (Verdict, String) {
        if self.planned.impossible.is_some_and(|code| self.refused_to_everyone(code)) {
            return (Verdict::Held, String::new());
        }
        let Some(control) = self.control else { return (Verdict::Inconclusive, "no control was run".to_owned()) };
        if let Err(error) = &control.result {
            return (Verdict::Inconclusive, format!("the control failed too, so the denial shows nothing: {error}"));
        }
        let touched = self.touched(control);
        let effect = match &self.planned.aim {
            Aim::Rows(keys) | Aim::All(keys) => keys.iter().any(|key| touched.contains(key.as_str())),
            Aim::Untouched(_) | Aim::Rights => true,
            Aim::New => touched.iter().any(|key| !self.before.contains_key(*key)),
            Aim::Count(_) => control.result.as_ref().is_ok_and(|result| counted(&result.keys).is_some_and(|n| n > 0)),
        };
        if effect {
            (Verdict::Held, String::new())
        } else {
            (Verdict::Inconclusive, "the control did nothing either, so the denial shows nothing".to_owned())
        }
    }

    fn refused_to_everyone(&self, code: &str) -> bool {
        self.control.and_then(|control| control.result.as_ref().err()).is_some_and(|error| alike(&error.code, code))
    }
}

/// Whether both say the same of a row: which of NOT NULL, CHECK and a partition's bound is asked first is the server's.
fn alike(one: &str, other: &str) -> bool {
    let of_row = [sqlstate::NOT_NULL_VIOLATION, sqlstate::CHECK_VIOLATION];
    one == other || (of_row.contains(&one) && of_row.contains(&other))
}

fn counted(keys: &[Option<String>]) -> Option<u64> {
    keys.first().cloned().flatten().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests;
