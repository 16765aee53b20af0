//! Every fault fires where it is planted, and none in a contract without.
//!
//! A fault is a file `fixtures/contract/bad/x.toml` (seen without a database) or `misfit/x.toml` (seen against
//! `schema.sql`); `x.snap` beside it is what people read. A new fault is a new file, and nothing else.

use crate::server::Server;
use chartchek_db::contract::{parse, project, validate};
use chartchek_db::model::access::{Contract, Standing, TableName};
use chartchek_db::model::catalog::Catalog;
use chartchek_db::model::failure::{Failure, FailureKind};
use chartchek_db::model::source::SourceFile;
use chartchek_db::report;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/contract");

fn file(name: &str) -> SourceFile {
    let text = fs::read_to_string(format!("{FOLDER}/{name}")).unwrap();
    SourceFile::new(name, text)
}

fn catalog() -> Catalog {
    let server = Server::start();
    server.run(&fs::read_to_string(format!("{FOLDER}/schema.sql")).unwrap());
    server.catalog()
}

fn plain(failure: &Failure) -> String {
    assert_eq!(failure.kind(), FailureKind::Usage);
    anstream::adapter::strip_str(&report::failure::render(failure)).to_string()
}

/// Holds what every file of `folder` gives against the snapshot beside it, and the files against the snapshots.
fn hold(folder: &str, fault: impl Fn(&SourceFile) -> Option<Failure>) {
    let (mut faults, mut snapshots) = (BTreeSet::new(), BTreeSet::new());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("{FOLDER}/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for entry in fs::read_dir(format!("{FOLDER}/{folder}")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => {
                let failure = fault(&file(&format!("{folder}/{name}.toml")));
                let failure = failure.unwrap_or_else(|| panic!("{folder}/{name}.toml: nothing was found wrong"));
                settings.bind(|| insta::assert_snapshot!(name.as_str(), plain(&failure)));
                faults.insert(name);
            }
            Some("snap") => {
                snapshots.insert(name);
            }
            _ => panic!("{} is neither a fault nor its snapshot", path.display()),
        }
    }
    assert!(!faults.is_empty());
    assert_eq!(faults, &faults | &snapshots, "a snapshot without its fault");
}

#[test]
fn every_bad_contract_is_refused() {
    hold("bad", |file| parse::parse(file).err());
}

#[test]
fn every_misfit_is_refused() {
    let catalog = catalog();
    hold("misfit", |file| validate::validate(&parse::parse(file).unwrap(), &catalog).err());
}

#[test]
fn a_contract_without_a_fault_is_silent() {
    let contract = parse::parse(&file("access.toml")).unwrap();
    let mut catalog = catalog();
    validate::validate(&contract, &catalog).unwrap();

    let teams = TableName { schema: "app".to_owned(), name: "teams".to_owned() };
    assert_eq!(validate::uncovered(&contract, &catalog), [teams], "the one table that nothing speaks of");
    let exempted = format!("{}\n[[exempt]]\ntable = \"app.teams\"\nreason = \"public\"\n", file("access.toml").text);
    let contract = parse::parse(&SourceFile::new("access.toml", exempted)).unwrap();
    assert_eq!(validate::uncovered(&contract, &catalog), []);
    assert_eq!(validate::stale_exempts(&contract, &catalog), Vec::<&_>::new());
    catalog.tables.retain(|table| table.table != "teams");
    assert_eq!(validate::stale_exempts(&contract, &catalog).len(), 1);
}

#[test]
fn the_projects_own_contract_is_silent() {
    let project = project::find(None, true).unwrap();
    let contract: Contract = parse::parse(&project.contract).unwrap();
    assert_eq!(contract.tables.len(), 9);
    let names: Vec<&str> = contract.actors.iter().map(|actor| actor.name.as_str()).collect();
    assert_eq!(names, ["anon", "user", "admin", "anonymous", "service"], "in the file's order");
    let admin = contract.actor("admin").unwrap();
    assert_eq!(admin.role, "authenticated");
    assert_eq!(admin.claims["is_anonymous"], false);
    assert_eq!(admin.claims["app_metadata"]["role"], "admin");
    let resources = contract.tables.iter().find(|table| table.table.name == "resources").unwrap();
    assert_eq!(resources.promises["admin"][&Standing::Any].len(), 4);
    assert_eq!(contract.accepts[0].expires.as_deref(), Some("2027-11-22"));
}

proptest! {
    /// Whatever the text: an answer, and one that can be shown.
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        if let Err(failure) = parse::parse(&SourceFile::new("x", text)) {
            plain(&failure);
        }
    }

    /// Contracts with a piece replaced by anything reach further than arbitrary text.
    #[test]
    fn a_mangled_contract_never_panics(
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        piece in prop_oneof![any::<String>(), "[a-z\"'\\[\\]{}=.\n#\\\\ ->]{0,12}"],
    ) {
        let text: Vec<char> = file("access.toml").text.chars().collect();
        let at = at.index(text.len());
        let rest = text.iter().skip(at + length);
        let mangled: String = text[..at].iter().copied().chain(piece.chars()).chain(rest.copied()).collect();
        if let Err(failure) = parse::parse(&SourceFile::new("x", mangled)) {
            plain(&failure);
        }
    }
}
