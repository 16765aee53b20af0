//! A world that was tried: what was planned in it and what was observed, as cases to be judged.

use crate::model::access::Standing as RowStanding;
use crate::verify::judge::Case;
use crate::verify::program::Program;
use crate::verify::trial::Observed;
use crate::verify::world::build::Standing;
use crate::verify::world::{Setting, World};
use std::collections::{BTreeMap, BTreeSet};

/// A world, its program, and what came of it.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    pub(super) setting: Setting<'a>,
    pub(super) world: &'a World,
    pub(super) program: &'a Program,
    pub(super) observed: &'a [Observed],
    /// The world as it stood before.
    pub(super) standing: &'a Standing,
    /// For each subject and persona the standings that rows of the world have.
    told: BTreeMap<(usize, usize), BTreeSet<RowStanding>>,
}

impl<'a> Tried<'a> {
    pub(super) fn new(
        setting: Setting<'a>,
        world: &'a World,
        program: &'a Program,
        observed: &'a [Observed],
        standing: &'a Standing,
    ) -> Self {
        let mut told = BTreeMap::new();
        for planned in &program.planned {
            told.entry((planned.subject, planned.persona)).or_insert_with(|| {
                let sight = &standing.sights[planned.subject][planned.persona];
                let rows = world.keyed(planned.subject, &standing.keys);
                rows.filter_map(|(_, key)| sight.get(key)).map(|seen| seen.standing).collect()
            });
        }
        Self { setting, world, program, observed, standing, told }
    }

    /// The case of the attempt that was planned at that place; `None` where it was not made any more.
    pub(super) fn case(&self, place: usize) -> Option<Case<'_>> {
        let planned = self.program.planned.get(place)?;
        let (own, control) = *self.program.of_attempt.get(place)?;
        let seen = own.and_then(|index| self.observed.get(index));
        if own.is_some() && seen.is_none() {
            return None;
        }
        Some(Case {
            told: self.told.get(&(planned.subject, planned.persona))?,
            contract: self.setting.contract,
            subject: &self.setting.subjects[planned.subject],
            persona: &self.setting.personas[planned.persona],
            planned,
            before: &self.standing.sights[planned.subject][planned.persona],
            observed: seen,
            control: control.and_then(|index| self.observed.get(index)),
        })
    }
}
