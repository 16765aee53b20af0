//! What a script changed in any table of the contract, seen by a role that bypasses RLS.

use super::site::{Site, Step};
use crate::db::error::DbError;
use crate::db::session::StatementResult;
use crate::model::failure::Failure;
use crate::verify::effect::Effect;
use crate::verify::trial::Changes;
use crate::verify::world::Seen;
use crate::verify::world::build::{ReadBack, parse_read_back, read_back_sql};
use std::collections::{BTreeMap, BTreeSet};

/// Between the table's number and what was read back of a row.
const SEPARATOR: char = '\u{1f}';

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
) -> Result<BTreeSet<Effect>, String> {
    let mut rows = parse(looked)?;
    let mut effects = BTreeSet::new();
    for subject in 0..site.subjects().len() {
        let sight = &site.standing.sights[subject][persona];
        let changes = Changes::since(sight, rows.remove(&subject).unwrap_or_default());
        let changes = changes.ok_or_else(|| "what was read back was not understood".to_owned())?;
        effects.extend(Effect::of(subject, sight, &changes));
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
