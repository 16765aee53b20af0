//! Which values another's rows hold between them, so that a condition on any column, or on two that policies name,
//! shows. The policies are read to choose values, and never to judge.

use super::constants::{Mentioned, fitting, mentioned};
use super::rows::Values;
use super::values::value;
use crate::model::catalog::{Asked, Column, Table};
use std::collections::BTreeSet;

/// How many rows there are at most for the sake of their values.
const MOST: usize = 40;

/// How many constants of one column are tried at most.
const MOST_CONSTANTS: usize = 12;

/// The values that `column` must have in some row: labels, truth values, both sides of now, what conditions mention,
/// who tries, and NULL; none where any value is as good as another.
fn all(table: &Table, column: &Column, who: &[String]) -> Vec<Option<String>> {
    let mut values: Vec<Option<String>> = by_type(column).into_iter().map(Some).collect();
    values.extend(asked(table, column, who).into_iter().map(Some));
    let who = |text: &String| if text.contains(&column.name) { who } else { &[] };
    let called: Vec<Mentioned> = table.called.iter().map(|text| with(mentioned(text), who(text))).collect();
    values.extend(called.iter().flat_map(|found| fitting(column, found)).take(MOST_CONSTANTS).map(Some));
    let other = !values.is_empty() && by_type(column).is_empty();
    values.extend(other.then(|| value(column, 1)).flatten().map(Some));
    if !column.not_null && (!values.is_empty() || is_named(table, column)) {
        values.push(None);
        values.extend((values.len() == 1).then(|| value(column, 1)).flatten().map(Some));
    }
    let mut known = BTreeSet::new();
    values.retain(|value| known.insert(value.clone()));
    values
}

/// The values that the column's type suggests.
fn by_type(column: &Column) -> Vec<String> {
    if column.is_array {
        return Vec::new();
    }
    match column.base_type.as_str() {
        _ if !column.enum_labels.is_empty() => column.enum_labels.clone(),
        "bool" => vec!["true".to_owned(), "false".to_owned()],
        "timestamptz" | "timestamp" | "date" => [2, 3].iter().filter_map(|seed| value(column, *seed)).collect(),
        _ => Vec::new(),
    }
}

/// The values that the policies which name `column` suggest; they may compare it with `who` tries.
fn asked(table: &Table, column: &Column, who: &[String]) -> Vec<String> {
    let asks = table.asks.iter().filter(|asked| asked.columns.contains(&column.name));
    // A document's parts may be cast to anything: who tries stands there only where the policy asks who that is.
    let who = |asked: &Asked| {
        let asks_who = ["uid(", "jwt", "current_setting", "current_user", "email"];
        let may = !column.base_type.starts_with("json") || asks_who.iter().any(|word| asked.text.contains(word));
        if may { who } else { &[] }
    };
    asks.flat_map(|asked| fitting(column, &with(mentioned(&asked.text), who(asked)))).take(MOST_CONSTANTS).collect()
}

fn with(mut mentioned: Mentioned, who: &[String]) -> Mentioned {
    mentioned.constants.splice(0..0, who.iter().cloned());
    mentioned
}

/// The values that a row which is written should have in turn, for a check may let in what has one of them: labels,
/// truth values and what policies compare the column with, `who` tries among that.
pub(crate) fn to_write(table: &Table, column: &Column, who: &[String]) -> Vec<String> {
    let mut values = match column.base_type.as_str() {
        "timestamptz" | "timestamp" | "date" => Vec::new(),
        _ => by_type(column),
    };
    values.extend(asked(table, column, who));
    let mut known = BTreeSet::new();
    values.retain(|value| known.insert(value.clone()));
    values
}

/// Whether a policy, or a function that it calls, names the column.
pub(crate) fn is_named(table: &Table, column: &Column) -> bool {
    table.asks.iter().any(|asked| asked.columns.contains(&column.name))
        || table.called.iter().any(|text| text.contains(&column.name))
}

/// The rows: each of their columns' values at least once, and each two values of each two columns that policies name,
/// as far as [`MOST`] rows go. `free` says which columns can be given any value; `who` tries, as text.
pub(crate) fn rows(table: &Table, free: impl Fn(&Column) -> bool, who: &[String]) -> Vec<Values> {
    let columns: Vec<(&Column, Vec<Option<String>>)> = table
        .columns
        .iter()
        .filter(|column| !column.generated && !column.identity_always && free(column))
        .map(|column| (column, all(table, column, who)))
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let counts: Vec<usize> = columns.iter().map(|(_, values)| values.len()).collect();
    let named: Vec<bool> = columns.iter().map(|(column, _)| is_named(table, column)).collect();
    cover(&counts, &named)
        .into_iter()
        .map(|row| {
            let pairs = row.into_iter().zip(&columns);
            pairs.filter_map(|(at, (column, values))| Some((column.name.clone(), values.get(at)?.clone()))).collect()
        })
        .collect()
}

/// Rows of choices, one for each of `counts`, so that each choice is in some row and each pair of choices of two
/// `named` ones too. Greedy: each row covers as many pairs that are left as the ones before it leave.
fn cover(counts: &[usize], named: &[bool]) -> Vec<Vec<usize>> {
    let mut pairs: BTreeSet<(usize, usize, usize, usize)> = BTreeSet::new();
    for (left, &of_left) in counts.iter().enumerate().filter(|(at, _)| named[*at]) {
        for (right, &of_right) in counts.iter().enumerate().filter(|(at, _)| named[*at] && *at > left) {
            pairs.extend((0..of_left).flat_map(|a| (0..of_right).map(move |b| (left, a, right, b))));
        }
    }
    let mut used: Vec<Vec<usize>> = counts.iter().map(|count| vec![0; *count]).collect();
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let singles_left = |used: &Vec<Vec<usize>>| used.iter().flatten().any(|times| *times == 0);
    while rows.len() < MOST && (!pairs.is_empty() || singles_left(&used)) {
        let first = pairs.iter().next().copied();
        let mut row: Vec<usize> = Vec::new();
        for (at, &count) in counts.iter().enumerate() {
            let fixed = first.and_then(|(left, a, right, b)| match at {
                _ if at == left => Some(a),
                _ if at == right => Some(b),
                _ => None,
            });
            let gain = |choice: usize| {
                row.iter().enumerate().filter(|(left, a)| pairs.contains(&(*left, **a, at, choice))).count()
            };
            // The pair that is covered next; else what covers most; else what was used least.
            let best = (0..count).max_by_key(|&choice| (gain(choice), usize::MAX - used[at][choice], count - choice));
            row.push(fixed.or(best).unwrap_or_default());
        }
        for (right, &b) in row.iter().enumerate() {
            used[right][b] += 1;
            for (left, &a) in row.iter().enumerate().take(right) {
                pairs.remove(&(left, a, right, b));
            }
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_and_every_pair_of_named_ones_is_there() {
        let (counts, named) = ([4, 2, 3, 5], [true, true, true, false]);
        let rows = cover(&counts, &named);
        for (at, count) in counts.iter().enumerate() {
            assert!((0..*count).all(|choice| rows.iter().any(|row| row[at] == choice)));
        }
        for (left, right) in [(0, 1), (0, 2), (1, 2)] {
            for a in 0..counts[left] {
                for b in 0..counts[right] {
                    assert!(rows.iter().any(|row| row[left] == a && row[right] == b), "{left} {a} {right} {b}");
                }
            }
        }
        assert!(rows.len() <= 14, "{} rows", rows.len());
        assert_eq!(cover(&[3, 2], &[false, false]).len(), 3);
        assert_eq!(cover(&[20, 20], &[true, true]).len(), MOST);
        assert!(cover(&[], &[]).is_empty());
    }
}
