//! Values that meet a table's conditions: CHECK constraints, domains, partitions' bounds, and what a file in
//! `fixtures/rows/` says. The server has said of each of them that it does; rows that are made choose among them.

pub(crate) mod ask;
mod block;
mod candidates;
pub(crate) mod conditions;
pub(crate) mod files;

use super::Subject;
use super::rows::Values;
use crate::model::access::TableName;
use crate::verify::persona::Persona;
use std::collections::BTreeMap;

/// What decides a column's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Whatever meets the conditions.
    Free,
    /// It holds an account's id, which says whose the row is.
    Owner,
    /// A foreign key: here it only matters whether it is NULL.
    Reference,
    /// No column: the account for which a file gave the values.
    Account,
}

/// Columns that conditions tie together, and values for them that meet the conditions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fit {
    /// The columns; an account has no name.
    pub(crate) columns: Vec<(String, Part)>,
    /// Values in the columns' order; `None` is NULL.
    pub(crate) tuples: Vec<Vec<Option<String>>>,
}

/// The fits of each table that has conditions.
pub(crate) type Fits = BTreeMap<TableName, Vec<Fit>>;

/// Which of several tuples.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pick {
    /// Always the same.
    Same,
    /// Another one for each number, as far as there are any.
    Nth(usize),
    /// One that no row of the world has; another one for each number.
    Fresh(usize),
    /// The one with the most NULLs.
    Nulls,
}

impl Fit {
    /// Whether it ties that column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == column)
    }

    /// Values for the columns that are not `held` and are no references: as many of the `wishes` as can be, and such that
    /// `can(column, null)` holds for references; values that are `taken` only where there are no others. `None` where
    /// nothing goes with what is held.
    pub(crate) fn choose(
        &self,
        held: &Values,
        account: Option<&str>,
        wishes: &Values,
        can: impl Fn(&str, bool) -> bool,
        taken: impl Fn(&str, &str) -> bool,
        pick: Pick,
    ) -> Option<&[Option<String>]> {
        let goes = |tuple: &&Vec<Option<String>>| {
            self.columns.iter().zip(*tuple).all(|((name, part), value)| match (part, held.get(name)) {
                (Part::Account, _) => account.is_none() || value.as_deref() == account,
                (Part::Reference, Some(held)) => held.is_none() == value.is_none(),
                (Part::Reference, None) => can(name, value.is_none()),
                (_, Some(held)) => held == value,
                (_, None) => true,
            })
        };
        let met = |tuple: &Vec<Option<String>>| {
            self.columns.iter().zip(tuple).filter(|((name, _), value)| wishes.get(name) == Some(value)).count()
        };
        let free = |tuple: &&&Vec<Option<String>>| {
            let mut own = self.columns.iter().zip(tuple.iter()).filter(|((_, part), _)| *part == Part::Free);
            !own.any(|((name, _), value)| value.as_deref().is_some_and(|value| taken(name, value)))
        };
        let mut all: Vec<&Vec<Option<String>>> = self.tuples.iter().filter(goes).collect();
        let untaken: Vec<&Vec<Option<String>>> = all.iter().filter(free).copied().collect();
        if !untaken.is_empty() {
            all = untaken;
        }
        let most = all.iter().map(|tuple| met(tuple)).max()?;
        let best: Vec<&Vec<Option<String>>> = all.into_iter().filter(|tuple| met(tuple) == most).collect();
        // The last quarter is kept for rows that the world does not have.
        let kept = best.len() / 4;
        let tuple = match pick {
            Pick::Same => best.first(),
            Pick::Nth(number) => best.get(number % (best.len() - kept)),
            Pick::Fresh(number) => best.get(best.len() - 1 - number % kept.max(1)),
            Pick::Nulls => best.iter().max_by_key(|tuple| tuple.iter().filter(|value| value.is_none()).count()),
        };
        tuple.map(|tuple| tuple.as_slice())
    }
}

/// The account whose id stands in one of the columns that hold owners.
pub(crate) fn account_of<'p>(personas: &'p [Persona], owners: &[&str], held: &Values) -> Option<&'p str> {
    owners.iter().find_map(|column| {
        let held = held.get(*column)?.as_deref()?;
        personas.iter().filter_map(|persona| persona.uid.as_deref()).find(|uid| *uid == held)
    })
}

/// The spare accounts that are needed: for each table that lets in none of those that only own, the first that it does.
pub(crate) fn needed(
    fits: &Fits,
    subjects: &[Subject],
    personas: &[Persona],
    mut spares: Vec<Persona>,
) -> Vec<Persona> {
    let mut needed: Vec<Persona> = Vec::new();
    for subject in subjects {
        for fit in fits.get(&subject.access.table).into_iter().flatten() {
            for (at, _) in fit.columns.iter().enumerate().filter(|(_, (_, part))| *part == Part::Owner) {
                let lets_in = |persona: &Persona| {
                    persona.uid.is_some() && fit.tuples.iter().any(|tuple| tuple.get(at) == Some(&persona.uid))
                };
                let owns = |persona: &&Persona| persona.has_rows && !persona.tries;
                if personas.iter().chain(&needed).filter(owns).any(lets_in) {
                    continue;
                }
                if let Some(found) = spares.iter().position(lets_in) {
                    needed.push(spares.remove(found));
                }
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(values: [Option<&str>; 2]) -> Vec<Option<String>> {
        values.map(|value| value.map(str::to_owned)).to_vec()
    }

    #[test]
    fn what_is_held_binds_and_wishes_only_prefer() {
        let fit = Fit {
            columns: vec![("kind".to_owned(), Part::Free), ("post".to_owned(), Part::Reference)],
            tuples: vec![tuple([Some("post"), Some("x")]), tuple([Some("reply"), None]), tuple([Some("note"), None])],
        };
        let nothing = Values::new();
        let wish = Values::from([("kind".to_owned(), Some("note".to_owned()))]);
        let choose = |held: &Values, wishes: &Values, null: bool| {
            fit.choose(held, None, wishes, |_, asked| asked == null, |_, value| value == "new", Pick::Nth(0))
                .map(|tuple| tuple[0].clone())
        };
        assert_eq!(choose(&nothing, &nothing, false), Some(Some("post".to_owned())));
        assert_eq!(choose(&nothing, &nothing, true), Some(Some("reply".to_owned())));
        assert_eq!(choose(&nothing, &wish, true), Some(Some("note".to_owned())));
        assert_eq!(choose(&nothing, &wish, false), Some(Some("post".to_owned())));
        let held = Values::from([("kind".to_owned(), Some("reply".to_owned()))]);
        assert_eq!(choose(&held, &wish, false), None);
        assert_eq!(choose(&held, &wish, true), Some(Some("reply".to_owned())));
        let referred = Values::from([("post".to_owned(), Some("y".to_owned()))]);
        assert_eq!(choose(&referred, &nothing, true), Some(Some("post".to_owned())));
    }
}
