//! From differences to statements: what is missing is made, what is too much is taken away where no data hangs on it, and
//! the rest is for a person to decide.

use crate::schema::adopt::script::{Script, Section};
use crate::schema::adopt::sides::{Fate, Sides};
use crate::schema::adopt::{columns, names};
use crate::schema::difference::{Case, Difference};
use crate::schema::drift::{contrast, executable, readable};
use crate::schema::facts::Key;
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
        renamed: names::renamed(sides, &changes),
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
    writer.names();
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

/// Makes the statements.
pub(super) struct Writer<'a> {
    pub(super) sides: Sides<'a>,
    pub(super) changes: &'a [&'a Difference],
    /// What is there under another name: the migrations' key, and the one that is there.
    pub(super) renamed: BTreeMap<Key, Key>,
    /// Keys that are taken away: foreign keys may lean on them.
    pub(super) dropped: BTreeSet<Key>,
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
    pub(super) fn definition(&self, key: &Key) -> String {
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
            "constraint" | "index" if self.renamed.contains_key(&one.key) => {}
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

    pub(super) fn put_property(&mut self, section: Section, key: &Key, property: &str) {
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

    /// The section of what is made.
    pub(super) fn section(&self, key: &Key) -> Section {
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

    fn is_new_type(&self, parent: &str) -> bool {
        let is_type = ["enum ", "domain ", "composite type ", "range "].iter().any(|kind| parent.starts_with(kind));
        is_type && self.sides.there.facts.named(parent).is_none()
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
