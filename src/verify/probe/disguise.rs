//! Requests that say of themselves what they should not be able to: claims and settings changed, and every table read and
//! written as before.

use super::effects::{Looks, effects};
use super::site::{Results, Site, Step};
use crate::db::error::DbError;
use crate::db::quote::literal;
use crate::db::sqlstate;
use crate::model::access::{Command, Standing};
use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::effect::Effect;
use crate::verify::form::{Scene, insert};
use crate::verify::world::insert::{insert as insert_sql, key_columns};
use crate::verify::world::rows::Values;
use std::collections::BTreeSet;

/// A request that is not what it says.
#[derive(Debug, Clone)]
pub(super) struct Disguise {
    /// The persona that it really is.
    pub(super) persona: usize,
    /// For people: `claims that are no JSON`.
    pub(super) what: String,
    /// What changes who the request says it is; the last step is the persona's own.
    pub(super) setup: Vec<Step>,
    /// Whether it has no account: then not even the persona's own rows are its own.
    pub(super) nobody: bool,
}

impl Disguise {
    /// Sets a parameter for the rest of the transaction, as that persona.
    pub(super) fn set(persona: usize, name: &str, value: &str) -> Step {
        Step::by(persona, format!("SELECT set_config({}, {}, true)", literal(name), literal(value)))
    }

    /// Whether the contract promises it the command on rows that stand so to the persona.
    fn promised(&self, site: &Site<'_>, subject: usize, standing: Standing, command: Command) -> bool {
        if !self.nobody {
            return site.scene(subject, self.persona).promised(standing, command);
        }
        // Nobody's own rows are another's; of the rest, what any holder of the role is promised.
        let standing = if standing == Standing::Own { Standing::Other } else { standing };
        let role = &site.persona(self.persona).actor.role;
        let same = |persona: &usize| site.persona(*persona).actor.role == *role;
        site.knockers().filter(same).any(|persona| site.scene(subject, persona).promised(standing, command))
    }
}

/// What a disguise reached that it should not.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    /// Index into the disguises.
    pub(super) disguise: usize,
    pub(super) subject: usize,
    pub(super) standing: Standing,
    pub(super) command: Command,
    pub(super) steps: Vec<Step>,
}

/// A statement that failed with what is no denial.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) disguise: usize,
    pub(super) subject: usize,
    /// Whether the disguise could not even be put on, so that nothing was tried.
    pub(super) setup: bool,
    pub(super) error: DbError,
}

struct Trial {
    disguise: usize,
    subject: usize,
    command: Command,
    sql: String,
}

/// Tries every disguise on the tables that `on` names: SELECT, and UPDATE, DELETE and INSERT that read no column.
///
/// # Errors
/// The server's, and where a row cannot be made.
pub(super) async fn run(
    site: &Site<'_>,
    probe: &'static str,
    disguises: &[Disguise],
    on: impl Fn(usize) -> bool,
) -> Result<(usize, Vec<Reached>, Vec<Failed>), Failure> {
    let mut trials = Vec::new();
    for (disguise, Disguise { persona, .. }) in disguises.iter().enumerate() {
        for subject in (0..site.subjects().len()).filter(|&subject| on(subject)) {
            for (command, sql) in statements(site, subject, *persona)? {
                trials.push(Trial { disguise, subject, command, sql });
            }
        }
    }
    if trials.is_empty() {
        return Ok((0, Vec::new(), Vec::new()));
    }
    let looks = Looks::open(site, probe, disguises.iter().map(|disguise| disguise.persona).collect()).await?;
    let scripts: Vec<Vec<Step>> = trials
        .iter()
        .map(|trial| {
            let mut steps = steps(&disguises[trial.disguise], trial);
            if trial.command != Command::Select {
                steps.push(looks.look(disguises[trial.disguise].persona));
            }
            steps
        })
        .collect();
    let answers = site.run_all(&scripts).await;
    looks.close(site).await;
    let (mut reached, mut failed) = (Vec::new(), Vec::new());
    for (trial, results) in trials.iter().zip(answers) {
        let disguise = &disguises[trial.disguise];
        match judge(site, disguise, trial, &results) {
            Ok(None) => {}
            Ok(Some(standing)) => reached.push(Reached {
                disguise: trial.disguise,
                subject: trial.subject,
                standing,
                command: trial.command,
                steps: steps(disguise, trial),
            }),
            Err(error) => {
                let setup = results.iter().take(disguise.setup.len()).any(Result::is_err);
                failed.push(Failed { disguise: trial.disguise, subject: trial.subject, setup, error: *error });
            }
        }
    }
    Ok((trials.len(), reached, failed))
}

fn steps(disguise: &Disguise, trial: &Trial) -> Vec<Step> {
    disguise.setup.iter().cloned().chain(std::iter::once(Step::by(disguise.persona, trial.sql.clone()))).collect()
}

/// How the first row stands that was reached without a promise.
fn judge(
    site: &Site<'_>,
    disguise: &Disguise,
    trial: &Trial,
    results: &Results,
) -> Result<Option<Standing>, Box<DbError>> {
    let setup = disguise.setup.len();
    if let Some(Err(error)) = results.iter().take(setup).find(|result| result.is_err()) {
        return Err(Box::new(error.clone()));
    }
    if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
        // A refusal; or the row itself is refused to everyone (23…), which tells nothing of existing rows.
        let declared = error.code == sqlstate::INSUFFICIENT_PRIVILEGE
            || trial.command == Command::Insert && error.code.starts_with("23");
        return if declared { Ok(None) } else { Err(Box::new(error.clone())) };
    }
    let unpromised = |standing: &Standing| !disguise.promised(site, trial.subject, *standing, trial.command);
    if trial.command == Command::Select {
        let sight = &site.standing.sights[trial.subject][disguise.persona];
        let keys = results.last().and_then(|result| result.as_ref().ok()).map(|result| result.keys.as_slice());
        let seen = keys.unwrap_or_default().iter().flatten().filter_map(|key| sight.get(key));
        return Ok(seen.map(|seen| seen.standing).find(unpromised));
    }
    let effects = effects(site, disguise.persona, results.last())
        .map_err(|message| Box::new(DbError { code: "XX000".to_owned(), message, ..DbError::default() }))?;
    let of_table = effects.into_iter().filter(|effect| effect.subject == trial.subject);
    let standings = of_table.flat_map(|Effect { before, after, .. }| [before, after]).flatten();
    Ok(standings.into_iter().find(unpromised))
}

/// The statements to try on a table: as far as the persona's role is granted them.
fn statements(site: &Site<'_>, subject: usize, persona: usize) -> Result<Vec<(Command, String)>, Failure> {
    let scene = site.scene(subject, persona);
    let (table, role) = (scene.table(), &site.persona(persona).actor.role);
    let bound = if site.whole[subject] {
        String::new()
    } else {
        let rows = Standing::ALL.into_iter().flat_map(|standing| scene.rows(standing));
        let conditions: Option<Vec<String>> = rows.map(|row| Some(format!("({})", scene.where_key(row)?))).collect();
        match conditions.filter(|conditions| !conditions.is_empty()) {
            Some(conditions) => format!(" WHERE {}", conditions.join(" OR ")),
            None => return Ok(Vec::new()),
        }
    };
    let mut statements = Vec::new();
    if table.grants(role, Command::Select, &key_columns(table)) {
        statements.push((Command::Select, format!("SELECT {} FROM {}{bound}", scene.key(), scene.name())));
    }
    if let Some((column, constant)) = scene.plain_column()
        && table.grants(role, Command::Update, std::slice::from_ref(&column.name))
    {
        let set = Scene::assignment(&column.name, Some(&constant));
        statements.push((Command::Update, format!("UPDATE {} SET {set}{bound}", scene.name())));
    }
    if table.grants(role, Command::Delete, &[]) {
        statements.push((Command::Delete, format!("DELETE FROM {}{bound}", scene.name())));
    }
    // Another's row, and nobody's.
    let others = scene.other_holder().and_then(|other| insert::hold(&scene, |_| Some(other)));
    let nobodys: Values = scene.paths().iter().map(|path| (path.column().to_owned(), None)).collect();
    let nobodys = (!nobodys.is_empty()).then_some(nobodys);
    for hold in others.into_iter().chain(nobodys) {
        let fresh = site.maker.fresh(subject, Some(persona), hold.clone(), "disguise", site.world)?;
        let values = scene.client_values(fresh, &hold);
        let columns: Vec<String> = values.keys().cloned().collect();
        if table.grants(role, Command::Insert, &columns) {
            statements.push((Command::Insert, insert_sql(table, &values)));
        }
    }
    Ok(statements)
}

/// What could not be tried at all, one for each table.
pub(super) fn not_put_on(site: &Site<'_>, disguises: &[Disguise], failed: &[Failed]) -> Vec<NotRun> {
    let mut seen = BTreeSet::new();
    let of_setup = failed.iter().filter(|failed| failed.setup && seen.insert(failed.subject));
    let doubt = |failed: &Failed| NotRun {
        what: site.subjects()[failed.subject].access.table.to_string(),
        why: format!("{} could not be tried: {}", disguises[failed.disguise].what, failed.error.code),
    };
    of_setup.map(doubt).collect()
}
