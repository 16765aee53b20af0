//! What hangs together: what has to step aside for a change, and comes back as it was, or goes with it.

use crate::schema::adopt::changes::{Writer, table_of};
use crate::schema::adopt::script::Section;
use crate::schema::adopt::sides::Rule;
use crate::schema::difference::Difference;
use crate::schema::facts::Key;

impl Writer<'_> {
    /// What is revoked from a table is revoked from its columns too.
    pub(super) fn column_grants_again(&mut self, grant: &str) {
        let Some((table, grantee)) = grant.strip_prefix("on table ").and_then(|rest| rest.rsplit_once(" to ")) else {
            return;
        };
        let (start, end) = (format!("on column {table}."), format!(" to {grantee}"));
        let grants = self.sides.wanted.facts.objects.iter();
        let grants =
            grants.filter(|((kind, name), _)| kind == "grant" && name.starts_with(&start) && name.ends_with(&end));
        let grants: Vec<String> =
            grants.filter_map(|(_, object)| object.properties.get("")).map(|grant| self.sql(&grant.mend)).collect();
        for grant in grants {
            self.script.put(Section::Grants, grant);
        }
    }

    /// Foreign keys that stay as they are, but not through the rest.
    pub(super) fn foreign_keys_again(&mut self) {
        let keys = self
            .sides
            .there
            .rules
            .iter()
            .filter(|(key, rule)| self.sides.wanted.facts.objects.contains_key(*key) && self.must_step_aside(rule));
        let keys: Vec<Key> = keys.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let undo = self.sides.there.facts.objects.get(&key).and_then(|object| object.properties.get(""));
            self.script.put(Section::ForeignKeysAway, undo.map(|one| one.undo.clone()).unwrap_or_default());
            let definition = self.definition(&key);
            self.script.put(Section::ForeignKeys, definition);
        }
    }

    /// Whether a foreign key leans on a key that is taken away, or is about a column whose type changes.
    pub(super) fn must_step_aside(&self, rule: &Rule) -> bool {
        let retyped = |table: &str, columns: &[String]| {
            columns.iter().any(|column| self.retyped.contains(&format!("{table}.{column}")))
        };
        rule.kind == "f"
            && (self.dropped.iter().any(|(_, name)| *name == rule.leans)
                || retyped(&rule.table, &rule.columns)
                || retyped(&rule.referenced, &rule.referenced_columns))
    }

    /// A constraint, index or trigger that is there.
    pub(super) fn there_rule(&self, key: &Key) -> Option<&Rule> {
        self.sides.there.rules.get(key)
    }

    /// A column's type cannot change while a policy mentions it, and any policy may.
    pub(super) fn policies_again(&mut self) {
        let old: Vec<Key> = self.sides.there.facts.objects.keys().filter(|key| key.0 == "policy").cloned().collect();
        for key in old {
            let object = self.sides.there.facts.objects.get(&key);
            let ours = object.is_some_and(|object| self.sides.wanted.has_table(table_of(&object.parent)));
            if let (true, Some(definition)) = (ours, object.and_then(|object| object.properties.get(""))) {
                self.script.put(Section::PoliciesAway, definition.undo.clone());
            }
        }
        let new: Vec<Key> = self.sides.wanted.facts.objects.keys().filter(|key| key.0 == "policy").cloned().collect();
        for key in new {
            let definition = self.definition(&key);
            self.script.put(Section::Policies, definition);
            self.put_property(Section::Comments, &key, "comment");
        }
    }

    /// Whether a foreign key of a table that the migrations do not make leans on the key.
    pub(super) fn kept_leans_on(&self, key: &Key) -> bool {
        let more = |table: &String| !self.sides.wanted.has_table(table);
        self.sides.there.rules.values().any(|rule| rule.kind == "f" && rule.leans == key.1 && more(&rule.table))
    }

    /// Nobody can call a trigger function by itself; once its triggers are gone it is of no use.
    pub(super) fn is_idle_trigger_function(&self, one: &Difference) -> bool {
        let call = format!(" {}", one.key.1);
        let calls = |key: &Key| {
            let definition = self.sides.there.value(&key.0, &key.1, "");
            self.sides.there.rules.get(key).is_some_and(|rule| rule.leans == one.key.1) || definition.contains(&call)
        };
        let is_dropped = |key: &Key| {
            let object = self.sides.there.facts.objects.get(key);
            object.is_some_and(|object| !object.parent.is_empty())
                && self.changes.iter().any(|other| other.key == *key && other.property.is_empty())
        };
        self.sides.there.value(&one.key.0, &one.key.1, "returns") == "trigger"
            && self
                .sides
                .there
                .facts
                .objects
                .keys()
                .filter(|key| matches!(key.0.as_str(), "trigger" | "event trigger") && calls(key))
                .all(is_dropped)
    }
}
