//! The rows that are there for their values' sake: what conditions may ask of another's row, the wrong parent among it.

use super::rows::{Maker, ROWS_EACH, Values};
use super::{World, WorldKind, variations};
use crate::model::access::OwnerPath;
use crate::model::catalog::ForeignKey;
use crate::verify::persona::Persona;

impl Maker<'_> {
    /// How many such rows another account has in a table.
    pub(super) fn count_varied(&self, subject: usize, world: &World) -> usize {
        self.variations(subject).len() + self.crossings(subject, world).len()
    }

    /// How many rows an account has on which rows of the table hang, where they hang on one.
    pub(super) fn count_parents(&self, subject: usize, holder: usize, world: &World) -> usize {
        let [OwnerPath::Parent { parent, .. }] = self.paths(subject) else { return 0 };
        let parent = self.subject_of(parent);
        world.rows.iter().filter(|row| Some(row.subject) == parent && row.holder == Some(holder)).count()
    }

    /// The values of the rows that are there for their values' sake: in the first world, unless a unique index leaves no
    /// room for them.
    fn variations(&self, subject: usize) -> Vec<Values> {
        let table = self.table(subject);
        let refers = |name: &String| {
            table.foreign_keys.iter().any(|key| key.columns.contains(name))
                || self.paths(subject).iter().any(|path| path.column() == name)
        };
        let narrow = |name: &String| {
            refers(name)
                || table.column(name).is_some_and(|column| !column.enum_labels.is_empty() || column.base_type == "bool")
        };
        if self.kind != WorldKind::Different || table.uniques.iter().any(|columns| columns.iter().all(narrow)) {
            return Vec::new();
        }
        let unique = |name: &String| table.uniques.iter().any(|columns| columns.contains(name));
        variations::rows(table, |column| !refers(&column.name) && !unique(&column.name), &self.who())
    }

    /// The account that tries first, as policies may name it, by its id and its address; and the id of the one whose
    /// rows are another's.
    pub(crate) fn who(&self) -> Vec<String> {
        let who = self.personas.iter().find(|persona| persona.knocks() && persona.has_rows);
        let other = self.personas.iter().find(|persona| !persona.tries && persona.has_rows);
        let ids = [
            who.and_then(|who| who.uid.clone()),
            who.and_then(Persona::email),
            other.and_then(|other| other.uid.clone()),
        ];
        ids.into_iter().flatten().collect()
    }

    /// Another's rows that hang, by keys that say nothing of their owner, on what is the first account's: one for each
    /// such key, so that a condition on the wrong parent shows.
    fn crossings(&self, subject: usize, world: &World) -> Vec<Values> {
        let table = self.table(subject);
        let holders: Vec<usize> = (0..self.personas.len()).filter(|&index| self.personas[index].has_rows).collect();
        let Some(&first) = self.main_pair(&holders).first().filter(|_| self.kind == WorldKind::Different) else {
            return Vec::new();
        };
        let bound = |name: &String| {
            self.paths(subject).iter().any(|path| path.column() == name)
                || table.uniques.iter().any(|columns| columns.contains(name))
        };
        let keys = table.foreign_keys.iter().filter(|key| !key.columns.iter().any(bound));
        let hanging = keys.filter_map(|key| match self.subject_of(&key.target()) {
            Some(parent) if parent != subject && !self.paths(parent).is_empty() => {
                let row = world.row(parent, first, 1)?;
                let pairs = key.columns.iter().zip(&key.target_columns);
                Some(pairs.map(|(from, to)| (from.clone(), row.values.get(to).cloned().flatten())).collect())
            }
            None if self.is_account(subject, key) => {
                Some(Values::from([(key.columns.first()?.clone(), self.personas[first].uid.clone())]))
            }
            _ => None,
        });
        hanging.collect()
    }

    /// Whether a foreign key names an account, as an owner's column of the table does.
    pub(crate) fn is_account(&self, subject: usize, key: &ForeignKey) -> bool {
        let keys = &self.table(subject).foreign_keys;
        let mut owners = keys.iter().filter(|other| {
            self.paths(subject)
                .iter()
                .any(|path| matches!(path, OwnerPath::Column(name) if other.columns == [name.as_str()]))
        });
        key.columns.len() == 1
            && self.subject_of(&key.target()).is_none()
            && owners.any(|other| other.target() == key.target())
    }

    /// The values that row `number` of another's is there for.
    pub(super) fn varied(&self, subject: usize, number: usize, world: &World) -> Values {
        if number <= ROWS_EACH || self.refused.contains(&(subject, number)) {
            return Values::new();
        }
        let mut all = self.variations(subject).into_iter().chain(self.crossings(subject, world));
        all.nth(number - ROWS_EACH - 1).unwrap_or_default()
    }
}
