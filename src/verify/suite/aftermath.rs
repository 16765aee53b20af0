//! What is told of a world's attempts beyond their verdicts, while the world still stands: explanations of those that
//! findings show, and of the one that is asked for.

use super::Run;
use super::tried::Tried;
use crate::db::session::Session;
use crate::model::attempt::Attempt;
use crate::verify::explain::Explainer;
use crate::verify::{findings, program};

/// How many findings of a run are explained; `--explain` explains each of the others.
const EXPLAINED: usize = 200;

impl Run<'_> {
    /// Explains those of this world's attempts that findings show, and what is asked for.
    pub(super) async fn explain(&mut self, session: &Session, tried: &Tried<'_>) {
        let explainer = Explainer {
            session,
            setting: self.setting,
            world: tried.world,
            keys: &tried.standing.keys,
            target: self.ground.target,
        };
        for (place, attempt, asked) in self.shown(tried) {
            if !asked && self.explanations.len() >= EXPLAINED {
                continue;
            }
            if let Some(case) = tried.case(place) {
                let explanation = explainer.explain(&case, &attempt).await;
                self.explanations.push(explanation);
            }
        }
    }

    /// The attempts of this world that findings show and that are not explained yet, and those asked for: place, attempt
    /// and whether it is asked for. Those asked for come first.
    fn shown(&self, tried: &Tried<'_>) -> Vec<(usize, Attempt, bool)> {
        let asked = |id: &str| self.options.asked.as_deref() == Some(id);
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
