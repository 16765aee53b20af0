//! The forms: which statements are tried on a table as one persona, and what the contract expects of each.

mod column;
mod copy;
mod cursor;
mod delete;
pub(crate) mod insert;
mod into;
mod joined;
mod lock;
mod merge;
mod old_new;
mod planned;
mod rights;
mod select;
mod truncate;
mod update;
mod upsert;

pub use update::UNBOUNDED;

use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::sqlstate;
use crate::model::access::{Command, Contract, OwnerPath, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::catalog::{Column, ForeignKey, Table};
use crate::model::failure::Failure;
use crate::verify::persona::Persona;
use crate::verify::world::insert::{key_condition, key_expression, keys_condition, sql_value};
use crate::verify::world::rows::{Maker, Values};
use crate::verify::world::values::value;
use crate::verify::world::{Row, Sight, World, WorldKind, variations};

pub(crate) use copy::not_tried;
use planned::need;
pub(crate) use planned::{Aim, Control, Given, Need, Plan, Planned, Promise, Route, Tells, Who};

/// Adds the attempts of one family for one scene.
type Form = fn(&Scene<'_>, &mut Plan) -> Result<(), Failure>;

/// The families that are tried as everyone and in every world; a family adds the attempts of one scene.
const FORMS: &[Form] =
    &[select::plan, insert::plan, update::plan, delete::plan, upsert::plan, column::plan, truncate::plan, rights::plan];

/// The families that reach rows in ways of their own. The first world and the plain personas show that: what other
/// values or tokens reach, the forms before tell.
const FURTHER: &[Form] = &[
    copy::plan,
    cursor::plan,
    lock::plan,
    into::plan,
    upsert::other_indexes,
    joined::plan,
    merge::plan,
    old_new::plan,
];

/// The names under which the further families make rows, for their keys.
pub(crate) const FRESH: [&str; 4] = ["copied", "merged", "together", "together, foreign"];

/// One table, one persona, one world.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) maker: &'a Maker<'a>,
    pub(crate) world: &'a World,
    /// The world's rows' keys, in the order of its rows.
    pub(crate) keys: &'a [String],
    /// How every row of the table stands to each persona: indexed by persona.
    pub(crate) sights: &'a [Sight],
    pub(crate) subject: usize,
    pub(crate) persona: usize,
    /// Whether the sight covers the whole table and statements without WHERE may run.
    pub(crate) whole: bool,
    /// Whether TRUNCATE may be run, and rows that the world did not make be written: not on a target.
    pub(crate) truncates: bool,
}

/// Adds every form of the scene.
///
/// # Errors
/// Inconclusive where a row cannot be made.
pub(crate) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    if !scene.persona().narrow {
        FORMS.iter().try_for_each(|form| form(scene, plan))?;
        if scene.world.kind == WorldKind::Different {
            FURTHER.iter().try_for_each(|form| form(scene, plan))?;
        }
        return Ok(());
    }
    if scene.world.kind != WorldKind::Different {
        return Ok(());
    }
    let mut every = Plan::default();
    FORMS.iter().try_for_each(|form| form(scene, &mut every))?;
    plan.attempts.extend(every.attempts.into_iter().filter(is_plain));
    plan.not_run.extend(every.not_run.into_iter().filter(|not_run| not_run.what.ends_with("/bare")));
    Ok(())
}

/// Whether it is one of the statements that are tried as every persona: read, change and delete, by key and all, and
/// a row for another.
fn is_plain(planned: &Planned) -> bool {
    let form = planned.form.strip_suffix("-returning").unwrap_or(&planned.form);
    match planned.command {
        Command::Select => matches!(form, "all" | "key"),
        Command::Update | Command::Delete => matches!(form, "key" | "bare"),
        Command::Insert => form == "plain" && planned.standing != Standing::Own,
        Command::Truncate => false,
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn table(&self) -> &'a Table {
        &self.maker.subjects[self.subject].table
    }

    pub(crate) fn persona(&self) -> &'a Persona {
        &self.maker.personas[self.persona]
    }

    fn ownership(&self) -> &'a Ownership {
        &self.maker.subjects[self.subject].access.ownership
    }

    pub(crate) fn paths(&self) -> &'a [OwnerPath] {
        self.maker.paths(self.subject)
    }

    pub(crate) fn name(&self) -> String {
        quote_table(&self.table().name())
    }

    /// The rows' name in SELECT lists and RETURNING.
    pub(crate) fn key(&self) -> String {
        key_expression(self.table(), "")
    }

    pub(crate) fn promised(&self, standing: Standing, command: Command) -> bool {
        self.contract.promises(&self.maker.subjects[self.subject].access, &self.persona().actor, standing, command)
    }

    /// Whether any actor of the persona's role is promised the command on any rows: otherwise not even a grant is due.
    pub(crate) fn due(&self, command: Command) -> bool {
        let role = &self.persona().actor.role;
        let access = &self.maker.subjects[self.subject].access;
        self.contract
            .actors
            .iter()
            .filter(|actor| actor.role == *role)
            .any(|actor| Standing::ALL.iter().any(|standing| self.contract.promises(access, actor, *standing, command)))
    }

    /// The outcome of a denial: a missing grant where none is due, else `otherwise`.
    fn denial(&self, commands: &[Command], otherwise: Outcome) -> Outcome {
        if commands.iter().all(|command| self.due(*command)) { otherwise } else { Outcome::RefusedGrant }
    }

    /// The world's rows of this table with that standing, with their keys.
    pub(crate) fn rows(&self, standing: Standing) -> Vec<(&'a Row, &'a str)> {
        let sight = &self.sights[self.persona];
        self.world
            .keyed(self.subject, self.keys)
            .filter(|(_, key)| sight.get(*key).is_some_and(|seen| seen.standing == standing))
            .map(|(row, key)| (row, key.as_str()))
            .collect()
    }

    /// The standings that rows of this world have, each with its rows.
    fn standings(&self) -> Vec<(Standing, Vec<(&'a Row, &'a str)>)> {
        Standing::ALL
            .into_iter()
            .map(|standing| (standing, self.rows(standing)))
            .filter(|(_, rows)| !rows.is_empty())
            .collect()
    }

    /// `WHERE` for one row, by its key columns; where the table has none, by all of it.
    pub(crate) fn where_key(&self, (row, key): (&Row, &str)) -> Option<String> {
        if self.key_columns().is_empty() {
            return Some(format!("{} = {}", self.key(), sql_value(Some(key))));
        }
        key_condition(self.table(), &row.values)
    }

    /// ` WHERE` and the world's rows, for statements that would rightly reach every row of a target's table: the rows
    /// that others are at work on are left alone. Nothing where there is a row that is not promised, which a condition
    /// could hide.
    fn own_world(&self, command: Command) -> Option<String> {
        let all = |command: Command| Standing::ALL.into_iter().all(|standing| self.promised(standing, command));
        (!self.truncates && all(command) && all(Command::Select)).then(|| format!(" WHERE {}", self.among_world()))
    }

    /// A condition that is true for the world's rows of this table.
    pub(crate) fn among_world(&self) -> String {
        let rows = self.world.rows.iter().zip(self.keys).filter(|(row, _)| row.subject == self.subject);
        let keys: Vec<&str> = rows.map(|(_, key)| key.as_str()).collect();
        keys_condition(self.table(), "", &keys)
    }

    pub(crate) fn key_columns(&self) -> Vec<String> {
        crate::verify::world::insert::key_columns(self.table())
    }

    /// Who shows that a statement on existing rows works: the account that owns them, if it is promised the commands.
    fn owner_of(&self, key: &str, commands: &[Command]) -> Who {
        let access = &self.maker.subjects[self.subject].access;
        let owner = (0..self.maker.personas.len()).find(|&index| {
            let persona = &self.maker.personas[index];
            persona.has_rows
                && self.sights[index].get(key).is_some_and(|seen| {
                    seen.standing == Standing::Own
                        && commands
                            .iter()
                            .all(|command| self.contract.promises(access, &persona.actor, Standing::Own, *command))
                })
        });
        owner.map_or(Who::Privileged(self.persona), Who::Persona)
    }

    /// Whether an account can have but one row here.
    pub(crate) fn one_each(&self) -> bool {
        self.maker.one_each(self.subject)
    }

    /// What a further row of one's own is refused with, whoever makes it: where an account can have but one.
    pub(crate) fn taken(&self) -> Option<&'static str> {
        (self.one_each() && self.persona().has_rows).then_some(sqlstate::UNIQUE_VIOLATION)
    }

    /// Another account: with rows, the one that only owns, unless that is oneself; where an account can have but one
    /// row, the one that has none yet.
    pub(crate) fn other_holder(&self) -> Option<usize> {
        let other = |index: &usize| {
            let persona = &self.maker.personas[*index];
            persona.has_rows && persona.uid != self.persona().uid
        };
        let all = 0..self.maker.personas.len();
        if self.one_each() {
            let free = |index: &usize| {
                let persona = &self.maker.personas[*index];
                !persona.has_rows && !persona.tries && persona.uid.is_some()
            };
            return all.clone().find(free);
        }
        all.clone().filter(other).find(|index| !self.maker.personas[*index].tries).or_else(|| all.clone().find(other))
    }

    /// The column that updates set, and the constant they set it to: one that is no key, no reference, no owner and
    /// under no rule, where there is one.
    pub(crate) fn plain_column(&self) -> Option<(&'a Column, String)> {
        let table = self.table();
        let access = &self.maker.subjects[self.subject].access;
        let free = |column: &&Column| {
            !column.generated
                && !column.identity_always
                && !table.uniques.iter().any(|columns| columns.contains(&column.name))
                && !table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
                && !self.paths().iter().any(|path| path.column() == column.name)
        };
        let mut columns: Vec<&Column> = table.columns.iter().filter(free).collect();
        let granted = |column: &Column| {
            table.grants(&self.persona().actor.role, Command::Update, std::slice::from_ref(&column.name))
        };
        columns.sort_by_key(|column| (!granted(column), access.columns.contains_key(&column.name)));
        columns.into_iter().find_map(|column| value(column, 999_001).map(|constant| (column, constant)))
    }

    /// The values of `column` that a check may ask for, each with a word for ids. None for key columns, whose values
    /// must differ; for keys of parents one's own parent and another's.
    pub(crate) fn telling_values(&self, column: &Column) -> Vec<(String, String)> {
        if self.table().uniques.iter().any(|columns| columns.contains(&column.name)) {
            return Vec::new();
        }
        if let Some(key) = self.table().foreign_keys.iter().find(|key| key.columns.contains(&column.name))
            && !self.maker.is_account(self.subject, key)
        {
            return self.telling_parents(key);
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for value in variations::to_write(self.table(), column, &self.maker.who()) {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            let word: String = value.chars().take(24).map(|c| if plain(c) { c } else { '-' }).collect();
            let known =
                told.iter().filter(|(known, _)| *known == word || known.starts_with(&format!("{word}~"))).count();
            told.push((if known == 0 { word } else { format!("{word}~{}", known + 1) }, value));
        }
        told
    }

    /// The keys of one's own parent row and of another's; none where nobody owns parents, or the key is composite.
    fn telling_parents(&self, key: &ForeignKey) -> Vec<(String, String)> {
        let ([target], Some(other)) = (key.target_columns.as_slice(), self.other_holder()) else { return Vec::new() };
        let parent = self.maker.subject_of(&key.target());
        let Some(parent) = parent.filter(|parent| !self.maker.paths(*parent).is_empty()) else { return Vec::new() };
        let of = |word: &str, holder: usize| {
            let row = self.world.row(parent, holder, 1)?;
            Some((word.to_owned(), row.values.get(target).cloned().flatten()?))
        };
        [of("own", self.persona), of("another", other)].into_iter().flatten().collect()
    }

    /// Values for two or more columns at once that a check may ask for together: those that policies name and
    /// that `may` be given. Empty where policies name but one.
    pub(crate) fn telling_rows(&self, may: impl Fn(&Column) -> bool) -> Vec<Values> {
        let free = |column: &Column| {
            variations::is_named(self.table(), column)
                && !self.table().uniques.iter().any(|columns| columns.contains(&column.name))
                && !self.table().foreign_keys.iter().any(|key| key.columns.contains(&column.name))
                && may(column)
        };
        let mut rows = variations::rows(self.table(), free, &self.maker.who());
        rows.retain(|row| row.len() > 1);
        rows
    }

    /// `column = constant` for an UPDATE's SET.
    pub(crate) fn assignment(column: &str, value: Option<&str>) -> String {
        format!("{} = {}", readable_identifier(column), sql_value(value))
    }

    /// The values that a client sends: without columns that cannot be given and those under a rule, unless they must:
    /// then with what the rule allows first.
    pub(crate) fn client_values(&self, mut values: Values, hold: &Values) -> Values {
        let table = self.table();
        let access = &self.maker.subjects[self.subject].access;
        for (name, rule) in access.columns.iter().filter(|(name, _)| !hold.contains_key(*name)) {
            match (values.get_mut(name), rule.client_may_set.iter().find(|text| *text != "null").map(String::as_str)) {
                (Some(value), Some(":uid")) => value.clone_from(&self.persona().uid),
                (Some(value), Some(text)) => *value = Some(text.to_owned()),
                _ => {}
            }
        }
        values.retain(|name, _| {
            hold.contains_key(name)
                || table.column(name).is_some_and(|column| {
                    !column.identity_always
                        && (!access.columns.contains_key(name) || (column.not_null && !column.has_default))
                })
        });
        values
    }

    /// Adds an attempt; a write is added a second time with RETURNING.
    #[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
    fn add(
        &self,
        plan: &mut Plan,
        standing: Standing,
        command: Command,
        form: &str,
        sql: String,
        needs: Vec<Need>,
        aim: Aim,
        promise: Promise,
        denial: Outcome,
        control: Option<Control>,
        impossible: Option<&'static str>,
    ) {
        let planned = self.planned(standing, command, form, sql, needs, aim, promise, denial, control, impossible);
        if matches!(command, Command::Insert | Command::Update | Command::Delete) {
            self.push_both(plan, planned);
        } else {
            self.push(plan, planned);
        }
    }

    /// Adds an attempt, and the same with RETURNING: what is written is read, too.
    fn push_both(&self, plan: &mut Plan, planned: Planned) {
        let mut returning = planned.clone();
        // One control serves both: that the statement does something, RETURNING or not.
        if let Some(control) = &mut returning.control {
            control.sql.get_or_insert_with(|| planned.sql.clone());
        }
        returning.form.push_str("-returning");
        returning.sql = format!("{} RETURNING {}", returning.sql, self.key());
        returning.needs.push(need(Command::Select, &self.key_columns()));
        returning.asks.push(Command::Select);
        if planned.promise == Promise::Yes && !self.promised(planned.standing, Command::Select) {
            returning.promise = Promise::No;
        }
        if !self.due(Command::Select) {
            returning.denial = Outcome::RefusedGrant;
        }
        self.push(plan, returning);
        self.push(plan, planned);
    }

    /// Adds an attempt, named after its world.
    fn push(&self, plan: &mut Plan, mut planned: Planned) {
        planned.form.push_str(self.world.kind.suffix());
        plan.attempts.push(planned);
    }

    /// One attempt, as it is.
    #[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one attempt")]
    fn planned(
        &self,
        standing: Standing,
        command: Command,
        form: &str,
        sql: String,
        needs: Vec<Need>,
        aim: Aim,
        promise: Promise,
        denial: Outcome,
        control: Option<Control>,
        impossible: Option<&'static str>,
    ) -> Planned {
        let draft = self.draft(standing, command, form, sql);
        Planned { needs, aim, promise, denial, control, impossible: impossible.into_iter().collect(), ..draft }
    }

    /// An attempt of which no more is said yet than that it is not promised.
    fn draft(&self, standing: Standing, command: Command, form: &str, sql: String) -> Planned {
        Planned {
            subject: self.subject,
            persona: self.persona,
            standing,
            command,
            asks: vec![command],
            form: form.to_owned(),
            sql,
            route: Route::Plain,
            tells: if command == Command::Select { Tells::Answer } else { Tells::Changes },
            needs: Vec::new(),
            aim: Aim::New,
            promise: Promise::No,
            denial: Outcome::Hidden,
            control: Some(Who::Privileged(self.persona).into()),
            impossible: Vec::new(),
            no_row: None,
            given: None,
        }
    }

    /// An attempt on rows of one standing, for which all of `asks` must be promised; the first of them is its command.
    fn on_rows(
        &self,
        standing: Standing,
        asks: &[Command],
        form: &str,
        sql: String,
        aim: Aim,
        needs: Vec<Need>,
    ) -> Planned {
        let first = match &aim {
            Aim::Rows(keys) | Aim::All(keys) => keys.first(),
            _ => None,
        };
        let control = first.map_or(Who::Privileged(self.persona), |key| self.owner_of(key, asks));
        Planned {
            asks: asks.to_vec(),
            needs,
            aim,
            promise: self.promise(standing, asks),
            denial: self.denial(asks, Outcome::Hidden),
            control: Some(control.into()),
            ..self.draft(standing, asks[0], form, sql)
        }
    }

    /// What a statement that reads or locks names: every row, where the table is small enough, else the first one.
    /// ` WHERE …` or nothing, and the aim.
    fn reach(&self, rows: &[(&Row, &str)]) -> Option<(String, Aim)> {
        if self.whole {
            return Some((String::new(), Aim::All(rows.iter().map(|(_, key)| (*key).to_owned()).collect())));
        }
        Some((format!(" WHERE {}", self.where_key(rows[0])?), Aim::Rows(vec![rows[0].1.to_owned()])))
    }

    /// Whether a statement that names no row would rightly reach all of a target's, on which others are at work.
    fn would_disturb(&self, commands: &[Command]) -> bool {
        let all = |command: &Command| Standing::ALL.into_iter().all(|standing| self.promised(standing, *command));
        !self.truncates && commands.iter().all(all)
    }

    /// A column with that right, where there is one; else those of the key.
    fn any_column(&self, command: Command) -> Vec<String> {
        let (role, table) = (&self.persona().actor.role, self.table());
        let mut names = table.columns.iter().map(|column| vec![column.name.clone()]);
        names.find(|name| table.grants(role, command, name)).unwrap_or_else(|| self.key_columns())
    }

    /// 150018 for 15.18.
    fn version(&self) -> u32 {
        self.maker.catalog.server.version_num
    }

    /// Whether a promise is given.
    fn promise(&self, standing: Standing, commands: &[Command]) -> Promise {
        if commands.iter().all(|command| self.promised(standing, *command)) { Promise::Yes } else { Promise::No }
    }
}
