//! An error of the database or of the connection to it, in plain data.

use crate::model::failure::{Failure, FailureKind};
use std::fmt;

/// Where in its text a statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorPosition {
    /// A 1-based character offset into the text that was sent.
    Sent(u32),
    /// A 1-based character offset into `query`, a statement inside a function or DO block.
    Internal {
        /// The offset.
        position: u32,
        /// The inner statement.
        query: String,
    },
}

/// What the server said, or how the connection failed. `detail` can hold row values and is never printed unasked.
#[derive(Debug, Clone, Default)]
pub struct DbError {
    /// The SQLSTATE; empty where the connection failed and the server said nothing.
    pub code: String,
    /// The primary message. Values may stand in it (22P02 quotes its input).
    pub message: String,
    /// DETAIL: may hold row values.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// CONTEXT: the stack of functions.
    pub context: Option<String>,
    /// Where in the text.
    pub position: Option<ErrorPosition>,
    /// The constraint, table and column that the server names.
    pub constraint: Option<String>,
    /// The table that the server names.
    pub table: Option<String>,
    /// Whether the server ended the connection with it: severity FATAL or PANIC.
    pub fatal: bool,
}

impl DbError {
    /// Whether the connection itself is gone, as opposed to a statement having failed.
    pub fn is_connection(&self) -> bool {
        self.fatal || self.code.is_empty() || self.code.starts_with("08") || self.code.starts_with("57P")
    }

    /// The failure to report where no caller knows better: rights and connection are `Connection`, the rest
    /// `Inconclusive`. `what` is what was being done.
    pub fn into_failure(self, what: &str) -> Failure {
        let kind = match self.code.as_str() {
            "" | "42501" | "25006" | "28P01" | "28000" | "3D000" => FailureKind::Connection,
            "55P03" => FailureKind::Lock,
            _ if self.is_connection() => FailureKind::Connection,
            _ => FailureKind::Inconclusive,
        };
        let mut failure = Failure::new(kind, what).note(self.to_string());
        if let Some(hint) = self.hint {
            failure = failure.help(hint);
        }
        failure
    }
}

impl fmt::Display for DbError {
    /// The message and the SQLSTATE; never DETAIL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.code.is_empty() {
            write!(f, " (SQLSTATE {})", self.code)?;
        }
        Ok(())
    }
}

impl std::error::Error for DbError {}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::{ErrorPosition as Position, Severity};
        let Some(db) = error.as_db_error() else {
            let mut message = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !message.contains(&cause_text) {
                    message = format!("{message}: {cause_text}");
                }
                source = cause.source();
            }
            return Self { message, ..Self::default() };
        };
        Self {
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            hint: db.hint().map(str::to_owned),
            context: db.where_().map(str::to_owned),
            position: db.position().map(|position| match position {
                Position::Original(at) => ErrorPosition::Sent(*at),
                Position::Internal { position, query } => {
                    ErrorPosition::Internal { position: *position, query: query.clone() }
                }
            }),
            constraint: db.constraint().map(str::to_owned),
            table: db.table().map(str::to_owned),
            fatal: matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        }
    }
}
