//! The table of exit codes.

use crate::model::failure::FailureKind;
use std::process::ExitCode;

/// How a command ended. Where several hold, findings come first, then `Inconclusive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, or checked and clean.
    Clean,
    /// 1: findings.
    Findings,
    /// 2: usage, or a file that is wrong.
    Usage,
    /// 3: inconclusive, nothing checked, something not run that was not allowed to be, or a negative control that did
    /// not fire.
    Inconclusive,
    /// 4: no connection, or not enough rights.
    Connection,
    /// 5: a lock was not had in time.
    Lock,
    /// 6: a migration failed.
    Migration,
    /// 130: interrupted.
    Interrupted,
}

impl Exit {
    /// The number that the process returns.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Connection => 4,
            Self::Lock => 5,
            Self::Migration => 6,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Usage => Self::Usage,
            FailureKind::Inconclusive => Self::Inconclusive,
            FailureKind::Connection => Self::Connection,
            FailureKind::Lock => Self::Lock,
            FailureKind::Migration => Self::Migration,
            FailureKind::Interrupted => Self::Interrupted,
        }
    }
}
