//! A foreign key dropped.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator { name: "key-dropped", about: "a foreign key is gone", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let dropped = matter.keys.iter().map(|key| {
        let sql = key.drop();
        Mutant::on(key.on(), key.label(), "dropped", sql)
    });
    dropped.collect()
}
