//! Plans a world's rows: who owns what, which parents rows hang on, and a value for every other column.

use super::fit::{Fits, files};
use super::insert::key_columns;
use super::order::in_order;
use super::values::{unique_value, value};
use super::{Row, Subject, World, WorldKind};
use crate::model::access::{OwnerPath, Ownership, TableName};
use crate::model::catalog::{Catalog, Column, Table};
use crate::model::failure::Failure;
use crate::verify::persona::Persona;
use std::collections::{BTreeMap, BTreeSet};

/// How many rows each account has in each table, where it can: one with every value, one with NULLs, one as a spare parent.
pub(crate) const ROWS_EACH: usize = 3;

/// Numbers from here on are those of rows that the world does not have.
pub(super) const FRESH: usize = 1_000_000;
/// How far apart the ordinals of two fresh rows' names lie: more than there are tables.
pub(super) const ORDINALS: usize = 1_000;

/// Column -> value; `None` is NULL.
pub(crate) type Values = BTreeMap<String, Option<String>>;

/// Makes rows for one world.
#[derive(Debug)]
pub(crate) struct Maker<'a> {
    pub(crate) kind: WorldKind,
    pub(crate) catalog: &'a Catalog,
    pub(crate) subjects: &'a [Subject],
    /// Every subject's table, with its index.
    pub(crate) places: &'a BTreeMap<TableName, usize>,
    pub(crate) personas: &'a [Persona],
    /// Values that meet the tables' conditions.
    pub(crate) fits: &'a Fits,
    /// Rows that exist for their values' sake and whose values the database did not take, as subject and number: they
    /// have ordinary ones.
    pub(crate) refused: &'a BTreeSet<(usize, usize)>,
}

/// Whether a row is there for its values' sake, so that the world does without those where the database refuses them.
pub(crate) fn is_varied(row: &Row) -> bool {
    row.number > ROWS_EACH
}

/// Plans the world.
///
/// # Errors
/// Inconclusive, naming table and column, where no row can be made from the catalogue.
pub(crate) fn plan(maker: &Maker<'_>) -> Result<World, Failure> {
    let mut world = World::new(maker.kind);
    let mut supported = BTreeSet::new();
    for subject in in_order(maker.subjects) {
        maker.support_accounts(subject, &mut world, &mut supported)?;
        for (holder, number, parents) in maker.wanted(subject, &world) {
            let name = format!("{:?} row {number} of {holder:?} on {parents:?} in {subject}", maker.kind);
            let ordinal = world.rows.len() + 1;
            let row_holder = if number == 0 { None } else { holder };
            let values = maker.row(subject, row_holder, number, parents, &name, ordinal, &world, &mut supported)?;
            world.support.extend(values.1);
            world.push(Row { subject, holder: row_holder, number, values: values.0 });
        }
    }
    Ok(world)
}

/// Whether there are as many values of the column's type as rows.
fn tells(column: &Column) -> bool {
    let wide = ["uuid", "text", "varchar", "citext", "int4", "int8", "numeric", "timestamptz", "timestamp"];
    column.enum_labels.is_empty() && column.max_length.is_none() && wide.contains(&column.base_type.as_str())
}

/// Whether there are but a few values of the column's type.
pub(super) fn is_narrow(column: &Column) -> bool {
    !column.enum_labels.is_empty() || column.base_type == "bool"
}

/// The values of one owner path's column (and of the rest of a composite key): what a row hangs on.
pub(crate) type Hold = Values;

/// The row that values are chosen for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) table: &'a Table,
    /// `None` for a table outside the contract.
    pub(super) subject: Option<usize>,
    pub(super) holder: Option<usize>,
    pub(super) number: usize,
    pub(super) ordinal: usize,
}

impl Maker<'_> {
    pub(crate) fn table(&self, subject: usize) -> &Table {
        &self.subjects[subject].table
    }

    /// The index of the subject whose table that is.
    pub(crate) fn subject_of(&self, name: &TableName) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The owner paths of a subject.
    pub(crate) fn paths(&self, subject: usize) -> &[OwnerPath] {
        self.subjects[subject].paths()
    }

    /// What makes a row `holder`'s by `path`, hanging on its `number`th parent row (or another of its, where there are
    /// fewer). `None` where the holder has nothing to hang on.
    pub(crate) fn hold(
        &self,
        path: &OwnerPath,
        subject: usize,
        holder: usize,
        number: usize,
        world: &World,
    ) -> Option<Hold> {
        match path {
            OwnerPath::Column(column) => {
                let uid = self.personas[holder].uid.clone()?;
                Some(BTreeMap::from([(column.clone(), Some(uid))]))
            }
            OwnerPath::Parent { parent, .. } => {
                let parent_subject = self.subject_of(parent)?;
                if self.subjects[parent_subject].access.ownership == Ownership::None {
                    // Of rows that are nobody's each account has its own, and members of them say so elsewhere.
                    let nth = holder * ROWS_EACH + number;
                    let row = world.of(parent_subject).find(|row| row.number == nth)?;
                    return Some(self.hang_on(path, subject, row));
                }
                let row = world.row(parent_subject, holder, number).or_else(|| world.row(parent_subject, holder, 1))?;
                Some(self.hang_on(path, subject, row))
            }
        }
    }

    /// What hangs a row on the holder's parent rows behind the first, with their numbers; where rows are all alike, on
    /// none of them.
    pub(crate) fn other_parents(
        &self,
        path: &OwnerPath,
        subject: usize,
        holder: usize,
        world: &World,
    ) -> Vec<(usize, Hold)> {
        let OwnerPath::Parent { parent, .. } = path else { return Vec::new() };
        let Some(parent) = self.subject_of(parent).filter(|_| self.kind == WorldKind::Different) else {
            return Vec::new();
        };
        let rows = world.of(parent).filter(|row| row.holder == Some(holder));
        rows.filter(|row| row.number > 1).map(|row| (row.number, self.hang_on(path, subject, row))).collect()
    }

    /// The values that hang a row of `subject` on the parent row `row` by `path`.
    pub(crate) fn hang_on(&self, path: &OwnerPath, subject: usize, row: &Row) -> Hold {
        let OwnerPath::Parent { column, parent, parent_column } = path else { return BTreeMap::new() };
        let mut hold = BTreeMap::from([(column.clone(), row.values.get(parent_column).cloned().flatten())]);
        // A composite key's other columns go with it.
        for key in &self.table(subject).foreign_keys {
            if key.target() == *parent && key.columns.contains(column) {
                for (from, to) in key.columns.iter().zip(&key.target_columns) {
                    hold.insert(from.clone(), row.values.get(to).cloned().flatten());
                }
            }
        }
        hold
    }

    /// Whether an account can have but one row: its id alone is a unique key, as in a table of profiles.
    pub(crate) fn one_each(&self, subject: usize) -> bool {
        let direct = |name: &String| {
            self.paths(subject).iter().any(|path| matches!(path, OwnerPath::Column(column) if column == name))
        };
        self.table(subject).uniques.iter().any(|columns| columns.iter().all(direct))
    }

    /// Whether rows hang on several parents, of one of which an account has but one row: the pairs must last for new rows.
    fn few_pairs(&self, subject: usize) -> bool {
        let paths = self.paths(subject);
        let single = |path: &OwnerPath| match path {
            OwnerPath::Parent { parent, .. } => self.subject_of(parent).is_some_and(|parent| self.one_each(parent)),
            OwnerPath::Column(_) => false,
        };
        paths.len() > 1 && paths.iter().any(single)
    }

    /// The rows to make in a subject: holder, number, and what each hangs on.
    fn wanted(&self, subject: usize, world: &World) -> Vec<(Option<usize>, usize, Hold)> {
        let paths = self.paths(subject);
        let holders: Vec<usize> = (0..self.personas.len()).filter(|&index| self.personas[index].has_rows).collect();
        let varied = self.count_varied(subject, world);
        let mut wanted = Vec::new();
        if paths.is_empty() {
            if self.subjects[subject].access.ownership == Ownership::None {
                // Enough for every account's rows to refer to rows of their own, and for new rows to yet another.
                let referred = self
                    .subjects
                    .iter()
                    .any(|other| other.table.foreign_keys.iter().any(|key| key.target() == self.table(subject).name()));
                let last = holders.iter().max().map_or(0, |last| last + 1);
                let all = if referred { last * ROWS_EACH + 1 } else { ROWS_EACH };
                wanted.extend((1..=all.max(ROWS_EACH + varied)).map(|number| (None, number, Hold::new())));
            } else {
                wanted.extend(
                    holders.iter().flat_map(|&holder| (1..=ROWS_EACH).map(move |n| (Some(holder), n, Hold::new()))),
                );
            }
            return wanted;
        }
        // With several paths the third row of the two main accounts is crossed with the other's.
        let crossed: Vec<usize> = if paths.len() > 1 { self.main_pair(&holders) } else { Vec::new() };
        for &holder in &holders {
            // The account that only owns: its rows are another's to everyone who tries.
            let further = |count: usize| if self.personas[holder].tries { 0 } else { count };
            let most = if self.one_each(subject) {
                1
            } else if self.few_pairs(subject) {
                ROWS_EACH - 1
            } else {
                // One on each of its parents, too: a condition may be on those.
                (ROWS_EACH + further(varied)).max(further(self.count_parents(subject, holder, world)))
            };
            for number in 1..=most {
                if number == ROWS_EACH && crossed.contains(&holder) {
                    continue;
                }
                let hold = self.hold_all(subject, holder, number, world);
                wanted.extend(hold.map(|hold| (Some(holder), number, hold)));
            }
        }
        if let [first, second] = crossed.as_slice() {
            // Each path in turn leads elsewhere than all others; of two paths the second turn is the first's mirror.
            let turns = if paths.len() > 2 { paths.len() } else { 1 };
            for odd in 0..turns {
                for (left, right) in [(*first, *second), (*second, *first)] {
                    let holds: Option<Vec<Hold>> = paths
                        .iter()
                        .enumerate()
                        .map(|(index, path)| {
                            self.hold(path, subject, if index == odd { left } else { right }, ROWS_EACH, world)
                        })
                        .collect();
                    let hold = holds.map(|holds| holds.into_iter().flatten().collect());
                    wanted.extend(hold.filter(|hold| self.goes(subject, hold)).map(|hold| (None, 0, hold)));
                }
            }
        }
        let orphans = self.orphans(subject, world).into_iter().filter(|hold| self.goes(subject, hold));
        wanted.extend(orphans.map(|hold| (None, 0, hold)));
        wanted
    }

    /// The first account that tries, and the one that only owns.
    pub(crate) fn main_pair(&self, holders: &[usize]) -> Vec<usize> {
        let second = holders.iter().copied().find(|&index| !self.personas[index].tries);
        let first = second.and_then(|second| {
            let actor = &self.personas[second].actor.name;
            holders
                .iter()
                .copied()
                .find(|&index| self.personas[index].tries && self.personas[index].actor.name == *actor)
        });
        first.into_iter().chain(second).collect()
    }

    /// What rows hang on that belong to nobody: NULL where the column allows it, and parents that are orphans.
    fn orphans(&self, subject: usize, world: &World) -> Vec<Hold> {
        let paths = self.paths(subject);
        let nullable =
            |path: &OwnerPath| self.table(subject).column(path.column()).is_some_and(|column| !column.not_null);
        let mut orphans = Vec::new();
        if paths.iter().all(nullable) {
            orphans.push(paths.iter().map(|path| (path.column().to_owned(), None)).collect());
        }
        if let [path @ OwnerPath::Parent { parent, .. }] = paths {
            let parents =
                self.subject_of(parent).into_iter().flat_map(|parent| world.of(parent).filter(|row| row.number == 0));
            orphans.extend(parents.map(|row| self.hang_on(path, subject, row)));
        }
        orphans
    }

    /// Makes sure that every account exists where a subject's owner column refers to accounts outside the contract.
    fn support_accounts(
        &self,
        subject: usize,
        world: &mut World,
        supported: &mut BTreeSet<String>,
    ) -> Result<(), Failure> {
        for path in self.paths(subject) {
            let OwnerPath::Column(column) = path else { continue };
            let keys = self.table(subject).foreign_keys.iter();
            for key in keys.filter(|key| key.columns.len() == 1 && key.columns[0] == *column) {
                for uid in
                    self.personas.iter().filter(|persona| persona.exists).filter_map(|persona| persona.uid.clone())
                {
                    let values = BTreeMap::from([(key.target_columns[0].clone(), Some(uid))]);
                    world.support.extend(self.support(&key.target(), values, supported)?);
                }
            }
        }
        Ok(())
    }

    /// All values of one row, and the support rows that it needs.
    #[expect(clippy::too_many_arguments, reason = "each is a separate fact of the one row")]
    pub(super) fn row(
        &self,
        subject: usize,
        holder: Option<usize>,
        number: usize,
        hold: Hold,
        name: &str,
        ordinal: usize,
        world: &World,
        supported: &mut BTreeSet<String>,
    ) -> Result<(Values, Vec<String>), Failure> {
        let table = self.table(subject);
        let mut values = hold;
        let varied = self.varied(subject, number, world);
        let asked = Asked { table, subject: Some(subject), holder, number, ordinal };
        let mut referred = Vec::new();
        for key in &table.foreign_keys {
            if key.columns.iter().all(|column| varied.contains_key(column)) {
                values.extend(
                    key.columns
                        .iter()
                        .filter_map(|column| varied.get_key_value(column))
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                continue;
            }
            if key.columns.iter().any(|column| values.contains_key(column)) {
                let more = self.refer_to_held(key, &values, number, world);
                values.extend(more);
            } else {
                referred.push((key, self.refer(&asked, key, &values, world, supported)?));
            }
        }
        let without = self.fit(&asked, &mut values, &varied, &referred, world);
        let mut support = Vec::new();
        for (key, (more, statements)) in referred {
            if key.columns.iter().any(|column| without.contains(column)) {
                values.extend(key.columns.iter().map(|column| (column.clone(), None)));
            } else if !key.columns.iter().any(|column| values.contains_key(column)) {
                values.extend(more);
                support.extend(statements);
            }
        }
        // Without a key the whole row is its name, so that something must differ in rows that are else equal.
        let telling = key_columns(table).is_empty().then(|| {
            let free = |column: &&Column| !column.generated && !values.contains_key(&column.name) && tells(column);
            table.columns.iter().find(free).map(|column| column.name.clone())
        });
        let telling = telling.flatten();
        for column in &table.columns {
            if column.generated || values.contains_key(&column.name) {
                continue;
            }
            let made = if telling.as_ref() == Some(&column.name) {
                value(column, ordinal)
            } else if let Some(varied) = varied.get(&column.name) {
                varied.clone()
            } else {
                self.column_value(table, column, number, name, ordinal)?
            };
            values.insert(column.name.clone(), made);
        }
        Ok((values, support))
    }

    /// A fresh row, for an attempt to insert: as [`Maker::row`], but it needs nothing that the world lacks.
    ///
    /// # Errors
    /// As [`plan`].
    pub(crate) fn fresh(
        &self,
        subject: usize,
        holder: Option<usize>,
        hold: Hold,
        name: &str,
        world: &World,
    ) -> Result<Values, Failure> {
        let mut supported = BTreeSet::new();
        // Far above every row of the world, so that unique numbers do not meet; nor those of two rows of one statement.
        let ordinal = FRESH + subject + ORDINALS * (name.len() % 7);
        let name = format!("{:?} fresh {name} in {subject}", self.kind);
        self.row(subject, holder, 0, hold, &name, ordinal, world, &mut supported).map(|(values, _support)| values)
    }

    pub(super) fn column_value(
        &self,
        table: &Table,
        column: &Column,
        number: usize,
        name: &str,
        ordinal: usize,
    ) -> Result<Option<String>, Failure> {
        let made = if table.is_unique(&column.name) {
            unique_value(column, name, ordinal)
        } else if self.kind == WorldKind::Different {
            if number == 2 && !column.not_null {
                return Ok(None);
            }
            value(column, ordinal)
        } else {
            value(column, 1)
        };
        match made {
            Some(value) => Ok(Some(value)),
            None if !column.not_null => Ok(None),
            None => {
                let what = format!(
                    "no row can be made for {}: of column {} nothing is known but its type, {}",
                    table.name(),
                    column.name,
                    column.type_name
                );
                Err(files::missing(table, what, &[column], None))
            }
        }
    }
}
