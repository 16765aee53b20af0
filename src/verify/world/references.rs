//! What rows refer to: the values of foreign keys, and the rows outside the contract that they need.

use super::insert::insert;
use super::rows::{Asked, Maker, ROWS_EACH, Values};
use super::values::unique_value;
use super::{Row, World};
use crate::model::access::{Ownership, TableName};
use crate::model::catalog::{ForeignKey, Table};
use crate::model::failure::{Failure, FailureKind};
use std::collections::BTreeSet;

impl Maker<'_> {
    /// The rest of a composite foreign key of which some columns are set already, such as the owner: that of a parent
    /// row that agrees with them, where there is one.
    pub(super) fn refer_to_held(&self, key: &ForeignKey, values: &Values, number: usize, world: &World) -> Values {
        let Some(subject) = self.subject_of(&key.target()) else { return Values::new() };
        let pairs = || key.columns.iter().zip(&key.target_columns);
        let agrees =
            |row: &&Row| pairs().all(|(from, to)| values.get(from).is_none_or(|v| row.values.get(to) == Some(v)));
        let mut fits = world.of(subject).filter(agrees);
        let parent = fits.clone().find(|row| row.number == number).or_else(|| fits.next());
        let rest = parent
            .into_iter()
            .flat_map(|row| pairs().map(move |(from, to)| (from.clone(), row.values.get(to).cloned().flatten())));
        rest.filter(|(name, _)| !values.contains_key(name)).collect()
    }

    /// Whether a row that has `held` and refers to `parent` by `key` would have the same unique values as another.
    fn clashes(&self, table: &Table, key: &ForeignKey, parent: &Row, held: &Values, world: &World) -> bool {
        let Some(subject) = self.subject_of(&table.name()) else { return false };
        let mut known = held.clone();
        for (from, to) in key.columns.iter().zip(&key.target_columns) {
            known.insert(from.clone(), parent.values.get(to).cloned().flatten());
        }
        table.uniques.iter().filter(|columns| columns.iter().all(|name| known.contains_key(name))).any(|columns| {
            let same = |row: &Row| columns.iter().all(|name| row.values.get(name) == known.get(name));
            world.of(subject).any(same)
        })
    }

    /// Values for a foreign key that is no owner path: the holder's own parent row where there is one, else any; NULL
    /// where the column allows it; else a row made outside the contract.
    pub(super) fn refer(
        &self,
        asked: &Asked<'_>,
        key: &ForeignKey,
        held: &Values,
        world: &World,
        supported: &mut BTreeSet<String>,
    ) -> Result<(Values, Vec<String>), Failure> {
        let Asked { table, holder, number, .. } = *asked;
        let target = key.target();
        let nullable = key.columns.iter().all(|name| table.column(name).is_some_and(|column| !column.not_null));
        let parent = self.subject_of(&target).and_then(|subject| {
            let mut all = world.of(subject);
            if number == 0 && holder.is_some() && self.subjects[subject].access.ownership != Ownership::None {
                // A new row must not meet one that is there: one's own parents first, then anybody's.
                let free = |row: &&Row| !self.clashes(table, key, row, held, world);
                let found = all.clone().filter(|row| row.holder == holder).find(free);
                if let Some(found) = found.or_else(|| all.clone().find(free)) {
                    return Some(found);
                }
            }
            if self.subjects[subject].access.ownership == Ownership::None {
                // Each row another one, and the last for new rows: a key may hold the owner together with this.
                let nth = holder.unwrap_or_default() * ROWS_EACH + number;
                return if number == 0 { all.next_back() } else { all.clone().find(|row| row.number == nth) }
                    .or_else(|| all.next());
            }
            let of_holder = |number| holder.and_then(|holder| world.row(subject, holder, number));
            let own = of_holder(number.max(1)).or_else(|| of_holder(1));
            // The first of a tree hangs on nothing, rather than on another's.
            own.or_else(|| if target == table.name() && nullable { None } else { all.next() })
        });
        if let Some(parent) = parent {
            let pairs = key.columns.iter().zip(&key.target_columns);
            return Ok((
                pairs.map(|(from, to)| (from.clone(), parent.values.get(to).cloned().flatten())).collect(),
                Vec::new(),
            ));
        }
        if nullable {
            return Ok((key.columns.iter().map(|name| (name.clone(), None)).collect(), Vec::new()));
        }
        let Some(target_table) = self.catalog.table(&target) else {
            return Err(Failure::new(
                FailureKind::Inconclusive,
                format!(
                    "no row can be made for {}: {} refers to {target}, which is not visible",
                    table.name(),
                    key.name
                ),
            ));
        };
        let mut wanted = Values::new();
        for name in &key.target_columns {
            let fitting = self.constant(target_table, name, 1).filter(|_| self.fit_of(target_table, name).is_some());
            let made = target_table.column(name).and_then(|column| unique_value(column, "shared parent", 1));
            wanted.insert(name.clone(), fitting.or(made));
        }
        let values = key
            .columns
            .iter()
            .zip(&key.target_columns)
            .map(|(from, to)| (from.clone(), wanted.get(to).cloned().flatten()))
            .collect();
        let statements = self.support(&target, wanted, supported)?;
        Ok((values, statements))
    }

    /// INSERT statements for a row of a table outside the contract that holds `values`, and for what that row needs.
    pub(super) fn support(
        &self,
        target: &TableName,
        values: Values,
        supported: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, Failure> {
        let Some(table) = self.catalog.table(target) else { return Ok(Vec::new()) };
        if !supported.insert(format!("{target:?} {values:?}")) {
            return Ok(Vec::new());
        }
        let asked = Asked { table, subject: None, holder: None, number: 1, ordinal: supported.len() };
        let nothing = World::new(self.kind);
        let mut all = values;
        let mut statements = Vec::new();
        for key in &table.foreign_keys {
            let needed = key.columns.iter().any(|name| {
                !all.contains_key(name) && table.column(name).is_some_and(|c| c.not_null && !c.has_default)
            });
            if needed {
                let (more, before) = self.refer(&asked, key, &all, &nothing, supported)?;
                all.extend(more);
                statements.extend(before);
            }
        }
        let needed = |name: &str| table.column(name).is_some_and(|c| c.not_null && !c.has_default);
        let mut fitted = all.clone();
        self.fit(&asked, &mut fitted, &Values::new(), &[], &nothing);
        all.extend(fitted.into_iter().filter(|(name, _)| needed(name)));
        for column in &table.columns {
            if column.not_null && !column.has_default && !column.generated && !all.contains_key(&column.name) {
                let made = self.column_value(table, column, 1, &format!("{all:?}"), 1)?;
                all.insert(column.name.clone(), made);
            }
        }
        statements.push(format!("{} ON CONFLICT DO NOTHING", insert(table, &all)));
        Ok(statements)
    }
}
