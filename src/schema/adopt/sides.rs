//! Both sides of an adoption, and which of their differences may stay: what holds data is never touched, everything that
//! decides who reaches it has to be what the migrations make.

use crate::db::session::Session;
use crate::migrate::HISTORY_SCHEMA;
use crate::model::failure::Failure;
use crate::schema::difference::{self, Case, Comparison, Difference};
use crate::schema::facts::{COMMON, Facts, Key, Object};
use std::collections::BTreeMap;

const RULES: &str = include_str!("rules.sql");
/// What may hold data, or is the type of what does.
const DATA: &[&str] =
    &["table", "foreign table", "column", "sequence", "enum", "domain", "range", "composite type", "type"];

/// A constraint, index or trigger by the columns that it is about; a table by its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its table.
    pub(super) table: String,
    /// As in `pg_constraint.contype`; `u` or `i` for an index.
    pub(super) kind: String,
    /// The columns or expressions of the key, in order, quoted.
    pub(super) columns: Vec<String>,
    /// Every column that is mentioned.
    involved: Vec<String>,
    /// The table that a foreign key refers to.
    pub(super) referenced: String,
    /// The columns there.
    pub(super) referenced_columns: Vec<String>,
    /// A CHECK's expression, an index's predicate; may be empty.
    pub(super) expression: String,
    /// The key that a foreign key refers to, a trigger's function.
    pub(super) leans: String,
    /// UNIQUE NULLS NOT DISTINCT.
    pub(super) nulls_are_equal: bool,
}

/// One side.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// The catalogue.
    pub(super) facts: Facts,
    /// What the facts say in definitions, by columns.
    pub(super) rules: BTreeMap<Key, Rule>,
    /// What creates an object, in the words of `policies/`: those that a reviewer knows.
    pub(super) texts: BTreeMap<Key, String>,
}

impl Side {
    /// Reads the rules; in the transaction in which the facts were read.
    pub(super) async fn read(session: &Session, facts: Facts) -> Result<Self, Failure> {
        let rows = session
            .text_rows(&format!("{COMMON}\n{RULES}"))
            .await
            .map_err(|error| error.into_failure("the catalogue was not read"))?;
        let mut rules = BTreeMap::new();
        for row in rows {
            let mut cells = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || cells.next().unwrap_or_default();
            let lines = |text: String| text.lines().map(str::to_owned).collect();
            let key = (next(), next());
            let rule = Rule {
                table: next(),
                kind: next(),
                columns: lines(next()),
                involved: lines(next()),
                referenced: next(),
                referenced_columns: lines(next()),
                expression: next(),
                leans: next(),
                nulls_are_equal: next() == "true",
            };
            rules.insert(key, rule);
        }
        Ok(Self { facts, rules, texts: BTreeMap::new() })
    }

    /// The object of that kind and name.
    pub(super) fn object(&self, kind: &str, name: &str) -> Option<&Object> {
        self.facts.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    /// The value of a property; empty where there is none.
    pub(super) fn value(&self, kind: &str, name: &str, property: &str) -> &str {
        let property = self.object(kind, name).and_then(|object| object.properties.get(property));
        property.map(|property| property.value.as_str()).unwrap_or_default()
    }

    /// Whether there is a table of that name.
    pub(super) fn has_table(&self, table: &str) -> bool {
        self.object("table", table).is_some()
    }
}

/// What may become of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Something more than the migrations make, which stays.
    Keep,
    /// A part of something more, whose own fate says it all; or the platform's.
    Silent,
    /// It has to go.
    Change,
}

/// What the migrations make, and what there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    /// What the migrations make.
    pub(super) wanted: &'a Side,
    /// What there is.
    pub(super) there: &'a Side,
    /// The servers are of different majors.
    pub(super) loose: bool,
}

impl Sides<'_> {
    /// Every difference with its fate, parts of missing and extra objects too. The history is left out: it is written with
    /// the adoption itself.
    pub(super) fn differences(&self) -> Vec<(Difference, Fate)> {
        let how = Comparison { loose: self.loose, parts: true };
        let all = difference::compare(&self.wanted.facts, &self.there.facts, how);
        let ours = all.into_iter().filter(|one| !one.key.1.contains(HISTORY_SCHEMA));
        ours.map(|one| (self.fate(&one), one)).map(|(fate, one)| (one, fate)).collect()
    }

    fn fate(&self, one: &Difference) -> Fate {
        let kind = one.key.0.as_str();
        if one.case != Case::Extra || !one.property.is_empty() {
            return Fate::Change;
        }
        if kind == "extension" {
            return Fate::Silent;
        }
        match self.extra_owner(one).as_deref() {
            // Rights on a column that nobody promised anything about, in a table that is ours.
            Some("column") => Fate::Change,
            Some(owner) if DATA.contains(&owner) => Fate::Keep,
            Some(_) => Fate::Silent,
            None if DATA.contains(&kind) || kind == "statistics" || self.is_about_more(&one.key) => Fate::Keep,
            None => Fate::Change,
        }
    }

    /// The kind of the outermost object that the difference belongs to and that the migrations do not make.
    fn extra_owner(&self, one: &Difference) -> Option<String> {
        let mut extra = None;
        let mut parent = one.parent.as_str();
        while let Some((key, object)) = self.there.facts.named(parent) {
            if !self.wanted.facts.objects.contains_key(key) {
                extra = Some(key.0.clone());
            }
            parent = &object.parent;
        }
        extra
    }

    /// Whether a constraint, index or trigger is about columns that the migrations do not make; and an index that is not
    /// unique, which changes nothing but speed.
    fn is_about_more(&self, key: &Key) -> bool {
        let Some(rule) = self.there.rules.get(key) else { return false };
        let is_more = |column: &String| self.wanted.object("column", &format!("{}.{column}", rule.table)).is_none();
        match key.0.as_str() {
            "trigger" => !rule.involved.is_empty() && rule.involved.iter().all(is_more),
            "index" if rule.kind == "i" => true,
            _ => rule.involved.iter().any(is_more),
        }
    }
}
