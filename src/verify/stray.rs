//! Strays: what attempts changed in tables that their statement does not name, and that is not promised.

use crate::model::access::Command;
use crate::model::finding::{Finding, Reach};
use crate::model::report::NotRun;
use crate::verify::effect::Effect;
use crate::verify::form::Planned;
use crate::verify::program;
use crate::verify::trial::Observed;
use crate::verify::world::build::Standing;
use crate::verify::world::{Setting, WorldKind};
use std::collections::BTreeSet;

/// An attempt that changed something elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Stray {
    /// The attempt's id.
    pub(crate) id: String,
    pub(crate) kind: WorldKind,
    /// The table that it names.
    pub(crate) subject: usize,
    pub(crate) persona: usize,
    pub(crate) command: Command,
    pub(crate) sql: String,
    /// What it changed in other tables without a promise.
    pub(crate) effects: BTreeSet<Effect>,
}

/// The stray that an attempt is, if it is one.
pub(crate) fn of(
    setting: &Setting<'_>,
    kind: WorldKind,
    planned: &Planned,
    observed: &Observed,
    before: &Standing,
) -> Option<Stray> {
    let (subject, persona) = (planned.subject, planned.persona);
    let effects = observed
        .elsewhere
        .iter()
        .flat_map(|(&table, changes)| Effect::of(table, &before.sights[table][persona], changes))
        .filter(|effect| !effect.promised(setting, persona) && !effect.is_private(setting));
    let effects: BTreeSet<Effect> = effects.collect();
    let (id, sql) = (program::id(setting, planned), planned.sql.clone());
    (!effects.is_empty()).then_some(Stray { id, kind, subject, persona, command: planned.command, sql, effects })
}

/// Tables that an attempt wrote and that are too large to be read as a whole, where what is read of them did not change.
pub(crate) fn unread(
    setting: &Setting<'_>,
    planned: &Planned,
    observed: &Observed,
    whole: &[bool],
) -> impl Iterator<Item = NotRun> {
    let unseen = observed
        .elsewhere
        .iter()
        .filter(|(table, changes)| !whole[**table] && changes.written.is_empty() && changes.gone.is_empty());
    unseen.map(|(&table, _)| NotRun {
        what: format!("{}: what it writes in {}", program::id(setting, planned), setting.subjects[table].access.table),
        why: "the table has more rows than are read back".to_owned(),
    })
}

/// Findings of what no probe explains: neither a trigger nor a rule of the table; and that no foreign key could be
/// behind, which is the probe `cascade`'s matter. `explained` are ids of attempts in the first world, with effects.
pub(crate) fn findings(
    setting: &Setting<'_>,
    strays: &[Stray],
    explained: &BTreeSet<(String, Effect)>,
) -> Vec<Finding> {
    let mut groups: Vec<((usize, Effect), Vec<&Stray>)> = Vec::new();
    for stray in strays {
        let id = stray.id.strip_suffix(stray.kind.suffix()).unwrap_or(&stray.id);
        for effect in &stray.effects {
            let by_key = effect.command() != Command::Insert
                && stray.command != Command::Insert
                && refers(setting, effect.subject, stray.subject);
            if by_key || explained.contains(&(id.to_owned(), effect.clone())) {
                continue;
            }
            let actor = |stray: &Stray| &setting.personas[stray.persona].actor.name;
            let same = groups.iter_mut().find(|(of, group)| {
                *of == (stray.subject, effect.clone())
                    && group.first().is_some_and(|other| actor(other) == actor(stray))
            });
            match same {
                Some((_, group)) => group.push(stray),
                None => groups.push(((stray.subject, effect.clone()), vec![stray])),
            }
        }
    }
    groups.iter().filter_map(|((_, effect), group)| finding(setting, effect, group)).collect()
}

fn finding(setting: &Setting<'_>, effect: &Effect, group: &[&Stray]) -> Option<Finding> {
    let shown = group.iter().min_by_key(|stray| stray.sql.len())?;
    let (access, written) = (&setting.subjects[effect.subject].access, &setting.subjects[shown.subject].access);
    let (persona, table, does) = (&setting.personas[shown.persona], &written.table, effect.describe(setting));
    Some(Finding {
        check: "side-effect".to_owned(),
        what: format!("{} of {} to {table} {does}, which is not promised", shown.command, persona.actor.name),
        object: access.table.to_string(),
        place: Some(access.place.clone()),
        why: format!(
            "{}: PostgreSQL's own statistics say that {} was written too, and it was read back by a role that bypasses RLS",
            shown.id, access.table
        ),
        remedy: format!(
            "look at what {table} sets off: its triggers and rules, and the functions that its policies, defaults and \
             checks call; let them ask whose the rows are that they write"
        ),
        reach: Reach::Api,
        statement: format!("{}; -- as {}", shown.sql, persona.name),
        attempts: group.iter().map(|stray| stray.id.clone()).collect(),
    })
}

/// Whether rows of `child` refer to rows of `parent`, over any number of foreign keys.
pub(crate) fn refers(setting: &Setting<'_>, child: usize, parent: usize) -> bool {
    let name = |subject: usize| setting.subjects[subject].table.name();
    let mut reached = BTreeSet::from([child]);
    loop {
        let refers_to = |from: &usize, to: usize| {
            setting.subjects[*from].table.foreign_keys.iter().any(|key| key.target() == name(to))
        };
        let more: BTreeSet<usize> = (0..setting.subjects.len())
            .filter(|&subject| reached.iter().any(|from| refers_to(from, subject)))
            .collect();
        let before = reached.len();
        reached.extend(more);
        if reached.contains(&parent) && child != parent {
            return true;
        }
        if reached.len() == before {
            return false;
        }
    }
}
