//! What a script changed in any table of the contract, seen by a role that bypasses RLS.

use super::site::{Site, Step};
use crate::db::error::DbError;
use crate::db::session::StatementResult;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::verify::world::Seen;
use crate::verify::world::build::{ReadBack, parse_read_back, read_back_sql};
use std::collections::{BTreeMap, BTreeSet};

/// Between the table's number and what was read back of a row.
const SEPARATOR: char = '\u{1f}';

/// A row that came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) subject: usize,
    /// How it stood to the persona; `None` where it is new.
    pub(super) before: Option<Standing>,
    /// How it stands now; `None` where it is gone.
    pub(super) after: Option<Standing>,
}

impl Effect {
    /// What was done to the row.
    pub(super) fn command(&self) -> Command {
        match (self.before, self.after) {
            (None, _) => Command::Insert,
            (_, None) => Command::Delete,
            _ => Command::Update,
        }
    }

    /// Whether the contract promises the persona to do this itself.
    pub(super) fn promised(&self, site: &Site<'_>, persona: usize) -> bool {
        let scene = site.scene(self.subject, persona);
        [self.before, self.after].into_iter().flatten().all(|standing| scene.promised(standing, self.command()))
    }

    /// Whether nobody else is touched: the row is the persona's own and stays that; or it is new, nobody's, and no
    /// untrusted actor is promised to see it, as a log's rows are.
    pub(super) fn is_private(&self, site: &Site<'_>) -> bool {
        let own = [self.before, self.after].into_iter().flatten().all(|standing| standing == Standing::Own);
        let unseen = |standing| {
            site.knockers().all(|anyone| !site.scene(self.subject, anyone).promised(standing, Command::Select))
        };
        let log = match (self.before, self.after) {
            (None, Some(standing @ (Standing::Any | Standing::Orphan))) => unseen(standing),
            _ => false,
        };
        own || log
    }

    /// `deletes rows of charts (other)`.
    pub(super) fn describe(&self, site: &Site<'_>) -> String {
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
        format!("{verb} rows of {} ({standing})", site.subjects()[self.subject].access.table)
    }
}

/// Statements that read every table back, prepared once for each persona to whom rows then stand.
#[derive(Debug)]
pub(super) struct Looks {
    probe: &'static str,
    personas: BTreeSet<usize>,
}

impl Looks {
    /// Prepares them; `probe` tells them apart from those of others. To be [closed](Looks::close).
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn open(site: &Site<'_>, probe: &'static str, personas: BTreeSet<usize>) -> Result<Self, Failure> {
        let looks = Self { probe, personas };
        let prepare = looks
            .personas
            .iter()
            .map(|&persona| format!("PREPARE {} AS {}", looks.name(persona), sql(site, persona, true)));
        let prepare = prepare.collect::<Vec<_>>().join("; ");
        let prepared = site
            .session
            .batch(&format!("ROLLBACK TO SAVEPOINT attempt; SET LOCAL row_security = off; {prepare}"))
            .await;
        prepared
            .map_err(|error| error.into_failure("the statements that read every table back could not be prepared"))?;
        Ok(looks)
    }

    /// What the script did up to here, as the persona stands to it.
    pub(super) fn look(&self, persona: usize) -> Step {
        Step::privileged(persona, format!("EXECUTE {}", self.name(persona)))
    }

    /// A pooler's next client must not find them.
    pub(super) async fn close(self, site: &Site<'_>) {
        let names = self.personas.iter().map(|&persona| format!("DEALLOCATE {}", self.name(persona)));
        let names = names.collect::<Vec<_>>().join("; ");
        // Where the connection is lost they are gone with it.
        let _closed = site.session.batch(&format!("ROLLBACK TO SAVEPOINT attempt; {names}")).await;
    }

    fn name(&self, persona: usize) -> String {
        format!("chartchek_db_{}_{persona}", self.probe)
    }
}

/// Reads every table back, as the persona stands to its rows; without the standing of rows that are as they were where
/// `changes` alone are wanted.
fn sql(site: &Site<'_>, persona: usize, changes: bool) -> String {
    let uid = site.persona(persona).uid_or_nobody();
    let parts = site.subjects().iter().enumerate().map(|(index, subject)| {
        let sight = &site.standing.sights[index][persona];
        let known: Vec<&str> =
            if changes { sight.values().map(|seen| seen.locator.as_str()).collect() } else { Vec::new() };
        let keys: Vec<&str> = sight.keys().map(String::as_str).collect();
        let scope = if site.whole[index] { None } else { Some(keys.as_slice()) };
        let sql = read_back_sql(&site.setting, subject, uid, &known, scope);
        format!("SELECT '{index}' || chr(31) || q{index}.r FROM ({sql}) AS q{index} (r)")
    });
    parts.collect::<Vec<_>>().join(" UNION ALL ")
}

/// The rows of a [`Looks::look`], by subject.
type Rows = BTreeMap<usize, Vec<ReadBack>>;

fn parse(result: Option<&Result<StatementResult, DbError>>) -> Result<Rows, String> {
    let unreadable = || "what was read back was not understood".to_owned();
    let result = result
        .ok_or_else(unreadable)?
        .as_ref()
        .map_err(|error| format!("the tables could not be read back: {error}"))?;
    let mut by_subject: BTreeMap<usize, Vec<Option<String>>> = BTreeMap::new();
    for row in &result.keys {
        let (index, row) = row.as_deref().and_then(|row| row.split_once(SEPARATOR)).ok_or_else(unreadable)?;
        let index = index.parse::<usize>().map_err(|_number| unreadable())?;
        by_subject.entry(index).or_default().push(Some(row.to_owned()));
    }
    by_subject
        .into_iter()
        .map(|(index, rows)| Some((index, parse_read_back(rows)?)))
        .collect::<Option<Rows>>()
        .ok_or_else(unreadable)
}

/// What changed, from what [`Looks::look`] gave.
///
/// # Errors
/// Why it could not be told.
pub(super) fn effects(
    site: &Site<'_>,
    persona: usize,
    looked: Option<&Result<StatementResult, DbError>>,
) -> Result<Vec<Effect>, String> {
    let mut rows = parse(looked)?;
    let mut effects = Vec::new();
    for subject in 0..site.subjects().len() {
        let sight = &site.standing.sights[subject][persona];
        let rows = rows.remove(&subject).unwrap_or_default();
        let present: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        for row in &rows {
            let before = sight.get(&row.key);
            if before.is_none_or(|seen| seen.locator != row.locator) {
                let before = before.map(|seen| seen.standing);
                effects.push(Effect { subject, before, after: row.standing });
            }
        }
        let gone = sight.iter().filter(|(key, _)| !present.contains(key.as_str()));
        effects.extend(gone.map(|(_, seen)| Effect { subject, before: Some(seen.standing), after: None }));
    }
    Ok(effects)
}

/// How every row stands, and where it lies: by subject and key.
pub(super) type Standings = BTreeMap<(usize, String), Seen>;

/// Reads how every row stands to the persona at this point of a script.
pub(super) fn standings_step(site: &Site<'_>, persona: usize) -> Step {
    Step::privileged(persona, sql(site, persona, false))
}

/// What [`standings_step`] read.
///
/// # Errors
/// Why it could not be told.
pub(super) fn standings(looked: Option<&Result<StatementResult, DbError>>) -> Result<Standings, String> {
    let rows = parse(looked)?.into_iter().flat_map(|(subject, rows)| rows.into_iter().map(move |row| (subject, row)));
    let seen = |row: ReadBack| Some(Seen { locator: row.locator, standing: row.standing? });
    Ok(rows.filter_map(|(subject, row)| Some(((subject, row.key.clone()), seen(row)?))).collect())
}
