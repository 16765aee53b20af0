//! What is told of a world's attempts beyond their verdicts, while the world still stands: explanations of those that
//! findings show, and of the one that is asked for.

use super::Run;
use super::tried_world::Tried;
use crate::db::quote::{literal, table as quote_table};
use crate::db::session::Session;
use crate::model::access::Command;
use crate::model::attempt::{Attempt, Outcome, Verdict};
use crate::model::explanation::Explanation;
use crate::verify::explain::Explainer;
use crate::verify::form::{Aim, Planned, Route};
use crate::verify::judge::Case;
use crate::verify::minimal::{Evidence, Shows, Watched};
use crate::verify::probe::site::Site;
use crate::verify::repro::{Act, Becoming, Piece, Script};
use crate::verify::world::build::read_back_sql;
use crate::verify::world::insert::{key_condition, key_expression};
use crate::verify::{findings, minimal, probe, program};
use futures::StreamExt;
use std::collections::BTreeSet;

/// How many findings of a run are explained; `--explain` explains each of the others.
const EXPLAINED: usize = 200;

/// How many explanations are under way at once.
const AT_ONCE: usize = 20;

impl Run<'_> {
    /// Explains those of this world's attempts that findings show, and what is asked for.
    pub(super) async fn explain(&mut self, session: &Session, tried: &Tried<'_>) {
        let explainer = Explainer {
            session,
            world: tried.world,
            keys: &tried.standing.keys,
            target: self.ground.target,
            stepwise: self.ground.stepwise,
        };
        let room = EXPLAINED.saturating_sub(self.explanations.len());
        let mut cases = Vec::new();
        for (nth, (place, attempt, asked)) in self.shown(tried).into_iter().enumerate() {
            cases.extend(tried.case(place).filter(|_| asked || nth < room).map(|case| (case, attempt, asked)));
        }
        let explained = cases.iter().map(|(case, attempt, _)| explainer.explain(case, attempt));
        let at_once = if self.ground.stepwise { 1 } else { AT_ONCE };
        let explanations: Vec<Explanation> = futures::stream::iter(explained).buffered(at_once).collect().await;
        let script = cases.into_iter().zip(&explanations).find(|((_, _, asked), _)| *asked);
        let script = script.map(|((case, attempt, _), explanation)| (case, attempt, explanation.lines()));
        self.explanations.extend(explanations);
        // Last: it takes the world away.
        if let Some((case, attempt, lines)) = script.filter(|_| self.options.repro) {
            self.script = Some(script_of(session, tried, &case, &attempt, lines).await);
        }
    }

    /// The script of the probe's finding that is asked for. Takes the world away.
    pub(super) async fn script_of_probe(&self, site: &Site<'_>) -> Option<String> {
        let asked = self.options.asked.as_deref().filter(|_| self.options.repro)?;
        let steps = self.probes.steps.get(asked)?;
        let found = self.probes.findings.iter().chain(&self.probes.beyond).find(|finding| probe::id(finding) == asked);
        let whole = site.script(steps);
        let mut script = None;
        if let Some(before) = minimal::steps(site.session, &whole).await {
            let evidence = Evidence::Steps(before, site.hidden_from_last(steps));
            script = minimal::reduce(site.session, &whole, &evidence, &BTreeSet::new()).await;
        }
        let mut comments = vec![asked.to_owned()];
        comments.extend(found.iter().flat_map(|finding| [finding.what.clone(), finding.why.clone()]));
        Some(script.unwrap_or(whole).text(&comments))
    }

    /// The attempts of this world that findings show and that are not explained yet, and those asked for: place, attempt
    /// and whether it is asked for. Those asked for come first.
    fn shown(&self, tried: &Tried<'_>) -> Vec<(usize, Attempt, bool)> {
        let asked = |id: &str| self.options.asks_for(id);
        let groups = findings::groups(&self.attempts);
        let by_findings = groups.iter().filter_map(|group| Some((group.shown()?, asked(&group.id()))));
        let alone = self.attempts.iter().filter(|attempt| asked(&attempt.id)).map(|attempt| (attempt, true));
        let mut shown: Vec<(usize, Attempt, bool)> = Vec::new();
        for (attempt, asked) in alone.chain(by_findings) {
            let known = self.explanations.iter().any(|explanation| explanation.attempt == attempt.id)
                || shown.iter().any(|(_, known, _)| known.id == attempt.id);
            let mut planned = tried.program.planned.iter();
            let place = planned.position(|planned| program::id(&self.setting, planned) == attempt.id);
            if let Some(place) = place.filter(|_| !known) {
                shown.push((place, attempt.clone(), asked));
            }
        }
        shown.sort_by_key(|(_, _, asked)| !asked);
        shown
    }
}

/// The script that shows an attempt, without what it can do without.
async fn script_of(
    session: &Session,
    tried: &Tried<'_>,
    case: &Case<'_>,
    attempt: &Attempt,
    lines: Vec<String>,
) -> String {
    let mut comments = vec![attempt.id.clone()];
    let why = if attempt.why.is_empty() { String::new() } else { format!(" ({})", attempt.why) };
    comments.push(format!("{}: expected {}, got {}{why}", attempt.verdict, attempt.expected, attempt.outcome));
    comments.extend(lines);
    let key = case.row();
    let (sql, who) = (statement(tried, case, key.as_deref()), case.persona.name.clone());
    if case.observed.is_none() {
        // No statement is run: the right itself is the finding.
        return Script { acts: vec![Act { who, becomes: None, sql, fires: false }], ..Script::default() }
            .text(&comments);
    }
    let becomes = Some(Becoming::new(&case.persona.parameters));
    let acts = vec![Act { who, becomes, sql, fires: true }];
    let whole = Script::new(tried.world, tried.setting.subjects, acts);
    let (evidence, fixed) = evidence(tried, case, attempt, key);
    let reduced = minimal::reduce(session, &whole, &evidence, &fixed).await;
    reduced.unwrap_or(whole).text(&comments)
}

/// The attempt's statement; one that shows all rows is held to the row in question, so that no others are shown.
fn statement(tried: &Tried<'_>, case: &Case<'_>, key: Option<&str>) -> String {
    let Planned { sql, command, aim, needs, route, .. } = case.planned;
    let table = &case.subject.table;
    if case.observed.is_none() {
        let (role, name) = (literal(&case.persona.actor.role), literal(&quote_table(&table.name())));
        let word = literal(&command.word().to_uppercase());
        let column = needs.first().and_then(|need| need.columns.first());
        return match column {
            Some(column) => {
                format!("SELECT has_column_privilege({role}, {name}, {}, {word})::text", literal(column))
            }
            None => format!("SELECT has_table_privilege({role}, {name}, {word})::text"),
        };
    }
    let row = key.and_then(|key| tried.world.row_of(&tried.standing.keys, case.planned.subject, key));
    let condition = row.and_then(|row| key_condition(table, &row.values));
    match (command, aim, route, condition) {
        (Command::Select, _, Route::Copy, Some(condition)) => {
            let (name, key) = (quote_table(&table.name()), key_expression(table, ""));
            format!("COPY (SELECT {key} FROM {name} WHERE {condition}) TO STDOUT")
        }
        (Command::Select, Aim::All(_), Route::After { first, .. }, Some(condition)) => {
            format!("{first} WHERE {condition}; {sql}")
        }
        (Command::Select, Aim::All(_) | Aim::Count(_), _, Some(condition)) => format!("{sql} WHERE {condition}"),
        _ => case.planned.statement(),
    }
}

/// What the script is to show, and the pieces without which it would not be about the same.
fn evidence(tried: &Tried<'_>, case: &Case<'_>, attempt: &Attempt, key: Option<String>) -> (Evidence, BTreeSet<Piece>) {
    let code = case.observed.and_then(|observed| observed.result.as_ref().err()).map(|error| error.code.clone());
    let reached = attempt.outcome == Outcome::Done && attempt.verdict != Verdict::OverDenial;
    let granted = attempt.verdict == Verdict::Leak && !reached;
    if granted || matches!(attempt.outcome, Outcome::RefusedGrant | Outcome::Error) {
        return (Evidence::Same(code), BTreeSet::new());
    }
    let mut fixed = BTreeSet::new();
    if !reached {
        // Who is denied stays who they are.
        let claims = case.persona.actor.claims.iter();
        fixed.insert(Piece::Claim(0, "sub".to_owned()));
        for (name, value) in claims {
            fixed.insert(Piece::Claim(0, name.clone()));
            let inner = value.as_object().into_iter().flatten();
            fixed.extend(inner.map(|(key, _)| Piece::Inner(0, name.clone(), key.clone())));
        }
    }
    let subject = case.planned.subject;
    let seen = key.and_then(|key| Some((case.before.get(&key)?.standing, key)));
    let Some((standing, key)) = seen else { return (Evidence::New(reached, code), fixed) };
    let read_back = read_back_sql(
        &tried.setting,
        &tried.setting.subjects[subject],
        case.persona.uid_or_nobody(),
        &[],
        Some(&[key.as_str()]),
    );
    let shows = match (case.planned.command, &case.planned.aim) {
        (Command::Select, Aim::Count(_)) => Shows::Count,
        (Command::Select, _) => Shows::Key,
        _ => Shows::Change,
    };
    (Evidence::Row(Watched { key, standing, read_back, shows }, reached, code), fixed)
}
