//! The same keys and indexes under other names: renamed, not built again.

use crate::schema::adopt::changes::{Writer, table_of};
use crate::schema::adopt::script::Section;
use crate::schema::adopt::sides::Sides;
use crate::schema::difference::{Case, Difference};
use crate::schema::facts::{Key, Object};
use std::collections::BTreeMap;

/// Missing constraints and indexes that are there under another name, and what that is.
pub(super) fn renamed(sides: &Sides<'_>, changes: &[&Difference]) -> BTreeMap<Key, Key> {
    let of = |case: Case| {
        changes.iter().filter(move |one| one.case == case && one.property.is_empty()).filter(|one| is_rule(&one.key))
    };
    let mut renamed: BTreeMap<Key, Key> = BTreeMap::new();
    for missing in of(Case::Missing) {
        let found = of(Case::Extra).find(|extra| {
            extra.key.0 == missing.key.0
                && extra.parent == missing.parent
                && nameless(&extra.found) == nameless(&missing.expected)
                && !renamed.values().any(|taken| *taken == extra.key)
        });
        renamed.extend(found.map(|extra| (missing.key.clone(), extra.key.clone())));
    }
    // An index that is not unique may stay, and is no change; but one of ours under another name need not be made twice.
    let there = sides.there.facts.objects.iter().filter(|(key, _)| key.0 == "index");
    let there: Vec<(&Key, &Object)> = there.filter(|(key, _)| !sides.wanted.facts.objects.contains_key(*key)).collect();
    for missing in of(Case::Missing).filter(|one| one.key.0 == "index") {
        let found = there.iter().find(|(key, object)| {
            object.parent == missing.parent
                && nameless(sides.there.value(&key.0, &key.1, "")) == nameless(&missing.expected)
                && sides.there.value(&key.0, &key.1, "valid") == "yes"
                && !renamed.values().any(|taken| taken == *key)
        });
        if !renamed.contains_key(&missing.key) {
            renamed.extend(found.map(|(key, _)| (missing.key.clone(), (*key).clone())));
        }
    }
    renamed
}

fn is_rule(key: &Key) -> bool {
    matches!(key.0.as_str(), "constraint" | "index")
}

/// An index' definition without its name; a constraint's has none.
fn nameless(definition: &str) -> String {
    match definition.split_once(" INDEX ").and_then(|(before, rest)| Some((before, rest.split_once(" ON ")?.1))) {
        Some((before, after)) => format!("{before} INDEX ON {after}"),
        None => definition.to_owned(),
    }
}

impl Writer<'_> {
    /// Gives them the migrations' names; a foreign key that cannot stay through the rest is made anew.
    pub(super) fn names(&mut self) {
        for (new, old) in self.renamed.clone() {
            if self.there_rule(&old).is_some_and(|rule| self.must_step_aside(rule)) {
                let undo = self.sides.there.facts.objects.get(&old).and_then(|object| object.properties.get(""));
                self.script.put(Section::ForeignKeysAway, undo.map(|one| one.undo.clone()).unwrap_or_default());
                let definition = self.definition(&new);
                self.script.put(Section::ForeignKeys, definition);
                continue;
            }
            let parent = self.sides.wanted.facts.objects.get(&new).map(|object| object.parent.as_str());
            let table = table_of(parent.unwrap_or_default());
            let statement = if new.0 == "constraint" {
                let bare = |name: &str| name.strip_suffix(&format!(" on {table}")).unwrap_or(name).to_owned();
                format!("ALTER TABLE {table} RENAME CONSTRAINT {} TO {}", bare(&old.1), bare(&new.1))
            } else {
                let bare = new.1.rsplit_once('.').map_or(new.1.as_str(), |(_, bare)| bare);
                format!("ALTER INDEX {} RENAME TO {bare}", old.1)
            };
            self.script.put(Section::Names, statement);
        }
    }
}
