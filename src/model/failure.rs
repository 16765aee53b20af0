//! Why a command could not do its job: what failed, where, why, and what to do next.

use crate::model::source::Place;
use std::fmt;

/// What kind of failure it is; each kind has one exit code (`cli/exit.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A wrong flag, or a file that is wrong.
    Usage,
    /// Nothing was checked, or what was checked can't be relied on.
    Inconclusive,
    /// No connection, or not enough rights.
    Connection,
    /// A lock, of migrations or of a table, was not had in time.
    Lock,
    /// A migration failed.
    Migration,
    /// Interrupted by a signal.
    Interrupted,
}

/// The one error type of the floors below `cli`. Never holds a password, a token or a row's values.
#[derive(Debug, Clone)]
pub struct Failure(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    kind: FailureKind,
    what: String,
    place: Option<Place>,
    notes: Vec<String>,
    help: Vec<String>,
}

impl Failure {
    /// A failure of `kind`; `what` is a lowercase fragment that says what failed.
    pub fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self(Box::new(Parts { kind, what: what.into(), place: None, notes: Vec::new(), help: Vec::new() }))
    }

    /// Shorthand for [`FailureKind::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, what)
    }

    /// Adds the place in a file.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.0.place = Some(place);
        self
    }

    /// Adds a fact: the cause, what was done before, what was not.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// What failed, in one fragment.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Where, when there is a file.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// Causes and circumstances, in order.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// What to do next, in order.
    pub fn helps(&self) -> &[String] {
        &self.0.help
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{}: ", place.location())?;
        }
        f.write_str(&self.0.what)
    }
}

impl std::error::Error for Failure {}
