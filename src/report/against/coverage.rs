//! What was tried then and is not tried now: tables, personas, commands on rows of a standing, probes.

use super::Compared;
use crate::model::report::Report;
use crate::report::json::earlier::{Attempt, Earlier};
use std::collections::{BTreeMap, BTreeSet};

const WHY: &str = "the earlier report tried it, so that what it held against this is not known any more";

/// What attempts of a kind have in common: table, persona, standing, command.
type Kind<'a> = (&'a str, &'a str, &'a str, &'a str);

pub(super) fn compare(earlier: &Earlier, now: &Report, tables: &BTreeSet<String>, compared: &mut Compared) {
    let made: BTreeSet<&str> = now.attempts.iter().map(|attempt| attempt.id.as_str()).collect();
    let kinds: BTreeSet<Kind<'_>> = now
        .attempts
        .iter()
        .map(|attempt| {
            (attempt.table.as_str(), attempt.persona.as_str(), attempt.standing.word(), attempt.command.word())
        })
        .collect();
    let personas: BTreeSet<&str> = kinds.iter().map(|kind| kind.1).collect();
    let tried: BTreeSet<&str> = kinds.iter().map(|kind| kind.0).collect();
    let (mut lost_tables, mut lost_personas) = (BTreeSet::new(), BTreeSet::new());
    let mut lost_kinds: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    let mut forms: Vec<&str> = Vec::new();
    for attempt in earlier.attempts.iter().filter(|attempt| !made.contains(attempt.id.as_str())) {
        let Attempt { id, table, persona, standing, command, .. } = attempt;
        if !tried.contains(table.as_str()) {
            lost_tables.insert(table.as_str());
        } else if !personas.contains(persona.as_str()) {
            lost_personas.insert(persona.as_str());
        } else if kinds.contains(&(table, persona, standing, command)) {
            forms.push(id);
        } else {
            lost_kinds.entry((table, persona)).or_default().insert(format!("{command} of {standing} rows"));
        }
    }
    for table in lost_tables {
        if tables.contains(table) {
            compared.loosened("lost-coverage", table, format!("nothing is tried on {table} any more"), WHY, None);
        } else {
            compared.comparison.add("gone", table, format!("table {table} is gone, and with it what was tried"), false);
        }
    }
    for persona in lost_personas {
        compared.loosened("lost-coverage", persona, format!("nothing is tried as {persona} any more"), WHY, None);
    }
    for ((table, persona), lost) in lost_kinds {
        let lost: Vec<String> = lost.into_iter().collect();
        let what = format!("{persona} does not try on {table} any more: {}", lost.join(", "));
        compared.loosened("lost-coverage", &format!("{table}/{persona}"), what, WHY, None);
    }
    if let Some(first) = forms.first() {
        let what = format!("{} forms of attempts are not made any more, of kinds that others are made of", forms.len());
        compared.comparison.add("fewer-forms", first, what, false);
    }
    probes(earlier, now, compared);
}

/// Probes that are not made any more. One that can't be made here, or came to nothing, is told of as such already.
fn probes(earlier: &Earlier, now: &Report, compared: &mut Compared) {
    let told = |name: &str| {
        let lists = [&now.doubts, &now.not_run, &now.not_tried];
        now.probes.iter().any(|probe| probe.name == name)
            || lists.iter().any(|list| list.iter().any(|it| it.what == name))
    };
    for probe in earlier.probes.iter().filter(|probe| !told(&probe.name)) {
        let what = format!("the probe {} is not made any more", probe.name);
        compared.loosened("lost-coverage", &format!("probe {}", probe.name), what, WHY, None);
    }
}
