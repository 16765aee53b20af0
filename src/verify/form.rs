//! The forms: which statements are tried on a table as one persona, and what the contract expects of each.

mod delete;
pub(crate) mod insert;
mod rights;
mod select;
mod truncate;
mod update;
mod upsert;

use crate::db::quote::{readable_identifier, table as quote_table};
use crate::db::sqlstate;
use crate::model::access::{Command, Contract, OwnerPath, Ownership, Standing};
use crate::model::attempt::Outcome;
use crate::model::catalog::{Column, Table};
use crate::model::failure::Failure;
use crate::model::report::NotRun;
use crate::verify::persona::Persona;
use crate::verify::world::insert::{key_condition, key_expression, sql_value};
use crate::verify::world::rows::{Maker, Values};
use crate::verify::world::{Row, Sight, World, WorldKind, variations};

/// Adds the attempts of one family for one scene.
type Form = fn(&Scene<'_>, &mut Plan) -> Result<(), Failure>;

/// Every family of forms; a family adds the attempts of one scene.
const FORMS: &[Form] =
    &[select::plan, insert::plan, update::plan, delete::plan, upsert::plan, truncate::plan, rights::plan];

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Existing rows, by key: the statement names them.
    Rows(Vec<String>),
    /// Existing rows, by key: the statement names no row, and every standing's rows are told of on their own.
    All(Vec<String>),
    /// Existing rows, by key, that the statement leaves as they are whoever runs it.
    Untouched(Vec<String>),
    /// A new row.
    New,
    /// The number that `count(*)` must give.
    Count(u64),
    /// No statement is run: the rights decide.
    Rights,
}

/// Who shows that a statement would do something, were it allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// A persona, by index.
    Persona(usize),
    /// The session's own role, which bypasses RLS, with the claims of a persona.
    Privileged(usize),
}

/// What shows that a denial is one: the same statement by someone who may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) who: Who,
    /// Another statement instead, on one of the same rows: for statements without WHERE, which a role that bypasses
    /// RLS would let loose on every row of the table.
    pub(crate) sql: Option<String>,
}

impl From<Who> for Control {
    fn from(who: Who) -> Self {
        Self { who, sql: None }
    }
}

impl Control {
    /// By `who`; where that is a role that bypasses RLS, `on_one_row` instead of the statement itself.
    fn bounded(who: Who, on_one_row: Option<String>) -> Self {
        Self { who, sql: if matches!(who, Who::Privileged(_)) { on_one_row } else { None } }
    }
}

/// How it is known whether the statement is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It is where the row, as the control leaves it, is promised to the actor.
    ByControl,
}

/// A grant that a statement needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) command: Command,
    /// Empty: the whole row.
    pub(crate) columns: Vec<String>,
}

/// An attempt to make.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) subject: usize,
    pub(crate) persona: usize,
    pub(crate) standing: Standing,
    pub(crate) command: Command,
    pub(crate) form: String,
    pub(crate) sql: String,
    pub(crate) needs: Vec<Need>,
    pub(crate) aim: Aim,
    pub(crate) promise: Promise,
    /// What is expected where it is not promised.
    pub(crate) denial: Outcome,
    pub(crate) control: Option<Control>,
    /// An SQLSTATE with which the server refuses the row to everyone.
    pub(crate) impossible: Option<&'static str>,
}

/// The attempts of a world, and what could not be planned.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) attempts: Vec<Planned>,
    pub(crate) not_run: Vec<NotRun>,
}

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
    /// Whether TRUNCATE may be run; otherwise the rights decide.
    pub(crate) truncates: bool,
}

/// Adds every form of the scene.
///
/// # Errors
/// Inconclusive where a row cannot be made.
pub(crate) fn plan(scene: &Scene<'_>, plan: &mut Plan) -> Result<(), Failure> {
    if !scene.persona().narrow {
        return FORMS.iter().try_for_each(|form| form(scene, plan));
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
            .rows
            .iter()
            .zip(self.keys)
            .filter(|(row, key)| {
                row.subject == self.subject && sight.get(*key).is_some_and(|seen| seen.standing == standing)
            })
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

    pub(crate) fn key_columns(&self) -> Vec<String> {
        crate::verify::world::insert::key_columns(self.table())
    }

    /// Who shows that a statement on existing rows works: the account that owns them, if it is promised the command.
    fn owner_of(&self, key: &str, command: Command) -> Who {
        let access = &self.maker.subjects[self.subject].access;
        let owner = (0..self.maker.personas.len()).find(|&index| {
            let persona = &self.maker.personas[index];
            persona.has_rows
                && self.sights[index].get(key).is_some_and(|seen| {
                    seen.standing == Standing::Own
                        && self.contract.promises(access, &persona.actor, Standing::Own, command)
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
            persona.has_rows
                && persona.uid != self.persona().uid
                && (self.paths().is_empty() || self.maker.hold_all(self.subject, *index, 1, self.world).is_some())
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
                && !table.is_unique(&column.name)
                && !table.foreign_keys.iter().any(|key| key.columns.contains(&column.name))
                && !self.paths().iter().any(|path| path.column() == column.name)
        };
        let mut columns: Vec<&Column> = table.columns.iter().filter(free).collect();
        let granted = |column: &Column| {
            table.grants(&self.persona().actor.role, Command::Update, std::slice::from_ref(&column.name))
        };
        // One under conditions last: what they allow may depend on the row.
        let bound = |column: &Column| self.maker.fit_of(table, &column.name).is_some();
        columns.sort_by_key(|column| (!granted(column), access.columns.contains_key(&column.name), bound(column)));
        let constant = |column: &Column| self.maker.constant(table, &column.name, 999_001);
        columns.into_iter().find_map(|column| constant(column).map(|constant| (column, constant)))
    }

    /// The values of `column` that a check may ask for, each with a word for ids. None for key columns, whose values
    /// must differ.
    pub(crate) fn telling_values(&self, column: &Column) -> Vec<(String, String)> {
        if self.table().is_unique(&column.name) {
            return Vec::new();
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for value in variations::to_write(self.table(), column) {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            let word: String = value.chars().take(24).map(|c| if plain(c) { c } else { '-' }).collect();
            let known =
                told.iter().filter(|(known, _)| *known == word || known.starts_with(&format!("{word}~"))).count();
            told.push((if known == 0 { word } else { format!("{word}~{}", known + 1) }, value));
        }
        told
    }

    /// `column = constant` for an UPDATE's SET.
    pub(crate) fn assignment(column: &str, value: Option<&str>) -> String {
        format!("{} = {}", readable_identifier(column), sql_value(value))
    }

    /// The values that a client sends: without columns that cannot be given and those under a rule, unless they must.
    pub(crate) fn client_values(&self, mut values: Values, hold: &Values) -> Values {
        let table = self.table();
        let access = &self.maker.subjects[self.subject].access;
        values.retain(|name, _| {
            hold.contains_key(name)
                || table.column(name).is_some_and(|column| {
                    !column.identity_always
                        && (!access.columns.contains_key(name) || (column.not_null && !column.has_default))
                })
        });
        values
    }

    /// Whether only the row itself shows whose it is: a condition decides.
    pub(crate) fn is_unsure(&self) -> bool {
        matches!(self.ownership(), Ownership::Sql(_))
    }

    /// What the server may refuse to everyone in a row whose columns are set so: a condition that ties them to others,
    /// or a key that refers to the row.
    fn refused_to_all(&self, set: &Values) -> Option<&'static str> {
        let table = self.table();
        let referred =
            self.maker.catalog.tables.iter().flat_map(|other| &other.foreign_keys).any(|key| {
                key.target() == table.name() && key.target_columns.iter().any(|name| set.contains_key(name))
            });
        if referred {
            return Some(sqlstate::FOREIGN_KEY_VIOLATION);
        }
        set.keys().any(|name| self.maker.fit_of(table, name).is_some()).then_some(sqlstate::CHECK_VIOLATION)
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
            let mut returning = planned.clone();
            // One control serves both: that the statement does something, RETURNING or not.
            if let Some(control) = &mut returning.control {
                control.sql.get_or_insert_with(|| planned.sql.clone());
            }
            returning.form.push_str("-returning");
            returning.sql = format!("{} RETURNING {}", returning.sql, self.key());
            returning.needs.push(Need { command: Command::Select, columns: self.key_columns() });
            if !self.due(Command::Select) {
                returning.denial = Outcome::RefusedGrant;
            }
            let suffix = self.world.kind.suffix();
            returning.form.push_str(suffix);
            plan.attempts.push(returning);
        }
        let mut planned = planned;
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
        Planned {
            subject: self.subject,
            persona: self.persona,
            standing,
            command,
            form: form.to_owned(),
            sql,
            needs,
            aim,
            promise,
            denial,
            control,
            impossible,
        }
    }

    /// Whether a promise is given.
    fn promise(&self, standing: Standing, commands: &[Command]) -> Promise {
        if commands.iter().all(|command| self.promised(standing, *command)) { Promise::Yes } else { Promise::No }
    }
}

/// A need for single columns, or, without any, for the whole row.
fn need(command: Command, columns: &[String]) -> Need {
    Need { command, columns: columns.to_vec() }
}
