//! EXECUTE for PUBLIC.

use super::matter::Matter;
use super::{Mutant, Operator};

pub(super) const OPERATOR: Operator = Operator { name: "public-execute", about: "PUBLIC may execute a function", make };

fn make(matter: &Matter) -> Vec<Mutant> {
    let closed = matter.functions.iter().filter(|function| !function.public);
    closed
        .map(|function| {
            let sql = format!("GRANT EXECUTE ON FUNCTION {} TO PUBLIC", function.signature);
            Mutant::of_function(function, "GRANT EXECUTE TO PUBLIC", sql)
        })
        .collect()
}
