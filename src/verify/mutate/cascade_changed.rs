//! ON DELETE changed: CASCADE where there was none, and none where there was.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "cascade-changed", about: "what ON DELETE of a foreign key does is something else", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let changed = matter.keys.iter().map(|key| {
        let action = if key.on_delete == 'c' { "NO ACTION" } else { "CASCADE" };
        let sql = format!("{}; {}", key.drop(), key.add(&key.columns, &key.target_columns, action));
        Mutant::on(key.on(), key.label(), &format!("ON DELETE {action}"), sql)
    });
    changed.collect()
}
