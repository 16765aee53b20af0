//! Values that a check may ask for in a row that is written: what lets in another's row shows only with them.

use super::Scene;
use crate::model::catalog::{Column, ForeignKey};
use crate::verify::persona::named;
use crate::verify::world::rows::Values;
use crate::verify::world::variations;

impl Scene<'_> {
    /// The values of `column` that a check may ask for, each with a word for ids. None for key columns, whose values
    /// must differ; for keys of parents one's own parent and another's.
    pub(crate) fn telling_values(&self, column: &Column) -> Vec<(String, String)> {
        if self.table().is_unique(&column.name) {
            return Vec::new();
        }
        if let Some(key) = self.table().foreign_keys.iter().find(|key| key.columns.contains(&column.name))
            && !self.maker.is_account(self.subject, key)
        {
            return self.telling_parents(key);
        }
        let mut told: Vec<(String, String)> = Vec::new();
        for value in variations::to_write(self.table(), column, &named(self.maker.personas)) {
            let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            let word: String = value.chars().take(24).map(|c| if plain(c) { c } else { '-' }).collect();
            let known =
                told.iter().filter(|(known, _)| *known == word || known.starts_with(&format!("{word}~"))).count();
            told.push((if known == 0 { word } else { format!("{word}~{}", known + 1) }, value));
        }
        told
    }

    /// The keys of one's own parent row and of another's; none where nobody owns parents, or the key is composite.
    fn telling_parents(&self, key: &ForeignKey) -> Vec<(String, String)> {
        let ([target], Some(other)) = (key.target_columns.as_slice(), self.other_holder()) else { return Vec::new() };
        let parent = self.maker.subject_of(&key.target());
        let Some(parent) = parent.filter(|parent| !self.maker.paths(*parent).is_empty()) else { return Vec::new() };
        let of = |word: &str, holder: usize| {
            let row = self.world.row(parent, holder, 1)?;
            Some((word.to_owned(), row.values.get(target).cloned().flatten()?))
        };
        [of("own", self.persona), of("another", other)].into_iter().flatten().collect()
    }

    /// Values for two or more columns at once that a check may ask for together: those that policies name and
    /// that `may` be given. Empty where policies name but one.
    pub(crate) fn telling_rows(&self, may: impl Fn(&Column) -> bool) -> Vec<Values> {
        let free = |column: &Column| {
            variations::is_named(self.table(), column)
                && !self.table().is_unique(&column.name)
                && !self.table().foreign_keys.iter().any(|key| key.columns.contains(&column.name))
                && may(column)
        };
        let mut rows = variations::rows(self.table(), free, &named(self.maker.personas));
        rows.retain(|row| row.len() > 1);
        rows
    }
}
