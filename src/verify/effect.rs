//! What a statement did to a row, as it stands to whoever ran it, and whether the contract lets them do that.

use crate::model::access::{Command, Standing};
use crate::verify::trial::Changes;
use crate::verify::world::{Setting, Sight};
use std::collections::BTreeSet;

/// A row that came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Effect {
    /// The table, as an index into the subjects.
    pub(crate) subject: usize,
    /// How it stood to the persona; `None` where it is new.
    pub(crate) before: Option<Standing>,
    /// How it stands now; `None` where it is gone.
    pub(crate) after: Option<Standing>,
}

impl Effect {
    /// What the changes of one table come to: rows of which the same is true are told of once.
    pub(crate) fn of(subject: usize, before: &Sight, changes: &Changes) -> BTreeSet<Self> {
        let stood = |key: &String| before.get(key).map(|seen| seen.standing);
        let written =
            changes.written.iter().map(|(key, after)| Self { subject, before: stood(key), after: Some(*after) });
        let gone = changes.gone.iter().map(|key| Self { subject, before: stood(key), after: None });
        written.chain(gone).collect()
    }

    /// What was done to the row.
    pub(crate) fn command(&self) -> Command {
        match (self.before, self.after) {
            (None, _) => Command::Insert,
            (_, None) => Command::Delete,
            _ => Command::Update,
        }
    }

    /// Whether the contract promises the persona to do this itself.
    pub(crate) fn promised(&self, setting: &Setting<'_>, persona: usize) -> bool {
        let (access, actor) = (&setting.subjects[self.subject].access, &setting.personas[persona].actor);
        let promised = |standing| setting.contract.promises(access, actor, standing, self.command());
        self.standings().all(promised)
    }

    /// Whether nobody else is touched: the row is the persona's own and stays that; or it is new, nobody's, and no
    /// untrusted actor is promised to see it, as a log's rows are.
    pub(crate) fn is_private(&self, setting: &Setting<'_>) -> bool {
        let access = &setting.subjects[self.subject].access;
        let unseen = |standing| {
            let mut knockers = setting.personas.iter().filter(|persona| persona.knocks());
            knockers.all(|anyone| !setting.contract.promises(access, &anyone.actor, standing, Command::Select))
        };
        let log = match (self.before, self.after) {
            (None, Some(standing @ (Standing::Any | Standing::Orphan))) => unseen(standing),
            _ => false,
        };
        log || self.standings().all(|standing| standing == Standing::Own)
    }

    /// `deletes rows of charts (other)`.
    pub(crate) fn describe(&self, setting: &Setting<'_>) -> String {
        let verb = match self.command() {
            Command::Insert => "adds",
            Command::Delete => "deletes",
            _ => "changes",
        };
        let standing = match (self.before, self.after) {
            (Some(before), Some(after)) if before != after => format!("{before}, then {after}"),
            (Some(standing), _) | (None, Some(standing)) => standing.to_string(),
            (None, None) => String::new(),
        };
        format!("{verb} rows of {} ({standing})", setting.subjects[self.subject].access.table)
    }

    fn standings(&self) -> impl Iterator<Item = Standing> {
        [self.before, self.after].into_iter().flatten()
    }
}
