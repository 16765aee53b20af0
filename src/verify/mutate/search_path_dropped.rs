//! A function's search_path dropped.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator =
    Operator { name: "search-path-dropped", about: "a function has no search_path of its own", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let safe = matter.functions.iter().filter(|function| function.search_path);
    safe.map(|function| {
        let sql = format!("ALTER FUNCTION {} RESET search_path", function.signature);
        Mutant::of_function(function, "RESET search_path", sql)
    })
    .collect()
}
