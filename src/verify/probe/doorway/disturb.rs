//! Disturbances: one row more or one row less in a table. Whoever may not see that row must not notice.

use super::super::site::{Site, Step};
use super::last;
use crate::db::quote::table as quote_table;
use crate::model::access::{Command, Ownership, Standing};
use crate::model::failure::Failure;
use crate::verify::form::insert;
use crate::verify::world::insert::insert as insert_sql;
use crate::verify::world::rows::Values;

/// A change of one row.
#[derive(Debug, Clone)]
pub(super) struct Disturbance {
    pub(super) subject: usize,
    persona: usize,
    /// Whether the row is hidden from the persona; otherwise it is its own.
    pub(super) hidden: bool,
    pub(super) sql: String,
}

/// For each subject and persona a change of a hidden row and one of an own row, as far as there are such.
#[derive(Debug)]
pub(super) struct Disturbances(Vec<Disturbance>);

/// A row that is not in the world, hidden from the persona or its own; with what makes it that.
///
/// # Errors
/// Where no row can be made from the catalogue.
pub(super) fn fresh(
    site: &Site<'_>,
    subject: usize,
    persona: usize,
    hidden: bool,
    name: &str,
) -> Result<Option<(Values, Values)>, Failure> {
    let scene = site.scene(subject, persona);
    let ownership = &site.subjects()[subject].access.ownership;
    if matches!(ownership, Ownership::Sql(_)) {
        return Ok(None);
    }
    let standing = match (ownership, hidden) {
        (Ownership::None, _) => Standing::Any,
        (_, true) => Standing::Other,
        (_, false) => Standing::Own,
    };
    let holder = if hidden { scene.other_holder() } else { Some(persona) };
    let (Some(holder), true) = (holder, scene.promised(standing, Command::Select) != hidden) else { return Ok(None) };
    let Some(hold) = insert::hold(&scene, |_| Some(holder)) else { return Ok(None) };
    let values = site.maker.fresh(subject, Some(holder), hold.clone(), name, site.world)?;
    Ok(Some((hold, values)))
}

impl Disturbances {
    /// Finds those that the database takes.
    ///
    /// # Errors
    /// Where no row can be made from the catalogue.
    pub(super) async fn find(site: &Site<'_>) -> Result<Self, Failure> {
        let mut candidates = Vec::new();
        for persona in site.knockers() {
            for subject in 0..site.subjects().len() {
                for hidden in [true, false] {
                    for sql in candidates_of(site, subject, persona, hidden)? {
                        candidates.push(Disturbance { subject, persona, hidden, sql });
                    }
                }
            }
        }
        let scripts: Vec<Vec<Step>> =
            candidates.iter().map(|one| vec![Step::privileged(one.persona, one.sql.clone())]).collect();
        let mut found: Vec<Disturbance> = Vec::new();
        for (candidate, results) in candidates.into_iter().zip(site.run_all(&scripts).await) {
            let same = |one: &Disturbance| {
                (one.subject, one.persona, one.hidden) == (candidate.subject, candidate.persona, candidate.hidden)
            };
            if last(results).is_ok_and(|result| result.count == 1) && !found.iter().any(same) {
                found.push(candidate);
            }
        }
        Ok(Self(found))
    }

    /// Those of one persona.
    pub(super) fn of(&self, persona: usize) -> impl Iterator<Item = &Disturbance> {
        self.0.iter().filter(move |one| one.persona == persona)
    }
}

/// A row more, and where that can't be (one row an account), a row less.
fn candidates_of(site: &Site<'_>, subject: usize, persona: usize, hidden: bool) -> Result<Vec<String>, Failure> {
    let scene = site.scene(subject, persona);
    let table = site.table(subject);
    let more = fresh(site, subject, persona, hidden, "disturbance")?;
    let mut candidates: Vec<String> = more.map(|(_, values)| insert_sql(table, &values)).into_iter().collect();
    let standings: &[Standing] =
        if hidden { &[Standing::Other, Standing::Orphan, Standing::Any] } else { &[Standing::Own, Standing::Any] };
    for &standing in standings {
        if scene.promised(standing, Command::Select) == hidden {
            continue;
        }
        // The last one is what fewest rows hang on.
        if let Some(condition) = scene.rows(standing).last().and_then(|row| scene.where_key(*row)) {
            candidates.push(format!("DELETE FROM {} WHERE {condition}", quote_table(&table.name())));
        }
    }
    Ok(candidates)
}
