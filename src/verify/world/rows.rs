//! Plans a world's rows: who owns what, which parents rows hang on, and a value for every other column.

use super::insert::{insert, key_columns};
use super::order::in_order;
use super::values::{unique_value, value};
use super::{Row, Subject, World, WorldKind};
use crate::model::access::{OwnerPath, Ownership, TableName};
use crate::model::catalog::{Catalog, Column, ForeignKey, Table};
use crate::model::failure::{Failure, FailureKind};
use crate::verify::persona::Persona;
use std::collections::{BTreeMap, BTreeSet};

/// How many rows each account has in each table, where it can: one with every value, one with NULLs, one as a spare parent.
pub(crate) const ROWS_EACH: usize = 3;

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
            let name = format!("{:?} row {number} of {holder:?} on {parents:?}", maker.kind);
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

/// The values of one owner path's column (and of the rest of a composite key): what a row hangs on.
pub(crate) type Hold = Values;

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
        self.subjects[subject].access.ownership.paths()
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
                let holds: Option<Vec<Hold>> =
                    paths.iter().map(|path| self.hold(path, subject, holder, number, world)).collect();
                if let Some(holds) = holds {
                    wanted.push((Some(holder), number, holds.into_iter().flatten().collect()));
                }
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
                    wanted.extend(holds.map(|holds| (None, 0, holds.into_iter().flatten().collect())));
                }
            }
        }
        wanted.extend(self.orphans(subject, world).into_iter().map(|hold| (None, 0, hold)));
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
        let mut support = Vec::new();
        let varied = self.varied(subject, number, world);
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
                continue;
            }
            let (more, statements) = self.refer(table, key, holder, number, world, supported)?;
            values.extend(more);
            support.extend(statements);
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
        // Far above every row of the world, so that unique numbers do not meet.
        let ordinal = 1_000_000 + subject;
        self.row(subject, holder, 0, hold, &format!("{:?} fresh {name}", self.kind), ordinal, world, &mut supported)
            .map(|(values, _support)| values)
    }

    fn column_value(
        &self,
        table: &Table,
        column: &Column,
        number: usize,
        name: &str,
        ordinal: usize,
    ) -> Result<Option<String>, Failure> {
        let unique = table.uniques.iter().any(|columns| columns.contains(&column.name));
        let made = if unique {
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
            None => Err(Failure::new(
                FailureKind::Inconclusive,
                format!(
                    "no row can be made for {}: column {} has type {}",
                    table.name(),
                    column.name,
                    column.type_name
                ),
            )
            .help(format!(
                "exempt the table in policies/access.toml with a reason, or give {} a default",
                column.name
            ))),
        }
    }

    /// The rest of a composite foreign key of which some columns are set already, such as the owner: that of a parent
    /// row that agrees with them, where there is one.
    fn refer_to_held(&self, key: &ForeignKey, values: &Values, number: usize, world: &World) -> Values {
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

    /// Values for a foreign key that is no owner path: the holder's own parent row where there is one, else any; NULL
    /// where the column allows it; else a row made outside the contract.
    fn refer(
        &self,
        table: &Table,
        key: &ForeignKey,
        holder: Option<usize>,
        number: usize,
        world: &World,
        supported: &mut BTreeSet<String>,
    ) -> Result<(Values, Vec<String>), Failure> {
        let target = key.target();
        let parent = self.subject_of(&target).and_then(|subject| {
            let mut all = world.of(subject);
            if self.subjects[subject].access.ownership == Ownership::None {
                // Each row another one, and the last for new rows: a key may hold the owner together with this.
                let nth = holder.unwrap_or_default() * ROWS_EACH + number;
                return if number == 0 { all.next_back() } else { all.clone().find(|row| row.number == nth) }
                    .or_else(|| all.next());
            }
            let of_holder = |number| holder.and_then(|holder| world.row(subject, holder, number));
            of_holder(number.max(1)).or_else(|| of_holder(1)).or_else(|| all.next())
        });
        if let Some(parent) = parent {
            let pairs = key.columns.iter().zip(&key.target_columns);
            return Ok((
                pairs.map(|(from, to)| (from.clone(), parent.values.get(to).cloned().flatten())).collect(),
                Vec::new(),
            ));
        }
        let nullable = key.columns.iter().all(|name| table.column(name).is_some_and(|column| !column.not_null));
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
            let made = target_table.column(name).and_then(|column| unique_value(column, "shared parent", 1));
            wanted.insert(name.clone(), made);
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
    fn support(
        &self,
        target: &TableName,
        values: Values,
        supported: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, Failure> {
        let Some(table) = self.catalog.table(target) else { return Ok(Vec::new()) };
        if !supported.insert(format!("{target:?} {values:?}")) {
            return Ok(Vec::new());
        }
        let mut all = values;
        let mut statements = Vec::new();
        for key in &table.foreign_keys {
            let needed = key.columns.iter().any(|name| {
                !all.contains_key(name) && table.column(name).is_some_and(|c| c.not_null && !c.has_default)
            });
            if needed {
                let nothing = World::new(self.kind);
                let (more, before) = self.refer(table, key, None, 1, &nothing, supported)?;
                all.extend(more);
                statements.extend(before);
            }
        }
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
