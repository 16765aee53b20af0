//! The order in which tables are filled: parents before children.

use super::Subject;
use crate::model::access::{OwnerPath, Ownership, TableName};
use crate::model::catalog::ForeignKey;

/// The subjects' indices, parents before children; in cycles the contract's order.
pub(super) fn in_order(subjects: &[Subject]) -> Vec<usize> {
    let mut done: Vec<usize> = Vec::new();
    while done.len() < subjects.len() {
        let ready = (0..subjects.len()).find(|&index| {
            !done.contains(&index)
                && depends(&subjects[index]).iter().all(|parent| {
                    subject_of(subjects, parent).is_none_or(|target| target == index || done.contains(&target))
                })
        });
        let next = ready.or_else(|| (0..subjects.len()).find(|index| !done.contains(index)));
        done.extend(next);
    }
    done
}

/// The tables whose rows this table's rows need: by foreign keys, and by the owner paths that no key accompanies.
fn depends(subject: &Subject) -> Vec<TableName> {
    let paths = match &subject.access.ownership {
        Ownership::All(paths) | Ownership::Any(paths) => paths.as_slice(),
        Ownership::None | Ownership::Sql(_) => &[],
    };
    let parents = paths.iter().filter_map(|path| match path {
        OwnerPath::Parent { parent, .. } => Some(parent.clone()),
        OwnerPath::Column(_) => None,
    });
    subject.table.foreign_keys.iter().map(ForeignKey::target).chain(parents).collect()
}

/// The index of the subject whose table that is.
pub(super) fn subject_of(subjects: &[Subject], name: &TableName) -> Option<usize> {
    subjects.iter().position(|subject| subject.access.table == *name)
}
