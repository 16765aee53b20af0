//! Scratch databases: disposable, made like Supabase, filled by whoever asks for one, gone when dropped.

use crate::db::session::Session;
use crate::model::failure::Failure;
use crate::server::local::{self, LocalScratch};
use crate::server::stand_in::Regime;
use std::fmt;
use std::str::FromStr;

/// Which engine makes the scratch database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineChoice {
    /// Local where a PostgreSQL 15 or newer is found, else embedded.
    Auto,
    /// The PostgreSQL that is compiled into this binary.
    Embedded,
    /// A PostgreSQL that is installed on this machine.
    Local,
}

impl EngineChoice {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Auto, Self::Embedded, Self::Local];

    /// Its word in flags and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Embedded => "embedded",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|choice| choice.word() == word);
        found.ok_or_else(|| "it is one of auto, embedded, local".to_owned())
    }
}

/// A disposable database with the stand-in, filled. Dropped, it is gone, sessions and all.
#[derive(Debug)]
pub struct Scratch(Inner);

#[derive(Debug)]
enum Inner {
    #[cfg(feature = "embedded")]
    Embedded(Box<crate::server::embedded::EmbeddedScratch>),
    Local(LocalScratch),
}

/// Calls the same method of whichever engine it is.
macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match &$self.0 {
            #[cfg(feature = "embedded")]
            Inner::Embedded($engine) => $call,
            Inner::Local($engine) => $call,
        }
    };
}

impl Scratch {
    /// Engine and version, for headers: `local PostgreSQL 15.18 (/usr/lib/postgresql/15/bin)`.
    pub fn engine(&self) -> &str {
        each!(self, engine => engine.name())
    }

    /// How many sessions can be open at once.
    pub fn max_sessions(&self) -> usize {
        each!(self, engine => engine.max_sessions())
    }

    /// After how many statement errors a session must be given up for a new one; `None` is never.
    pub fn errors_per_session(&self) -> Option<usize> {
        each!(self, engine => engine.errors_per_session())
    }

    /// What this engine can't try, in plain words.
    pub fn not_tried(&self) -> Vec<String> {
        each!(self, engine => engine.not_tried())
    }

    /// Connects as the migrator: no superuser, and not held by row security.
    ///
    /// # Errors
    /// Connection: the server is gone. Usage: more sessions than [`Scratch::max_sessions`].
    pub async fn connect(&self) -> Result<Session, Failure> {
        each!(self, engine => engine.connect().await)
    }

    /// Connects as a superuser: for planted holes and tests.
    ///
    /// # Errors
    /// As [`Scratch::connect`].
    pub async fn connect_superuser(&self) -> Result<Session, Failure> {
        each!(self, engine => engine.connect_superuser().await)
    }
}

/// Makes a scratch database with the stand-in and `regime`, filled by `fill`, which gets a session of the migrator.
/// `template_key` says what `fill` makes (a hash of the migrations): an engine that keeps templates runs `fill` once
/// for each key and clones from then on.
///
/// # Errors
/// What `fill` fails with, as it is. Connection: no engine, or it does not start; notes name the cause.
pub async fn scratch(
    choice: EngineChoice,
    regime: Regime,
    template_key: &str,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<Scratch, Failure> {
    let embedded = match choice {
        EngineChoice::Embedded => true,
        EngineChoice::Local => false,
        EngineChoice::Auto => local::find()?.is_none(),
    };
    if embedded {
        return embedded_scratch(regime, fill).await;
    }
    Ok(Scratch(Inner::Local(local::scratch(regime, template_key, fill).await?)))
}

#[cfg(feature = "embedded")]
async fn embedded_scratch(
    regime: Regime,
    fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<Scratch, Failure> {
    Ok(Scratch(Inner::Embedded(Box::new(crate::server::embedded::scratch(regime, fill).await?))))
}

#[cfg(not(feature = "embedded"))]
async fn embedded_scratch(
    _regime: Regime,
    _fill: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<Scratch, Failure> {
    Err(Failure::usage("this binary was built without the embedded engine")
        .help("install PostgreSQL 15 or newer and take --engine local, or build with the cargo feature `embedded`"))
}
