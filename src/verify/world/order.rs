//! The order in which tables are filled: parents before children.

use super::Subject;
use crate::model::access::{OwnerPath, TableName};
use crate::model::catalog::ForeignKey;
use std::collections::BTreeMap;

/// The subjects' indices, parents before children; in cycles the contract's order.
pub(crate) fn in_order(subjects: &[Subject]) -> Vec<usize> {
    let places = places(subjects);
    let needs = |subject: &Subject| depends(subject).iter().filter_map(|name| places.get(name).copied()).collect();
    let needs: Vec<Vec<usize>> = subjects.iter().map(needs).collect();
    let mut order = Vec::with_capacity(subjects.len());
    let mut done = vec![false; subjects.len()];
    let mut left: Vec<usize> = (0..subjects.len()).collect();
    while !left.is_empty() {
        // One round takes all that it can, one after the other: as many rounds as parents stand behind each other.
        let before = order.len();
        left.retain(|&index| {
            let ready = needs[index].iter().all(|&parent| parent == index || done[parent]);
            if ready {
                done[index] = true;
                order.push(index);
            }
            !ready
        });
        if order.len() == before {
            let first = left.remove(0);
            done[first] = true;
            order.push(first);
        }
    }
    order
}

/// Every subject's table, with its index.
pub(crate) fn places(subjects: &[Subject]) -> BTreeMap<TableName, usize> {
    subjects.iter().enumerate().map(|(index, subject)| (subject.access.table.clone(), index)).collect()
}

/// The tables whose rows this table's rows need: by foreign keys, and by the owner paths that no key accompanies.
fn depends(subject: &Subject) -> Vec<TableName> {
    let parents = subject.paths().iter().filter_map(|path| match path {
        OwnerPath::Parent { parent, .. } => Some(parent.clone()),
        OwnerPath::Column(_) => None,
    });
    subject.table.foreign_keys.iter().map(ForeignKey::target).chain(parents).collect()
}
