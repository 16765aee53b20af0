//! A composite key without one of its columns.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator {
    name: "key-loosened",
    about: "a composite foreign key has a column less, where the rest is unique",
    make,
};

fn make(matter: &Matter) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for key in matter.keys.iter().filter(|key| key.columns.len() > 1) {
        for left_out in 0..key.columns.len() {
            let without = |columns: &[String]| {
                let kept = columns.iter().enumerate().filter(|(place, _)| *place != left_out);
                kept.map(|(_, column)| column.clone()).collect::<Vec<_>>()
            };
            // Where nothing is unique without it the server refuses, and nothing was loosened.
            let sql = format!(
                "{}; {}",
                key.drop(),
                key.add(&without(&key.columns), &without(&key.target_columns), key.action())
            );
            let change = format!("without {}", key.columns[left_out]);
            mutants.push(Mutant::on(key.on(), key.label(), &change, sql));
        }
    }
    mutants
}
