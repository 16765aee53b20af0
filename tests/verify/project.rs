//! Copies of the project to spoil, and runs of the binary on them.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A copy of the project's files in a folder of its own.
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// As it is.
    pub(crate) fn copy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["migrations", "policies"] {
            let to = folder.path().join(part);
            fs::create_dir(&to).unwrap();
            for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(part)).unwrap() {
                let entry = entry.unwrap();
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        Self { folder }
    }

    /// With SQL added to the last migration.
    pub(crate) fn with(sql: &str) -> Self {
        let project = Self::copy();
        let last = project.path("migrations/V007__policies.sql");
        let text = fs::read_to_string(&last).unwrap();
        fs::write(last, format!("{text}\n{sql}\n")).unwrap();
        project
    }

    /// Another project: its one migration, and a contract with the usual actors and these tables.
    pub(crate) fn foreign(sql: &str, tables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["migrations", "policies"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let project = Self { folder };
        // The grants are the schema's own.
        let defaults =
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon, authenticated, service_role;
             ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM anon, authenticated, service_role;";
        let service = "GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role;";
        fs::write(project.path("migrations/V001__schema.sql"), format!("{defaults}\n{sql}\n{service}\n")).unwrap();
        let actors = "version = 1\n[api]\nschemas = [\"public\"]\npre_request = \"none\"\n\
                      [actors.anon]\nrole = \"anon\"\n[actors.user]\nrole = \"authenticated\"\n\
                      [actors.service]\nrole = \"service_role\"\nbypasses_rls = true\n";
        fs::write(project.path("policies/access.toml"), format!("{actors}{tables}")).unwrap();
        project
    }

    /// A file of it.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Runs `chartchek-db` on it, with nothing of the environment that could choose a database.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = binary();
        command.args(args).arg("--project").arg(self.folder.path());
        command.output().unwrap()
    }

    /// Runs `verify-rls --format json` on a scratch database; the exit code and the report.
    pub(crate) fn verify(&self, args: &[&str]) -> (i32, Value) {
        let mut all = vec!["verify-rls", "--format", "json"];
        all.extend(args);
        report(&self.run(&all))
    }
}

/// The binary, with an environment that names no database.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chartchek-db"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG") && name != "PGBIN") {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("RUST_LOG");
    command
}

/// The exit code and the JSON report of a run.
pub(crate) fn report(output: &Output) -> (i32, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("no report ({error}): {text}\n{}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code().unwrap(), report)
}

/// A count of the report's summary.
pub(crate) fn count(report: &Value, name: &str) -> u64 {
    report["summary"][name].as_u64().unwrap()
}

/// The verdict of one attempt.
pub(crate) fn verdict<'a>(report: &'a Value, id: &str) -> &'a str {
    let attempts = report["attempts"].as_array().unwrap();
    let attempt = attempts.iter().find(|attempt| attempt["id"] == id);
    attempt.unwrap_or_else(|| panic!("no attempt {id}"))["verdict"].as_str().unwrap()
}
