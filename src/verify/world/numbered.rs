//! Rows of the small world that mutants are compared in: many of one kind, told apart by a number.

use super::World;
use super::rows::{Hold, Maker, Values};
use crate::model::failure::Failure;
use std::collections::BTreeSet;

impl Maker<'_> {
    /// As [`Maker::fresh`], one of many: `ordinal` is its number, which tells them apart.
    ///
    /// # Errors
    /// Inconclusive, naming table and column, where no row can be made from the catalogue.
    pub(crate) fn fresh_at(
        &self,
        subject: usize,
        hold: Hold,
        name: &str,
        ordinal: usize,
        world: &World,
    ) -> Result<Values, Failure> {
        let mut supported = BTreeSet::new();
        let made = self.row(subject, None, 0, hold, name, ordinal, world, &mut supported);
        made.map(|(values, _support)| values)
    }
}
