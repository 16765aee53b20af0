//! From differences to statements: what is missing is made, what is too much is taken away where no data hangs on it, and
//! the rest is for a person to decide.

use crate::schema::adopt::columns;
use crate::schema::adopt::script::{Script, Section};
use crate::schema::adopt::sides::{Fate, Sides};
use crate::schema::difference::{Case, Difference};
use crate::schema::drift::{contrast, executable, readable};
use crate::schema::facts::{Key, Object};
use crate::schema::policies::or_replace;
use std::collections::{BTreeMap, BTreeSet};

/// What a function is replaced for; other arguments or results need it dropped first.
const SIGNATURE: &[&str] = &["arguments", "returns"];

/// Makes the statements for all differences.
pub(super) fn script(sides: &Sides<'_>, differences: &[(Difference, Fate)]) -> Script {
    let changes: Vec<&Difference> =
        differences.iter().filter(|(_, fate)| *fate == Fate::Change).map(|(one, _)| one).collect();
    let mut writer = Writer {
        sides: *sides,
        changes: &changes,
        renamed: renamed(sides, &changes),
        dropped: BTreeSet::new(),
        retyped: BTreeSet::new(),
        script: Script::default(),
    };
    let kept = differences.iter().filter(|(one, fate)| *fate == Fate::Keep && is_told(sides, one));
    let kept = kept.filter(|(one, _)| !writer.renamed.values().any(|old| *old == one.key));
    writer.script.kept = kept.map(|(one, _)| readable(&format!("{} {}", one.key.0, one.key.1))).collect();
    for one in &changes {
        writer.change(one);
    }
    writer.foreign_keys_again();
    if !writer.retyped.is_empty() {
        writer.policies_again();
    }
    writer.script
}

/// Whether something that stays is named: of an extra table the columns are not.
pub(super) fn is_told(sides: &Sides<'_>, one: &Difference) -> bool {
    sides.there.facts.named(&one.parent).is_none_or(|(key, _)| sides.wanted.facts.objects.contains_key(key))
}

/// Missing constraints and indexes that are there under another name, and what that is.
fn renamed(sides: &Sides<'_>, changes: &[&Difference]) -> BTreeMap<Key, Key> {
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

/// Makes the statements.
pub(super) struct Writer<'a> {
    pub(super) sides: Sides<'a>,
    changes: &'a [&'a Difference],
    renamed: BTreeMap<Key, Key>,
    /// Keys that are taken away: foreign keys may lean on them.
    dropped: BTreeSet<Key>,
    /// Columns whose type changes, as `table.column`.
    pub(super) retyped: BTreeSet<String>,
    pub(super) script: Script,
}

impl Writer<'_> {
    fn change(&mut self, one: &Difference) {
        match (one.case, one.property.is_empty()) {
            (Case::Missing, true) => self.make(one),
            (Case::Extra, true) => self.remove(one),
            _ => self.alter(one),
        }
    }

    /// What makes an object: as `policies/` says it, else as the catalogue does; empty where that is no one statement.
    fn definition(&self, key: &Key) -> String {
        match self.sides.wanted.texts.get(key) {
            Some(text) => text.clone(),
            None => {
                let object = self.sides.wanted.facts.objects.get(key);
                let definition = object.and_then(|object| object.properties.get(""));
                definition.map(|definition| self.sql(&definition.mend)).unwrap_or_default()
            }
        }
    }

    /// A statement of the facts for this database.
    pub(super) fn sql(&self, text: &str) -> String {
        executable(text, &self.sides.there.facts)
    }

    fn make(&mut self, one: &Difference) {
        let (kind, name) = (one.key.0.as_str(), one.key.1.as_str());
        let mend = self.definition(&one.key);
        match kind {
            "table" => self.make_table(name, one),
            // With its table.
            "column" if !self.sides.there.has_table(table_of(&one.parent)) => {}
            "column" => {
                let definition = columns::definition(self.sides.wanted, table_of(&one.parent), name);
                self.script
                    .put(Section::Columns, format!("ALTER TABLE {} ADD COLUMN {definition}", table_of(&one.parent)));
            }
            "enum" => {
                self.script.put(Section::Enums, format!("CREATE TYPE {name} AS ENUM ({})", one.expected_value(self)))
            }
            "domain" => {
                self.script.put(Section::Types, format!("CREATE DOMAIN {name} AS {}", one.expected_value(self)))
            }
            "composite type" => {
                self.script.put(Section::Types, format!("CREATE TYPE {name} AS ({})", one.expected_value(self)));
            }
            "sequence" => {
                self.script.put(Section::Types, format!("CREATE SEQUENCE {name} {}", one.expected_value(self)));
                self.close(Section::Types, "SEQUENCE", name);
            }
            // The maker of an object has its rights on it by making it.
            "grant" if name.ends_with(" to @owner@") && self.sides.there.facts.named(&one.parent).is_none() => {}
            // As it is by default.
            "grant" if one.expected == "USAGE" && name.ends_with(" to PUBLIC") && self.is_new_type(&one.parent) => {}
            "role" => self.undecided(one, "the role is the platform's"),
            "constraint" | "index" if self.renamed.contains_key(&one.key) => self.rename(one),
            _ if mend.is_empty() => self.undecided(one, "no statement that makes it can be derived"),
            _ => {
                self.script.put(self.section(&one.key), mend);
                if matches!(kind, "function" | "procedure") {
                    self.close(Section::Functions, &kind.to_uppercase(), name);
                } else if kind == "view" {
                    self.close(Section::Views, "TABLE", name);
                }
            }
        }
        self.details(&one.key);
    }

    fn make_table(&mut self, name: &str, one: &Difference) {
        let value = one.expected_value(self);
        if !matches!(value.as_str(), "TABLE" | "UNLOGGED TABLE") {
            return self
                .undecided(one, "a table of this form cannot be derived; take the statement from the migrations");
        }
        let empty = Vec::new();
        let rule = self.sides.wanted.rules.get(&one.key);
        let parts: Vec<String> = rule
            .map_or(&empty, |rule| &rule.columns)
            .iter()
            .map(|column| columns::definition(self.sides.wanted, name, &format!("{name}.{column}")))
            .collect();
        self.script.put(Section::Tables, format!("CREATE {value} {name} (\n    {}\n)", parts.join(",\n    ")));
        for (property, without) in [
            ("row security", "disabled"),
            ("row security of the owner", "not forced"),
            ("options", ""),
            ("replica identity", "default"),
        ] {
            let section = if property == "replica identity" { Section::Properties } else { Section::Tables };
            if self.sides.wanted.value("table", name, property) != without {
                self.put_property(section, &one.key, property);
            }
        }
        self.close(Section::Tables, "TABLE", name);
    }

    /// What default privileges give the API's roles is taken back; the grants follow.
    fn close(&mut self, section: Section, kind: &str, name: &str) {
        let roles =
            self.sides.there.facts.objects.keys().filter(|(kind, name)| kind == "role" && name != "authenticator");
        let roles: Vec<&str> = std::iter::once("PUBLIC").chain(roles.map(|(_, name)| name.as_str())).collect();
        self.script.put(section, format!("REVOKE ALL ON {kind} {name} FROM {}", roles.join(", ")));
    }

    /// State and comment of what is made.
    fn details(&mut self, key: &Key) {
        if self.sides.wanted.value(&key.0, &key.1, "state") != "enabled" {
            self.put_property(Section::Properties, key, "state");
        }
        self.put_property(Section::Comments, key, "comment");
    }

    fn put_property(&mut self, section: Section, key: &Key, property: &str) {
        let object = self.sides.wanted.facts.objects.get(key);
        if let Some(property) = object.and_then(|object| object.properties.get(property)) {
            let statement = self.sql(&property.mend);
            self.script.put(section, statement);
        }
    }

    fn remove(&mut self, one: &Difference) {
        let undo = self.sql(&one.mend.join(";\n"));
        let own_table = !one.parent.is_empty();
        match one.key.0.as_str() {
            "policy" | "rule" => self.script.put(Section::PoliciesAway, undo),
            "trigger" if own_table => self.script.put(Section::PoliciesAway, undo),
            "constraint" | "index" if self.renamed.values().any(|key| *key == one.key) => {}
            "constraint" | "index" if self.kept_leans_on(&one.key) => {
                self.undecided(one, "a foreign key of a table that the migrations do not make refers to it");
            }
            "constraint" | "index" => self.take_away(&one.key, undo),
            "function" if self.is_idle_trigger_function(one) => self.script.put(Section::FunctionsAway, undo),
            "grant" | "membership" | "default privileges" | "publication" => self.script.put(Section::Revokes, undo),
            _ => self.undecided(one, "something may use it: drop it, or write a migration that makes it"),
        }
    }

    fn take_away(&mut self, key: &Key, undo: String) {
        let is_foreign = self.sides.there.rules.get(key).is_some_and(|rule| rule.kind == "f");
        if is_foreign {
            self.script.put(Section::ForeignKeysAway, undo);
        } else {
            self.dropped.insert(key.clone());
            self.script.put(Section::KeysAway, undo);
        }
    }

    fn alter(&mut self, one: &Difference) {
        let (kind, property) = (one.key.0.as_str(), one.property.as_str());
        let mend = self.sql(&one.mend.join(";\n"));
        match (kind, property) {
            ("column", "type") => self.retype(&one.key.1, &one.found, &one.expected),
            ("enum", "") => self.relabel(one),
            (_, _) if mend.is_empty() => self.undecided(one, "how depends on what is there"),
            ("column", "identity") => self.script.put(Section::ColumnTypes, mend),
            ("column", "default") => self.script.put(Section::Defaults, mend),
            ("column", "null") => self.script.put(Section::NotNull, mend),
            (_, "owner") => self.script.put(Section::Owners, mend),
            (_, "comment") => self.script.put(Section::Comments, mend),
            ("function" | "procedure", _) if self.has_other_signature(&one.key) => {
                if SIGNATURE.contains(&property) {
                    self.undecided(one, "it cannot be replaced: drop it first, with all that calls it, then make it");
                }
            }
            ("function" | "procedure", _) => {
                let definition = or_replace(&self.definition(&one.key));
                self.script.put(Section::Functions, definition);
            }
            ("index", "valid") => {
                let object = self.sides.wanted.facts.objects.get(&one.key);
                let Some(definition) = object.and_then(|object| object.properties.get("")) else { return };
                self.take_away(&one.key, definition.undo.clone());
                self.script.put(Section::Indexes, definition.mend.clone());
            }
            (_, "") => {
                let [undo, _] = one.mend.as_slice() else {
                    return self.undecided(one, "how depends on what is there");
                };
                let (undo, make) = (self.sql(undo), self.definition(&one.key));
                match kind {
                    "policy" | "rule" | "trigger" => self.script.put(Section::PoliciesAway, undo),
                    "constraint" | "index" | "statistics" => self.take_away(&one.key, undo),
                    // CREATE OR REPLACE.
                    "view" => {}
                    _ => self.script.put(Section::Revokes, undo),
                }
                self.script.put(self.section(&one.key), make);
                self.details(&one.key);
                self.column_grants_again(&one.key.1);
            }
            _ => self.script.put(Section::Properties, mend),
        }
    }

    fn rename(&mut self, one: &Difference) {
        let Some(old) = self.renamed.get(&one.key) else { return };
        let table = table_of(&one.parent);
        let bare = |name: &str| match one.key.0.as_str() {
            "constraint" => name.strip_suffix(&format!(" on {table}")).unwrap_or(name).to_owned(),
            _ => name.rsplit_once('.').map_or(name, |(_, name)| name).to_owned(),
        };
        let statement = match one.key.0.as_str() {
            "constraint" => format!("ALTER TABLE {table} RENAME CONSTRAINT {} TO {}", bare(&old.1), bare(&one.key.1)),
            _ => format!("ALTER INDEX {} RENAME TO {}", old.1, bare(&one.key.1)),
        };
        self.script.put(Section::Names, statement);
    }

    /// The section of what is made.
    fn section(&self, key: &Key) -> Section {
        match key.0.as_str() {
            "schema" | "extension" => Section::Schemas,
            "function" | "procedure" => Section::Functions,
            "constraint" if self.sides.wanted.rules.get(key).is_some_and(|rule| rule.kind == "f") => {
                Section::ForeignKeys
            }
            "constraint" => Section::Constraints,
            "index" | "statistics" => Section::Indexes,
            "view" => Section::Views,
            "trigger" | "rule" => Section::Triggers,
            "policy" => Section::Policies,
            "grant" | "membership" | "default privileges" | "publication" => Section::Grants,
            _ => Section::Properties,
        }
    }

    /// What is revoked from a table is revoked from its columns too.
    fn column_grants_again(&mut self, grant: &str) {
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

    /// Foreign keys that stay as they are, but lean on a key that is taken away or are about a column whose type changes.
    fn foreign_keys_again(&mut self) {
        let keys = self.sides.there.rules.iter().filter(|(key, rule)| {
            let retyped = |table: &str, columns: &[String]| {
                columns.iter().any(|column| self.retyped.contains(&format!("{table}.{column}")))
            };
            rule.kind == "f"
                && key.0 == "constraint"
                && self.sides.wanted.facts.objects.contains_key(*key)
                && (self.dropped.iter().any(|(_, name)| *name == rule.leans)
                    || retyped(&rule.table, &rule.columns)
                    || retyped(&rule.referenced, &rule.referenced_columns))
        });
        let keys: Vec<Key> = keys.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let definition =
                |facts: &BTreeMap<Key, Object>| facts.get(&key).and_then(|one| one.properties.get("")).cloned();
            let (old, new) =
                (definition(&self.sides.there.facts.objects), definition(&self.sides.wanted.facts.objects));
            if let (Some(old), Some(new)) = (old, new) {
                self.script.put(Section::ForeignKeysAway, old.undo);
                self.script.put(Section::ForeignKeys, new.mend);
            }
        }
    }

    /// A column's type cannot change while a policy mentions it, and any policy may.
    fn policies_again(&mut self) {
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

    fn is_new_type(&self, parent: &str) -> bool {
        let is_type = ["enum ", "domain ", "composite type ", "range "].iter().any(|kind| parent.starts_with(kind));
        is_type && self.sides.there.facts.named(parent).is_none()
    }

    fn kept_leans_on(&self, key: &Key) -> bool {
        let more = |table: &String| !self.sides.wanted.has_table(table);
        self.sides.there.rules.values().any(|rule| rule.kind == "f" && rule.leans == key.1 && more(&rule.table))
    }

    /// Nobody can call a trigger function by itself; once its triggers are gone it is of no use.
    fn is_idle_trigger_function(&self, one: &Difference) -> bool {
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

    fn has_other_signature(&self, key: &Key) -> bool {
        self.changes.iter().any(|one| one.key == *key && SIGNATURE.contains(&one.property.as_str()))
    }

    /// Leaves it to a person.
    pub(super) fn undecided(&mut self, one: &Difference, why: &str) {
        let object = readable(&format!("{} {}", one.key.0, one.key.1));
        let what = match one.case {
            Case::Missing if one.property.is_empty() => format!("{object} is missing"),
            Case::Extra if one.property.is_empty() => format!("{object} is not from the migrations"),
            _ if one.property.is_empty() => format!("{object} is otherwise"),
            _ => format!("{} of {object}", one.property),
        };
        let statement = self.sql(&one.mend.join(";\n"));
        let why = match (one.case, statement.is_empty()) {
            (Case::Changed, true) => format!("{why}; {}", contrast(one, "expected", "found")),
            _ => why.to_owned(),
        };
        self.script.decide(what, why, statement);
    }
}

impl Difference {
    /// The definition that the migrations give; `expected` is shortened for people.
    fn expected_value(&self, writer: &Writer<'_>) -> String {
        writer.sides.wanted.value(&self.key.0, &self.key.1, "").to_owned()
    }
}

/// `table public.t` as `public.t`.
pub(super) fn table_of(parent: &str) -> &str {
    parent.strip_prefix("table ").unwrap_or(parent)
}
