//! The rows that attempts are made on, planned from the contract and the catalogue; never from the policies.

pub(crate) mod build;
mod constants;
pub(crate) mod fit;
mod fitted;
pub(crate) mod insert;
pub(crate) mod known;
mod numbered;
pub(crate) mod order;
mod pattern;
mod references;
pub(crate) mod rows;
pub(crate) mod values;
pub(crate) mod variations;
mod varied;

use crate::model::access::{Contract, OwnerPath, Ownership, Standing, TableAccess};
use crate::model::catalog::{Catalog, Table};
use crate::verify::persona::Persona;
use std::collections::BTreeMap;

/// Which world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WorldKind {
    /// Every row differs from every other in every column that can; each owner has a row of NULLs.
    Different,
    /// All rows of a table are equal but for keys and owner.
    Equal,
}

impl WorldKind {
    /// Both, in the order in which they are tried.
    pub(crate) const ALL: [Self; 2] = [Self::Different, Self::Equal];

    /// What ids of this world's attempts end in: nothing for the first.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Different => "",
            Self::Equal => "@equal",
        }
    }
}

/// A table that is verified: what the contract says of it and what the catalogue does.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) access: TableAccess,
    pub(crate) table: Table,
    /// Where a condition says whose a row is: the columns by which a row can be made somebody's, as far as that is known.
    pub(crate) known: Vec<OwnerPath>,
}

impl Subject {
    /// The columns by which a row is made somebody's.
    pub(crate) fn paths(&self) -> &[OwnerPath] {
        match &self.access.ownership {
            Ownership::Sql(_) => &self.known,
            told => told.paths(),
        }
    }
}

/// What all worlds of a run share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) catalog: &'a Catalog,
    pub(crate) subjects: &'a [Subject],
    pub(crate) personas: &'a [Persona],
}

/// A row of a world. `None` is NULL; other values are the server's input text.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Index into the subjects.
    pub(crate) subject: usize,
    /// Index into the personas of the account whose rows these are made as; `None` for orphans and ownerless tables.
    pub(crate) holder: Option<usize>,
    /// 1, 2, 3 among the holder's rows of this table; 0 for rows that stand apart (orphan, mixed).
    pub(crate) number: usize,
    pub(crate) values: BTreeMap<String, Option<String>>,
}

/// A planned world: rows in an order in which they can be inserted, and what must be there before.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) kind: WorldKind,
    /// Rows of tables outside the contract that foreign keys need: INSERT statements.
    pub(crate) support: Vec<String>,
    /// Of all subjects; [pushed](World::push).
    pub(crate) rows: Vec<Row>,
    /// Subject -> the places of its rows.
    places: BTreeMap<usize, Vec<usize>>,
}

impl World {
    /// One without rows.
    pub(crate) fn new(kind: WorldKind) -> Self {
        Self { kind, support: Vec::new(), rows: Vec::new(), places: BTreeMap::new() }
    }

    /// Adds a row behind all others.
    pub(crate) fn push(&mut self, row: Row) {
        self.places.entry(row.subject).or_default().push(self.rows.len());
        self.rows.push(row);
    }

    /// The rows of a subject with their places among all.
    fn placed(&self, subject: usize) -> impl DoubleEndedIterator<Item = (usize, &Row)> + Clone {
        let places = self.places.get(&subject).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|&place| Some((place, self.rows.get(place)?)))
    }

    /// The rows of a subject.
    pub(crate) fn of(&self, subject: usize) -> impl DoubleEndedIterator<Item = &Row> + Clone {
        self.placed(subject).map(|(_, row)| row)
    }

    /// The rows of a subject, each with its key; `keys` are those of all rows in their order.
    pub(crate) fn keyed<'a>(
        &'a self,
        subject: usize,
        keys: &'a [String],
    ) -> impl Iterator<Item = (&'a Row, &'a String)> + Clone {
        self.placed(subject).filter_map(|(place, row)| Some((row, keys.get(place)?)))
    }

    /// The row that `holder` has as its `number`th in `subject`.
    pub(crate) fn row(&self, subject: usize, holder: usize, number: usize) -> Option<&Row> {
        self.of(subject).find(|row| row.holder == Some(holder) && row.number == number)
    }

    /// The row of that key, where `keys` are those of the rows in their order.
    pub(crate) fn row_of(&self, keys: &[String], subject: usize, key: &str) -> Option<&Row> {
        let mut rows = self.placed(subject);
        rows.find(|(place, _)| keys.get(*place).is_some_and(|known| known == key)).map(|(_, row)| row)
    }
}

/// How one row of a table stands to one persona, by the contract's reference query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Where the row's current version lies: changes with every write.
    pub(crate) locator: String,
    pub(crate) standing: Standing,
}

/// Key -> how the row stands.
pub(crate) type Sight = BTreeMap<String, Seen>;

/// Parses a standing as the reference query writes it.
pub(crate) fn parse_standing(word: &str) -> Option<Standing> {
    Standing::ALL.into_iter().find(|standing| standing.word() == word)
}
