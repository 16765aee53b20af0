//! Expected against observed: the outcome and the verdict of an attempt. Pure; the policies are not consulted.

use crate::db::sqlstate;
use crate::model::access::{Command, Contract, Standing};
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::verify::form::{Aim, Planned, Promise, Tells};
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
        column: planned.given.as_ref().map(|given| given.column.clone()),
        expected,
        outcome,
        verdict,
        why,
        statement: planned.statement(),
    }
}

impl Case<'_> {
    /// Whether the contract promises all that the statement does to a row of that standing.
    fn row_promised(&self, standing: Standing, new: bool) -> bool {
        // A new row was inserted; to one that was there something else was done, where the statement can do both.
        let asks = &self.planned.asks;
        let does = |command: &Command| *command != Command::Select && (*command == Command::Insert) == new;
        let told_apart = asks.iter().any(does);
        asks.iter()
            .filter(|command| !told_apart || **command == Command::Select || does(command))
            .all(|command| self.contract.promises(&self.subject.access, &self.persona.actor, standing, *command))
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
                        keys.first().and_then(|key| written.get_key_value(key)).or_else(|| self.new_row(written))
                    }
                    _ => self.new_row(written),
                });
                row.is_some_and(|(key, standing)| self.row_promised(*standing, !self.before.contains_key(key)))
            }
        }
    }

    /// A row under a key that was not there: a new one, or one whose key the statement changed.
    fn new_row<'a>(&self, written: &'a BTreeMap<String, Standing>) -> Option<(&'a String, &'a Standing)> {
        written.iter().find(|(key, _)| !self.before.contains_key(*key))
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
            Err(error) if self.planned.no_row == Some(error.code.as_str()) => (Outcome::Hidden, String::new()),
            // Beside a control that gives the column nothing, it is the value that is refused.
            Err(error) if self.planned.given.is_some() && refuses_value(&error.code) => {
                (Outcome::RefusedPolicy, error.message.clone())
            }
            Err(error) => (Outcome::Error, error.to_string()),
            Ok(_) if !self.granted() => {
                (Outcome::Error, "it ran although the catalogue says that a grant it needs is missing".to_owned())
            }
            Ok(result) => match &self.planned.aim {
                Aim::Count(_) => {
                    (if counted(&result.keys) == Some(0) { Outcome::Hidden } else { Outcome::Done }, String::new())
                }
                Aim::Rows(_) if self.planned.given.is_some() && !self.is_stored(observed) => {
                    (Outcome::Hidden, "the value is not stored".to_owned())
                }
                Aim::Rows(keys) | Aim::All(keys) | Aim::Untouched(keys) => {
                    let touched = self.touched(observed);
                    let done = keys.iter().any(|key| touched.contains(key.as_str()));
                    (if done { Outcome::Done } else { Outcome::Hidden }, String::new())
                }
                Aim::New => {
                    let done = self.touched(observed).iter().any(|key| !self.before.contains_key(*key))
                        && (self.planned.given.is_none() || self.is_stored(observed));
                    (if done { Outcome::Done } else { Outcome::Hidden }, String::new())
                }
                Aim::Rights => (Outcome::Error, "no statement was to be run".to_owned()),
            },
        }
    }

    /// The keys of the rows that were seen or changed.
    fn touched<'a>(&self, observed: &'a Observed) -> BTreeSet<&'a str> {
        if self.planned.tells == Tells::Answer {
            return observed
                .result
                .iter()
                .flat_map(|result| result.keys.iter().flatten().map(String::as_str))
                .collect();
        }
        let changes = observed.changes.iter();
        changes.flat_map(|changes| changes.written.keys().chain(&changes.gone)).map(String::as_str).collect()
    }

    /// Whether the statement stores the value that it gives: not where that is there without its being given, and so
    /// is no client's doing.
    fn is_stored(&self, observed: &Observed) -> bool {
        let by_itself = || {
            let control = self.planned.control.as_ref().filter(|control| self.planned.gives_nothing(control));
            control.and(self.control).is_some_and(|control| self.holds_value(control))
        };
        self.holds_value(observed) && (self.planned.promise == Promise::Yes || !by_itself())
    }

    /// Whether the row that the statement is about, or a new one, holds the given value.
    fn holds_value(&self, observed: &Observed) -> bool {
        let aimed = |key: &String| matches!(&self.planned.aim, Aim::Rows(keys) if keys.contains(key));
        let mut holding = observed.holding.iter().flatten();
        holding.any(|key| aimed(key) || !self.before.contains_key(key))
    }

    /// Rows that were seen or changed and are not promised: before, or as they stand afterwards.
    fn beyond(&self, observed: &Observed) -> usize {
        if matches!(self.planned.aim, Aim::Count(_)) {
            return 0;
        }
        let touched = self.touched(observed);
        let before = touched.iter().filter(|key| match self.before.get(**key) {
            Some(seen) if self.told_elsewhere(seen.standing) => false,
            Some(seen) => !self.row_promised(seen.standing, false),
            // A row that is neither the world's nor was read: another's, unless it is new.
            None => self.planned.tells == Tells::Answer && !self.row_promised(Standing::Other, false),
        });
        let after = observed.changes.iter().flat_map(|changes| &changes.written).filter(|(key, standing)| {
            let stood = self.before.get(*key);
            // Unpromised rows are counted above already.
            stood.is_none_or(|seen| self.row_promised(seen.standing, false))
                && !self.row_promised(**standing, stood.is_none())
        });
        before.count() + after.count()
    }

    /// The key of the row that the verdict is about: of those that the statement is about, the first that it touched
    /// beyond the promise, or did not touch in spite of it. None where it is a new row.
    pub(crate) fn row(&self) -> Option<String> {
        let (Aim::Rows(aimed) | Aim::All(aimed) | Aim::Untouched(aimed)) = &self.planned.aim else {
            return match self.planned.aim {
                Aim::Count(_) => {
                    self.before.keys().find(|key| self.is_beyond(key)).or(self.before.keys().next()).cloned()
                }
                _ => None,
            };
        };
        let touched = self.observed.map(|observed| self.touched(observed)).unwrap_or_default();
        let promised = self.promised();
        let telling = aimed.iter().find(|key| touched.contains(key.as_str()) != promised);
        let beyond = || touched.iter().find(|key| self.is_beyond(key)).map(|key| (*key).to_owned());
        telling.cloned().or_else(beyond).or_else(|| aimed.first().cloned())
    }

    /// Whether a row that was there before is not promised.
    pub(crate) fn is_beyond(&self, key: &str) -> bool {
        self.before.get(key).is_some_and(|seen| !self.row_promised(seen.standing, false))
    }

    /// Whether the same statement is judged for rows of that standing by another attempt.
    fn told_elsewhere(&self, standing: Standing) -> bool {
        matches!(self.planned.aim, Aim::All(_)) && standing != self.planned.standing && self.told.contains(&standing)
    }

    fn verdict(&self, promised: bool, expected: Outcome, outcome: Outcome, cause: String) -> (Verdict, String) {
        if outcome == Outcome::Error {
            let code = self.observed.and_then(|seen| seen.result.as_ref().err()).map(|error| error.code.as_str());
            if self.impossible().is_some_and(|refused| Some(refused) == code) {
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
            // Every row that went in is promised, as was seen above: a trigger made it the actor's own.
            (_, Outcome::Done)
                if self.planned.command == Command::Insert
                    && self.planned.aim == Aim::New
                    && self.planned.given.is_none() =>
            {
                (Verdict::Held, String::new())
            }
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
                Outcome::Hidden if self.planned.given.is_some() => {
                    "the value that is allowed was not stored".to_owned()
                }
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
        if self.impossible().is_some() {
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

    /// With what the server refuses it to everyone, where it does so and that was to be expected.
    fn impossible(&self) -> Option<&'static str> {
        let error = self.control?.result.as_ref().err()?;
        self.planned.impossible.iter().copied().find(|code| *code == error.code)
    }
}

/// Whether an error says that a value may not be given: a right, a constraint or a trigger is in the way of it.
fn refuses_value(code: &str) -> bool {
    let refusals = [sqlstate::NOT_NULL_VIOLATION, sqlstate::CHECK_VIOLATION, sqlstate::GENERATED_ALWAYS];
    refusals.contains(&code) || code.starts_with("P0") || code.starts_with("PT")
}

fn counted(keys: &[Option<String>]) -> Option<u64> {
    keys.first().cloned().flatten().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests;
