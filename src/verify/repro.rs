//! What an attempt or a probe shows, as a psql script, to see for oneself: the world, the actor, the statement, and
//! nothing remains. It is made of pieces, each of which can be left out.

use crate::db::impersonate::{self, CLAIMS, Parameter, ROLE};
use crate::db::quote::identifier;
use crate::verify::world::insert::insert;
use crate::verify::world::{Subject, World};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A script.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Accounts, parents and rows, in order.
    pub(crate) inserts: Vec<String>,
    /// Whether what the rows deferred is made to happen before anybody acts.
    pub(crate) settles: bool,
    pub(crate) acts: Vec<Act>,
}

/// A statement, and who runs it.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// In words.
    pub(crate) who: String,
    /// `None` where whoever acted before goes on.
    pub(crate) becomes: Option<Becoming>,
    pub(crate) sql: String,
    /// Whether what it deferred is made to happen.
    pub(crate) fires: bool,
}

/// What makes a session someone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Becoming {
    /// The role; the session's own where there is none.
    role: Option<String>,
    /// Parameters, but for the claims.
    parameters: Vec<Parameter>,
    claims: Option<Map<String, Value>>,
}

/// Something that a script may do without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    /// A row, by place.
    Insert(usize),
    /// See [`Script::settles`].
    Settles,
    /// A parameter of an act, by places.
    Parameter(usize, usize),
    /// A claim of an act.
    Claim(usize, String),
    /// A part of a claim.
    Inner(usize, String, String),
    /// See [`Act::fires`].
    Fires(usize),
}

impl Becoming {
    /// From the parameters of a request. Claims that are no JSON object are one parameter like others.
    pub(crate) fn new(parameters: &[Parameter]) -> Self {
        let mut becoming = Self::default();
        for (name, value) in parameters {
            match serde_json::from_str(value) {
                _ if name == ROLE => becoming.role = Some(value.clone()),
                Ok(Value::Object(claims)) if name == CLAIMS => becoming.claims = Some(claims),
                _ => becoming.parameters.push((name.clone(), value.clone())),
            }
        }
        becoming
    }

    /// The statements, one a line.
    fn statements(&self, first: bool) -> Vec<String> {
        let mut statements = Vec::new();
        if !first {
            statements.push("SET LOCAL ROLE NONE".to_owned());
        }
        let mut parameters = self.parameters.clone();
        let claims = self.claims.clone().map(|claims| (CLAIMS.to_owned(), Value::Object(claims).to_string()));
        parameters.extend(claims);
        if !parameters.is_empty() {
            statements.push(impersonate::set(&parameters));
        }
        statements.extend(self.role.as_ref().map(|role| format!("SET LOCAL ROLE {}", identifier(role))));
        statements
    }
}

impl Script {
    /// On a world's rows.
    pub(crate) fn new(world: &World, subjects: &[Subject], acts: Vec<Act>) -> Self {
        let rows = world.rows.iter().map(|row| insert(&subjects[row.subject].table, &row.values));
        Self { inserts: world.support.iter().cloned().chain(rows).collect(), settles: true, acts }
    }

    /// The statements that make the session whoever acts at that place.
    pub(crate) fn become_sql(&self, place: usize) -> Vec<String> {
        let becomes = self.acts.get(place).and_then(|act| act.becomes.as_ref());
        becomes.map(|becomes| becomes.statements(place == 0)).unwrap_or_default()
    }

    /// Everything that it may do without, rows before those who act on them.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = (0..self.inserts.len()).map(Piece::Insert).collect();
        pieces.push(Piece::Settles);
        for (place, act) in self.acts.iter().enumerate() {
            if let Some(becomes) = &act.becomes {
                for (name, value) in becomes.claims.iter().flatten() {
                    pieces.push(Piece::Claim(place, name.clone()));
                    let inner = value.as_object().into_iter().flatten();
                    pieces.extend(inner.map(|(key, _)| Piece::Inner(place, name.clone(), key.clone())));
                }
                pieces.extend((0..becomes.parameters.len()).map(|nth| Piece::Parameter(place, nth)));
            }
            pieces.push(Piece::Fires(place));
        }
        pieces
    }

    /// It, without some pieces.
    pub(crate) fn without(&self, left_out: &BTreeSet<Piece>) -> Self {
        let kept = |piece: &Piece| !left_out.contains(piece);
        let inserts = self.inserts.iter().enumerate().filter(|(place, _)| kept(&Piece::Insert(*place)));
        let acts = self.acts.iter().enumerate().map(|(place, act)| {
            let becomes = act.becomes.as_ref().map(|becomes| {
                let parameters = becomes.parameters.iter().enumerate();
                let parameters = parameters.filter(|(nth, _)| kept(&Piece::Parameter(place, *nth)));
                let claims =
                    becomes.claims.iter().flatten().filter(|(name, _)| kept(&Piece::Claim(place, (*name).clone())));
                let claims: Map<String, Value> = claims
                    .map(|(name, value)| {
                        let mut value = value.clone();
                        if let Some(inner) = value.as_object_mut() {
                            inner.retain(|key, _| kept(&Piece::Inner(place, name.clone(), key.clone())));
                        }
                        (name.clone(), value)
                    })
                    .collect();
                Becoming {
                    role: becomes.role.clone(),
                    parameters: parameters.map(|(_, parameter)| parameter.clone()).collect(),
                    claims: (!claims.is_empty()).then_some(claims),
                }
            });
            Act { becomes, fires: act.fires && kept(&Piece::Fires(place)), ..act.clone() }
        });
        Self {
            inserts: inserts.map(|(_, sql)| sql.clone()).collect(),
            settles: self.settles && kept(&Piece::Settles),
            acts: acts.collect(),
        }
    }

    /// The script, after comments. It begins a transaction and rolls it back.
    pub(crate) fn text(&self, comments: &[String]) -> String {
        let mut script = String::new();
        for comment in comments {
            // A line that ends early would be run.
            let _infallible = writeln!(script, "-- {}", comment.replace(['\n', '\r'], " "));
        }
        script.push_str("-- as a role with BYPASSRLS: psql --file THIS; nothing remains of it\n\nBEGIN;\n");
        if !self.inserts.is_empty() {
            script.push_str("\n-- the world\n");
        }
        for insert in &self.inserts {
            let _infallible = writeln!(script, "{insert};");
        }
        if self.settles {
            script.push_str("SET CONSTRAINTS ALL IMMEDIATE;\n");
        }
        for (place, act) in self.acts.iter().enumerate() {
            if act.becomes.is_some() {
                let _infallible = writeln!(script, "\n-- as {}", act.who);
            }
            for statement in self.become_sql(place) {
                let _infallible = writeln!(script, "{statement};");
            }
            let _infallible = writeln!(script, "{};", act.sql);
            if act.fires {
                script.push_str("SET CONSTRAINTS ALL IMMEDIATE;\n");
            }
        }
        script.push_str("\nROLLBACK;\n");
        script
    }
}
