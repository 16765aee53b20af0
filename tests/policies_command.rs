//! policies check and policies write: a planted disagreement is found, and what is written makes it go.

#[path = "policies_command/check.rs"]
mod check;
#[path = "support/cluster.rs"]
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod cluster;
#[path = "verify/project.rs"]
#[expect(dead_code, reason = "shared with the tests of verify-rls")]
mod project;
#[path = "policies_command/write.rs"]
mod write;

use chartchek_db::contract::{parse, project as files};
use chartchek_db::model::access::Contract;
use chartchek_db::model::finding::Finding;
use chartchek_db::schema::policies;
use chartchek_db::server::{EngineChoice, Regime, Scratch};
use chartchek_db::{migrate, server as engines};
use project::{Project, report};
use serde_json::Value;
use std::fs;

impl Project {
    /// A file's text.
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    /// Replaces the first `from` in a file, which must be there.
    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} does not hold {from}");
        fs::write(self.path(file), text.replacen(from, to, 1)).unwrap();
    }

    /// Adds to the end of a file.
    fn append(&self, file: &str, sql: &str) {
        let text = if self.path(file).exists() { self.read(file) } else { String::new() };
        fs::write(self.path(file), format!("{text}{sql}\n")).unwrap();
    }

    /// `policies check`: the exit code and the findings.
    fn check(&self, engine: &str) -> (i32, Vec<Value>) {
        let (code, report) = report(&self.run(&["policies", "check", "--engine", engine, "--format", "json"]));
        assert_eq!(report["command"], "policies check");
        (code, report["findings"].as_array().unwrap().clone())
    }

    /// `policies write`: the exit code, standard output and standard error.
    fn write(&self, args: &[&str]) -> (i32, String, String) {
        let output = self.run(&[&["policies", "write"], args].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// How many migrations there are.
    fn migrations(&self) -> usize {
        fs::read_dir(self.path("migrations")).unwrap().count()
    }
}

/// The files as they are now.
fn load(project: &Project) -> (files::Project, Contract) {
    let project = files::find(Some(&project.path("")), false).unwrap();
    let contract = parse::parse(&project.contract).unwrap();
    (project, contract)
}

/// A database of the project's own migrations, and then of `sql`, as if a migration more had it.
async fn scratch(engine: EngineChoice, sql: &str) -> Scratch {
    let (project, _) = load(&Project::copy());
    let key = project.fingerprint();
    let scratch =
        engines::scratch(engine, Regime::Explicit, &key, async |session| migrate::apply_all(session, &project).await);
    let scratch = scratch.await.unwrap();
    let session = scratch.connect().await.unwrap();
    session.batch(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    session.close().await;
    scratch
}

/// What `policies check` finds on `scratch`.
async fn findings(scratch: &Scratch, project: &Project) -> Vec<Finding> {
    let session = scratch.connect().await.unwrap();
    let (files, contract) = load(project);
    let found = policies::check(&session, &files, &contract).await.unwrap();
    session.close().await;
    found
}
