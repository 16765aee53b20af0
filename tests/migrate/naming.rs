//! `new`: files that no other file stands in the way of.

use crate::server::{Database, Project, Ran, ran, without_database};

fn new(project: &Project, arguments: &[&str]) -> Ran {
    ran(without_database("new", project, arguments).output().unwrap())
}

#[test]
fn the_next_file_has_the_next_version_and_a_normal_name() {
    let project = Project::new(&[]);
    new(&project, &["Add Titles"]).succeeded(&["written: ", "migrations/V001__add_titles.sql", "next: "]);
    project.write("V9__x.sql", "select 1");
    new(&project, &["add-more"]).succeeded(&["V010__add_more.sql"]);
    assert_eq!(project.files(), ["V001__add_titles.sql", "V010__add_more.sql", "V9__x.sql"]);
    assert!(project.read("V001__add_titles.sql").starts_with("-- add titles"));
    project.write("V1000__x.sql", "select 1");
    new(&project, &["wide"]).succeeded(&["V1001__wide.sql"]);
    project.write("V02000__x.sql", "select 1");
    new(&project, &["as wide"]).succeeded(&["V02001__as_wide.sql"]);

    // What was written is a migration once it has a statement, and not before.
    let database = Database::plain();
    let project = Project::new(&[]);
    new(&project, &["a"]).succeeded(&[]);
    database.migrate(&project, &[]).failed(2, &["V001__a.sql holds no statement"]);
    project.write("V001__a.sql", &(project.read("V001__a.sql") + "create table a (i int);\n"));
    database.migrate(&project, &[]).succeeded(&["V001__a.sql", "1 applied"]);
}

#[test]
fn names_that_no_migration_has_are_refused() {
    let project = Project::new(&[("V1__a.sql", "select 1")]);
    for name in ["", "größe", "a/b", "../a", "a.sql", "V2__b.sql"] {
        new(&project, &[name]).failed(2, &["is no name for a migration", "add_titles"]);
    }
    project.write("V2147483647__z.sql", "select 1");
    new(&project, &["b"]).failed(2, &["no next version"]);
    new(&project, &[]).failed(2, &["NAME"]);
    assert_eq!(project.files(), ["V1__a.sql", "V2147483647__z.sql"]);
    let mut embedded = std::process::Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    ran(embedded.args(["new", "x", "--embedded"]).output().unwrap()).failed(2, &["can't be written to"]);
}

#[test]
fn equal_versions_get_versions_of_their_own() {
    let project = Project::new(&[
        ("V001__a.sql", "select 1"),
        ("V002__c.sql", "select 'c'"),
        ("V002__b.sql", "select 'b'"),
        ("V02__d.sql", "select 'd'"),
        ("V003__e.sql", "select 1"),
    ]);
    new(&project, &["x"]).failed(2, &["two migrations have version 2", "new --renumber"]);
    new(&project, &["x", "--renumber"]).failed(2, &["cannot be used with"]);
    new(&project, &["--renumber"]).succeeded(&[
        "V002__c.sql -> ",
        "V004__c.sql",
        "V02__d.sql -> ",
        "V005__d.sql",
        "V002__b.sql keeps version 2",
    ]);
    assert_eq!(project.files(), ["V001__a.sql", "V002__b.sql", "V003__e.sql", "V004__c.sql", "V005__d.sql"]);
    assert_eq!(project.read("V004__c.sql") + &project.read("V005__d.sql"), "select 'c'select 'd'");
    new(&project, &["--renumber"]).failed(2, &["nothing to renumber", "chartchek-db repair"]);
    assert_eq!(project.files().len(), 5);
}
