//! Which project is found, and what is said where none can be.

use chartchek_db::contract::project;
use std::fs;
use std::path::Path;

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_embedded_copy_is_the_folders() {
    let folder = project::find(Some(Path::new(env!("CARGO_MANIFEST_DIR"))), false).unwrap();
    let embedded = project::find(None, true).unwrap();
    assert_eq!(folder.fingerprint(), embedded.fingerprint());
    assert_eq!(folder.contract.text, embedded.contract.text);
    assert_eq!(folder.policies.len(), embedded.policies.len());
    assert_eq!(folder.seed.map(|seed| seed.text), embedded.seed.clone().map(|seed| seed.text));
    assert!(!embedded.migrations.is_empty());
    assert_eq!(embedded.migrations[0].path, "embedded:migrations/V001__schemas.sql");
    assert!(embedded.describe().contains("embedded"), "{}", embedded.describe());
    // Tests run in the project's folder: the nearest folder upward is this one.
    let here = project::find(None, false).unwrap();
    assert_eq!(here.migrations[0].path, "migrations/V001__schemas.sql");
    assert_eq!(here.fingerprint(), embedded.fingerprint());
}

#[test]
fn every_visible_file_of_migrations_is_read_and_counts() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "policies/access.toml", b"version = 1");
    write(root.path(), "policies/notes.md", b"no policy");
    let find = || project::find(Some(root.path()), false).unwrap();
    assert_eq!(find().migrations.len(), 0);
    for (name, text) in [("V2__b.sql", "b"), ("V1__a.sql", "a\n"), ("odd name", "c"), (".gitkeep", "")] {
        write(root.path(), &format!("migrations/{name}"), text.as_bytes());
    }
    let project = find();
    let names: Vec<&str> = project.migrations.iter().map(|file| file.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["V1__a.sql", "V2__b.sql", "odd name"]);
    assert_eq!((project.policies.len(), &project.seed), (0, &None));
    write(root.path(), "migrations/V1__a.sql", b"a\r\n");
    assert_ne!(find().fingerprint(), project.fingerprint(), "exact: a line ending counts");
}

#[test]
fn what_can_not_be_read_says_which_file_and_where() {
    let root = tempfile::tempdir().unwrap();
    let fails = |dir: &Path| project::find(Some(dir), false).unwrap_err();
    assert!(fails(&root.path().join("none")).what().ends_with("it does not exist"));
    assert!(fails(root.path()).what().ends_with("the folder holds no policies/access.toml"));
    write(root.path(), "policies/access.toml", b"version = 1");
    assert!(fails(&root.path().join("policies/access.toml")).what().ends_with("it is no folder"));
    let inside = fails(&root.path().join("policies"));
    assert_eq!(inside.helps(), ["name the folder above: the project's, not policies/"]);

    write(root.path(), "migrations/V1__a.sql", b"-- \xc3\xa4\n-- \xe4\n");
    let failure = fails(root.path());
    assert!(failure.what().ends_with("V1__a.sql is not UTF-8: byte 9 is 0xe4"), "{}", failure.what());
    assert!(failure.place().unwrap().location().ends_with("V1__a.sql:2:4"));
    fs::remove_file(root.path().join("migrations/V1__a.sql")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.path().join("migrations/V2__b.sql")).unwrap();
    assert!(fails(root.path()).what().starts_with("cannot read "));
}
