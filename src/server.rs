//! stub
use crate::db::session::Session;
use crate::model::failure::*;
/// x
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EngineChoice {
    /// x
    Auto,
}
/// x
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regime {
    /// x
    Explicit,
}
impl Regime {
    /// x
    pub fn word(self) -> &'static str {
        "explicit"
    }
}
impl std::str::FromStr for EngineChoice {
    type Err = String;
    fn from_str(_: &str) -> Result<Self, String> {
        Ok(Self::Auto)
    }
}
impl std::str::FromStr for Regime {
    type Err = String;
    fn from_str(_: &str) -> Result<Self, String> {
        Ok(Self::Explicit)
    }
}
/// x
pub struct Scratch;
impl Scratch {
    /// x
    pub fn engine(&self) -> &str {
        ""
    }
    /// x
    pub fn max_sessions(&self) -> usize {
        1
    }
    /// x
    pub fn errors_per_session(&self) -> Option<usize> {
        None
    }
    /// x
    pub fn not_tried(&self) -> Vec<String> {
        vec![]
    }
    /// x
    pub async fn connect(&self) -> Result<Session, Failure> {
        Err(Failure::usage("stub"))
    }
}
/// x
pub async fn scratch(
    _c: EngineChoice,
    _r: Regime,
    _k: &str,
    _f: impl AsyncFnOnce(&mut Session) -> Result<(), Failure>,
) -> Result<Scratch, Failure> {
    Err(Failure::usage("stub"))
}
