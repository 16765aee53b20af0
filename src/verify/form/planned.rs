//! An attempt as it is planned: the statement and how it is sent, what it is about, what is expected of it, and what
//! shows that a denial is one.

use crate::model::access::{Command, Standing};
use crate::model::attempt::Outcome;
use crate::model::report::NotRun;

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

/// How a statement is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    /// Alone.
    Plain,
    /// As a COPY, whose rows come in a format of its own.
    Copy,
    /// After other statements, as the same actor: a cursor, a prepared statement.
    After {
        first: String,
        /// Takes back what a rollback does not.
        undo: Option<&'static str>,
    },
}

/// What shows which rows a statement reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// The keys that it answers.
    Answer,
    /// What is read back afterwards.
    Changes,
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
    pub(super) fn bounded(who: Who, on_one_row: Option<String>) -> Self {
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

/// A value that a statement gives to a column: the attempt is about whether it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) column: String,
    /// A query for the keys of the rows that hold it.
    pub(crate) holders: String,
}

/// An attempt to make.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) subject: usize,
    pub(crate) persona: usize,
    pub(crate) standing: Standing,
    pub(crate) command: Command,
    /// The commands that must be promised for what it reaches: more than one where it reads what it writes, or writes
    /// what it reads.
    pub(crate) asks: Vec<Command>,
    pub(crate) form: String,
    pub(crate) sql: String,
    pub(crate) route: Route,
    pub(crate) tells: Tells,
    pub(crate) needs: Vec<Need>,
    pub(crate) aim: Aim,
    pub(crate) promise: Promise,
    /// What is expected where it is not promised.
    pub(crate) denial: Outcome,
    pub(crate) control: Option<Control>,
    /// SQLSTATEs with which the server refuses the row, or such a statement, to everyone.
    pub(crate) impossible: Vec<&'static str>,
    /// An SQLSTATE with which the server says, in this form, that no row was there for it.
    pub(crate) no_row: Option<&'static str>,
    /// The value that it is about, where it is about one.
    pub(crate) given: Option<Given>,
}

impl Planned {
    /// All that is sent, as one text.
    pub(crate) fn statement(&self) -> String {
        match &self.route {
            Route::After { first, .. } => format!("{first}; {}", self.sql),
            Route::Plain | Route::Copy => self.sql.clone(),
        }
    }

    /// Whether the control is the same statement by the same persona without the value that the attempt is about.
    pub(crate) fn gives_nothing(&self, control: &Control) -> bool {
        self.given.is_some() && control.sql.is_some() && control.who == Who::Persona(self.persona)
    }
}

/// The attempts of a world, and what could not be planned.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) attempts: Vec<Planned>,
    pub(crate) not_run: Vec<NotRun>,
}

/// A need for single columns, or, without any, for the whole row.
pub(super) fn need(command: Command, columns: &[String]) -> Need {
    Need { command, columns: columns.to_vec() }
}
