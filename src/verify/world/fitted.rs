//! Rows that meet their table's conditions: which of the values that the server said do are taken for which row.

use super::fit::{Fit, Part, Pick, account_of};
use super::rows::{Asked, FRESH, Hold, Maker, ORDINALS, Values, is_narrow};
use super::{World, WorldKind};
use crate::model::access::{OwnerPath, Ownership};
use crate::model::catalog::{ForeignKey, Table};
use crate::model::failure::Failure;
use std::collections::BTreeSet;

/// A foreign key with the values that it could have, and the statements that these need.
pub(super) type Referred<'a> = (&'a ForeignKey, (Values, Vec<String>));

impl Maker<'_> {
    fn fits_of(&self, table: &Table) -> &[Fit] {
        self.fits.get(&table.name()).map_or(&[], Vec::as_slice)
    }

    /// The conditions' values of the columns of `table` to which `column` is tied, if to any.
    pub(crate) fn fit_of(&self, table: &Table, column: &str) -> Option<&Fit> {
        self.fits_of(table).iter().find(|fit| fit.has(column))
    }

    /// The account whose row it is to be: the one that the values name, else the one that it is made as.
    fn account(&self, subject: Option<usize>, holder: Option<usize>, values: &Values) -> Option<&str> {
        let paths = subject.map_or(&[][..], |subject| self.paths(subject));
        let owners: Vec<&str> =
            paths.iter().filter(|path| matches!(path, OwnerPath::Column(_))).map(OwnerPath::column).collect();
        account_of(self.personas, &owners, values)
            .or_else(|| holder.and_then(|holder| self.personas[holder].uid.as_deref()))
    }

    /// Adds to `values` those of columns under conditions; gives the references that must then be NULL.
    pub(super) fn fit(
        &self,
        asked: &Asked<'_>,
        values: &mut Values,
        wishes: &Values,
        referred: &[Referred<'_>],
        world: &World,
    ) -> BTreeSet<String> {
        let mut without = BTreeSet::new();
        let table = asked.table;
        for fit in self.fits_of(table) {
            let can = |column: &str, null: bool| {
                if null {
                    return table.column(column).is_some_and(|column| !column.not_null);
                }
                let mut keys = referred.iter().filter(|(key, _)| key.columns.iter().any(|name| name == column));
                keys.any(|(_, (values, _))| values.get(column).is_some_and(Option::is_some))
            };
            let telling: BTreeSet<(&str, &str)> = fit
                .columns
                .iter()
                .filter(|(name, _)| {
                    table.is_unique(name) && table.column(name).is_some_and(|column| !is_narrow(column))
                })
                .flat_map(|(name, _)| {
                    let has = world.rows.iter().filter_map(|row| row.values.get(name)?.as_deref());
                    has.map(|value| (name.as_str(), value))
                })
                .collect();
            let unique = fit.columns.iter().any(|(name, _)| table.is_unique(name));
            let pick = match self.kind {
                _ if asked.ordinal >= FRESH => Pick::Fresh(asked.ordinal / ORDINALS),
                WorldKind::Different if asked.number == 2 => Pick::Nulls,
                WorldKind::Equal if !unique => Pick::Same,
                _ => Pick::Nth(asked.ordinal),
            };
            let account = self.account(asked.subject, asked.holder, values);
            let taken = |name: &str, value: &str| telling.contains(&(name, value));
            let Some(tuple) = fit.choose(values, account, wishes, can, taken, pick) else { continue };
            for ((name, part), value) in fit.columns.iter().zip(tuple) {
                match part {
                    Part::Free if !values.contains_key(name) => {
                        values.insert(name.clone(), value.clone());
                    }
                    Part::Reference if value.is_none() => {
                        without.insert(name.clone());
                    }
                    _ => {}
                }
            }
        }
        without
    }

    /// Whether the table's conditions let a row hang so.
    pub(crate) fn goes(&self, subject: usize, hold: &Hold) -> bool {
        let held = |fit: &&Fit| fit.columns.iter().any(|(name, _)| hold.contains_key(name));
        let account = self.account(Some(subject), None, hold);
        self.fits_of(self.table(subject))
            .iter()
            .filter(held)
            .all(|fit| fit.choose(hold, account, &Values::new(), |_, _| true, |_, _| false, Pick::Same).is_some())
    }

    /// Whether the account has no rows here because the table's conditions keep it from having one that is its own by
    /// every path, or because it has none anywhere.
    pub(crate) fn is_excluded(&self, subject: usize, account: usize, world: &World) -> bool {
        if !self.personas[account].has_rows {
            return true;
        }
        let paths = self.paths(subject);
        let holds = paths.iter().map(|path| self.hold(path, subject, account, 1, world)).collect::<Option<Vec<_>>>();
        let whole = holds.map(|holds| holds.into_iter().flatten().collect::<Hold>());
        !paths.is_empty() && whole.is_some_and(|whole| !self.goes(subject, &whole))
    }

    /// What makes a row `holder`'s by every path. Where the conditions let it be so by one alone, the others lead to an
    /// account that neither tries nor has rows, if any of them is enough.
    pub(crate) fn hold_all(&self, subject: usize, holder: usize, number: usize, world: &World) -> Option<Hold> {
        let paths = self.paths(subject);
        let holds = paths.iter().map(|path| self.hold(path, subject, holder, number, world));
        let whole: Hold = holds.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        if self.goes(subject, &whole) { Some(whole) } else { self.hold_by_one(subject, holder, number, world) }
    }

    /// What makes a row `holder`'s by one path, another one for each number, and an idle account's by the others.
    pub(crate) fn hold_by_one(&self, subject: usize, holder: usize, number: usize, world: &World) -> Option<Hold> {
        if !matches!(self.subjects[subject].access.ownership, Ownership::Any(_)) {
            return None;
        }
        let paths = self.paths(subject);
        let mut others: Vec<usize> = (0..self.personas.len())
            .filter(|&index| index != holder && self.personas[index].exists && self.personas[index].uid.is_some())
            .collect();
        others.sort_by_key(|&index| (self.personas[index].has_rows, self.personas[index].tries));
        let mut turns = (0..paths.len()).map(|turn| (number + turn) % paths.len());
        turns.find_map(|own| {
            others.iter().find_map(|&other| {
                let holds = paths.iter().enumerate().map(|(index, path)| {
                    self.hold(path, subject, if index == own { holder } else { other }, number, world)
                });
                let hold: Hold = holds.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
                self.goes(subject, &hold).then_some(hold)
            })
        })
    }

    /// What to write in a row that hangs as `held` says so that it has the values `wanted`: these, and values of the
    /// columns that conditions tie to theirs, where any are known that go with them.
    pub(crate) fn with_values(&self, subject: usize, held: &Values, wanted: Values) -> Values {
        let mut all = held.clone();
        all.extend(wanted.clone());
        let account = self.account(Some(subject), None, held);
        let mut given = wanted;
        for fit in self.fits_of(self.table(subject)) {
            if !given.keys().any(|name| fit.has(name)) {
                continue;
            }
            let tuple = fit.choose(&all, account, &Values::new(), |_, _| true, |_, _| false, Pick::Same);
            let tied = fit.columns.iter().zip(tuple.into_iter().flatten());
            let sets = |part: Part, value: &Option<String>| match part {
                Part::Free => true,
                // Which row it would refer to is not the conditions' business.
                Part::Reference => value.is_none(),
                Part::Owner | Part::Account => false,
            };
            let tied = tied.filter(|((name, part), value)| sets(*part, value) && !all.contains_key(name));
            let tied: Vec<_> = tied.map(|((name, _), value)| (name.clone(), value.clone())).collect();
            given.extend(tied);
        }
        given
    }

    /// A parent's row as a row of its child (a partition, or a table that inherits): what the child's conditions ask, and
    /// what only the child has.
    ///
    /// # Errors
    /// Inconclusive where a column's value can't be made.
    pub(crate) fn of_child(
        &self,
        child: &Table,
        values: &Values,
        hold: &Hold,
        world: &World,
    ) -> Result<Values, Failure> {
        let mut made: Values = values.clone();
        made.retain(|name, _| hold.contains_key(name) || self.fit_of(child, name).is_none());
        let asked = Asked { table: child, subject: None, holder: None, number: 0, ordinal: FRESH };
        self.fit(&asked, &mut made, values, &[], world);
        for column in &child.columns {
            if column.not_null && !column.has_default && !column.generated && !made.contains_key(&column.name) {
                let value = self.column_value(child, column, 1, "child", FRESH)?;
                made.insert(column.name.clone(), value);
            }
        }
        Ok(made)
    }

    /// A constant for `column` that is allowed in every row; `None` where that depends on other columns.
    pub(crate) fn constant(&self, table: &Table, column: &str, number: usize) -> Option<String> {
        let column = table.column(column)?;
        match self.fit_of(table, &column.name) {
            None => super::values::value(column, number),
            Some(fit) if fit.columns.len() == 1 => {
                let can = |_: &str, _: bool| true;
                let nothing = Values::new();
                let tuple = fit.choose(&nothing, None, &nothing, can, |_, _| false, Pick::Fresh(number))?;
                tuple.first().cloned().flatten()
            }
            Some(_) => None,
        }
    }
}
