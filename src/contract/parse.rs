//! Reads `policies/access.toml`. What is unknown is an error, never ignored: a promise that nobody reads protects nobody.

mod actors;
mod tables;

use crate::contract::reader::{Reader, entries, get, kind};
use crate::contract::{owner, shape};
use crate::model::access::{Accept, AcceptKind, Contract, Exempt};
use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The version of the contract's format that is read here.
pub const VERSION: &str = "1";

/// The contract that `file` holds, complete: what `extends` adds to an actor's role and claims is merged in.
///
/// Names without a schema are in the first schema of `[api]`. What needs no database is checked here, also between the
/// parts (ownership, claims that fit several actors); `contract::validate` holds the rest against a catalogue.
///
/// Errors, of kind usage: the first of the file with its place, what is allowed instead, and the others as notes.
pub fn parse(file: &SourceFile) -> Result<Contract, Failure> {
    let document = DeTable::parse(&file.text).map_err(|error| syntax(file, &error))?;
    let document = document.get_ref();
    let mut reader = Reader::new(file);
    // Of another version's file nothing else can be said.
    version(&reader, document)?;
    reader.check_keys("the contract", document, &["version", "api", "actors", "tables", "accept", "exempt"]);
    let (schemas, pre_request) = api(&mut reader, document);
    let actors = actors::read(&mut reader, document);
    let names: Vec<&str> = actors.iter().map(|actor| actor.name.as_str()).collect();
    let tables = tables::read(&mut reader, document, &schemas, &actors, &names);
    let accepts = accepts(&mut reader, document);
    let exempts = exempts(&mut reader, document, &schemas);
    let contract = Contract { schemas, pre_request, actors, tables, accepts, exempts };
    if reader.is_clean() {
        for failure in shape::check(&contract) {
            reader.report(failure);
        }
    }
    reader.finish()?;
    Ok(contract)
}

/// What the TOML parser says, as a failure.
fn syntax(file: &SourceFile, error: &toml::de::Error) -> Failure {
    let message = error.message().lines().next().unwrap_or_default();
    let what = if message == "duplicate key" { "a key stands twice" } else { "the contract is no valid TOML" };
    let failure = Failure::usage(what);
    match error.span() {
        Some(span) => failure.at(Place { file: file.clone(), span, label: message.to_owned() }),
        None => failure.note(format!("{}: {message}", file.path)),
    }
}

/// `version = 1`.
fn version(reader: &Reader<'_>, document: &DeTable<'_>) -> Result<(), Failure> {
    let help = format!("this program reads version {VERSION}: version = {VERSION}");
    let failure = match get(document, "version") {
        None => reader.failure(0..0, "the contract does not say its version", ""),
        Some(entry) => match entry.value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 && number.as_str() == VERSION => return Ok(()),
            DeValue::Integer(number) => {
                reader.failure(entry.value.span(), format!("unknown version {}", number.as_str()), "of another program")
            }
            other => reader.failure(entry.value.span(), "version must be an integer", format!("found {}", kind(other))),
        },
    };
    Err(failure.help(help))
}

/// `[api]`: the schemas, and the function before each request.
fn api(reader: &mut Reader<'_>, document: &DeTable<'_>) -> (Vec<String>, Option<String>) {
    const HELP: &str = "name the schemas that the API exposes: [api] with schemas = [\"public\"]";
    let Some(entry) = get(document, "api") else {
        let failure = reader.failure(0..0, "the contract has no [api]", "").help(HELP);
        reader.report(failure);
        return (Vec::new(), None);
    };
    let Some(table) = reader.table(entry, "api") else { return (Vec::new(), None) };
    reader.check_keys("[api]", table, &["schemas", "pre_request"]);
    let pre_request = get(table, "pre_request")
        .and_then(|entry| reader.string(entry.value, "pre_request"))
        .map(|(name, _)| name)
        .filter(|name| name != "none");
    let span = match get(table, "schemas") {
        None => entry.key_span(),
        Some(schemas) => match reader.strings(schemas.value, "schemas") {
            Some(names) if names.is_empty() => schemas.value.span(),
            Some(names) => return (names.into_iter().map(|(name, _)| name).collect(), pre_request),
            None => return (Vec::new(), pre_request),
        },
    };
    let failure = reader.failure(span, "[api] names no schema", "").help(HELP);
    reader.report(failure);
    (Vec::new(), pre_request)
}

/// The tables of an array `[[name]]`, each with the place of its `[[name]]` or brace.
fn sections<'t, 'i>(reader: &mut Reader<'_>, document: &'t DeTable<'i>, name: &str) -> Vec<(&'t DeTable<'i>, Place)> {
    let Some(entry) = get(document, name) else { return Vec::new() };
    let wrong = |reader: &mut Reader<'_>, span, value: &DeValue<'_>| {
        let failure = reader
            .failure(span, format!("{name} must be an array of tables"), format!("found {}", kind(value)))
            .help(format!("write [[{name}]], in double brackets, before each"));
        reader.report(failure);
    };
    let DeValue::Array(items) = entry.value.get_ref() else {
        wrong(reader, entry.key_span(), entry.value.get_ref());
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items.iter() {
        match item.get_ref() {
            DeValue::Table(table) => found.push((table, reader.place(item.span(), ""))),
            other => wrong(reader, item.span(), other),
        }
    }
    found
}

/// A text that the section must have.
fn required(reader: &mut Reader<'_>, section: (&DeTable<'_>, &Place), what: &str, key: &str) -> Option<String> {
    match get(section.0, key) {
        Some(entry) => reader.string(entry.value, key).map(|(text, _)| text),
        None => {
            let failure =
                reader.failure(section.1.span.clone(), format!("{what} has no {key}"), format!("add {key} = \"…\""));
            reader.report(failure);
            None
        }
    }
}

/// `[[accept]]`.
fn accepts(reader: &mut Reader<'_>, document: &DeTable<'_>) -> Vec<Accept> {
    let mut accepts: Vec<Accept> = Vec::new();
    for (table, place) in sections(reader, document, "accept") {
        reader.check_keys("[[accept]]", table, &["probe", "lint", "where", "reason", "expires"]);
        let section = (table, &place);
        let kind = if get(table, "lint").is_some() { AcceptKind::Lint } else { AcceptKind::Probe };
        if let (AcceptKind::Lint, Some(probe)) = (kind, get(table, "probe")) {
            let failure = reader.failure(probe.key_span(), "[[accept]] names both a probe and a lint", "one too many");
            reader.report(failure.help("write two entries: each matches exactly one finding"));
        }
        let check = required(reader, section, "[[accept]]", kind.word());
        let object = required(reader, section, "[[accept]]", "where");
        let reason = required(reader, section, "[[accept]]", "reason");
        let expires = get(table, "expires").map(|entry| reader.date(entry.value, "expires"));
        let (Some(check), Some(object), Some(reason)) = (check, object, reason) else { continue };
        if accepts.iter().any(|earlier| (earlier.kind, &earlier.check, &earlier.object) == (kind, &check, &object)) {
            let what = format!("{check} at {object} is accepted twice");
            let failure = Failure::usage(what).at(place).help("keep one of the two: each matches exactly one finding");
            reader.report(failure);
            continue;
        }
        accepts.push(Accept { kind, check, object, reason, expires: expires.flatten(), place });
    }
    accepts
}

/// `[[exempt]]`.
fn exempts(reader: &mut Reader<'_>, document: &DeTable<'_>, schemas: &[String]) -> Vec<Exempt> {
    let mut exempts: Vec<Exempt> = Vec::new();
    for (table, place) in sections(reader, document, "exempt") {
        reader.check_keys("[[exempt]]", table, &["table", "reason"]);
        let section = (table, &place);
        let name = required(reader, section, "[[exempt]]", "table");
        let reason = required(reader, section, "[[exempt]]", "reason");
        let (Some(name), Some(reason)) = (name, reason) else { continue };
        let name = owner::table_name(&name, schemas);
        let place = get(table, "table").map_or(place, |entry| reader.place(entry.value.span(), ""));
        if exempts.iter().any(|earlier| earlier.table == name) {
            let failure =
                Failure::usage(format!("table `{name}` is exempted twice")).at(place).help("keep one of the two");
            reader.report(failure);
            continue;
        }
        exempts.push(Exempt { table: name, reason, place });
    }
    exempts
}

/// The sections `[name.…]` in the file's order, or none.
fn named<'t, 'i>(
    reader: &mut Reader<'_>,
    document: &'t DeTable<'i>,
    name: &str,
) -> Vec<(&'t str, Place, &'t DeTable<'i>)> {
    let Some(entry) = get(document, name) else { return Vec::new() };
    let Some(table) = reader.table(entry, name) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries(table) {
        if let Some(fields) = reader.table(entry, &format!("{name}.{}", entry.key())) {
            found.push((entry.key(), reader.place(entry.key_span(), ""), fields));
        }
    }
    found
}

/// A claim's value as JSON, or what JSON has not.
fn json(value: &Spanned<DeValue<'_>>) -> Result<serde_json::Value, (std::ops::Range<usize>, &'static str)> {
    Ok(match value.get_ref() {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Boolean(boolean) => (*boolean).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| (value.span(), "an integer that does not fit in 64 bits"))?
            .into(),
        DeValue::Float(number) => {
            let number: f64 = number.as_str().parse().unwrap_or(f64::NAN);
            serde_json::Number::from_f64(number).ok_or((value.span(), "a number that JSON can't hold"))?.into()
        }
        DeValue::Datetime(_) => return Err((value.span(), "JSON has no dates: write it as a string")),
        DeValue::Array(items) => serde_json::Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let mut object = serde_json::Map::new();
            for entry in entries(table) {
                object.insert(entry.key().to_owned(), json(entry.value)?);
            }
            serde_json::Value::Object(object)
        }
    })
}
