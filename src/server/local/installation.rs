//! Finds the PostgreSQL that is installed on this machine.

use crate::model::failure::{Failure, FailureKind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The majors that the tool knows.
const OLDEST: u32 = 15;
const NEWEST: u32 = 18;
/// Names the folder of `initdb` and `postgres`, and wins.
const VARIABLE: &str = "PGBIN";
/// Where Debian, Red Hat's PGDG, Homebrew (Apple silicon and Intel) and Postgres.app put theirs: folder, then what
/// stands between the version's folder and its programs.
const PLACES: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// One PostgreSQL on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder of `initdb`, `postgres` and `pg_ctl`.
    pub bin: PathBuf,
    /// `15.18`, as the server says it.
    pub version: String,
    /// The first number of it.
    pub major: u32,
}

impl Installation {
    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Reads the version of the installation in `bin`; `None` where there is no server.
    fn read(bin: &Path) -> Option<Self> {
        if !bin.join("initdb").is_file() || !bin.join("pg_ctl").is_file() {
            return None;
        }
        // A link on PATH leads to the folder where its neighbours are.
        let program = std::fs::canonicalize(bin.join("postgres")).ok()?;
        let bin = match program.parent() {
            Some(real) if real.join("initdb").is_file() && real.join("pg_ctl").is_file() => real.to_owned(),
            _ => bin.to_owned(),
        };
        let output = Command::new(&program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let version = text.split_whitespace().nth(2)?.to_owned();
        let major = version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()?;
        Some(Self { bin, version, major })
    }
}

/// The newest PostgreSQL of 15 to 18 on this machine, or the one that PGBIN names.
///
/// # Errors
/// Usage: PGBIN names no installation that can be used.
pub fn find() -> Result<Option<Installation>, Failure> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let bin = PathBuf::from(named);
        let found = Installation::read(&bin).ok_or_else(|| {
            Failure::usage(format!("{VARIABLE} is {}, where there is no PostgreSQL server", bin.display()))
                .help(format!("name the folder that holds initdb, postgres and pg_ctl, or unset {VARIABLE}"))
        })?;
        if !(OLDEST..=NEWEST).contains(&found.major) {
            return Err(Failure::usage(format!("{VARIABLE} names a PostgreSQL {}", found.version))
                .note(format!("versions {OLDEST} to {NEWEST} are known")));
        }
        return Ok(Some(found));
    }
    let mut known: Vec<Installation> = Vec::new();
    for installation in folders().iter().filter_map(|bin| Installation::read(bin)) {
        if (OLDEST..=NEWEST).contains(&installation.major) {
            known.push(installation);
        } else {
            tracing::info!("PostgreSQL {} in {} is passed over", installation.version, installation.bin.display());
        }
    }
    Ok(known.into_iter().max_by_key(|found| (found.major, minor(&found.version))))
}

/// As [`find`], where there must be one.
///
/// # Errors
/// Connection: there is none; the help says what to install.
pub fn find_or_fail() -> Result<Installation, Failure> {
    find()?.ok_or_else(|| {
        Failure::new(FailureKind::Connection, format!("no PostgreSQL {OLDEST} to {NEWEST} was found on this machine"))
            .note("looked on PATH, and where Debian, Red Hat, Homebrew and Postgres.app put it")
            .help(
                "install it: `apt-get install postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora), \
                 `brew install postgresql@17` (macOS)",
            )
            .help(format!("or name the folder of its programs in {VARIABLE}"))
    })
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

/// Every folder where programs of PostgreSQL may be, each once.
fn folders() -> BTreeSet<PathBuf> {
    let mut folders: BTreeSet<PathBuf> =
        std::env::var_os("PATH").iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute()).collect();
    for (place, below) in PLACES {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.trim_start_matches("postgresql@").trim_start_matches("pgsql-");
            if version == "postgresql" || version.starts_with(|first: char| first.is_ascii_digit()) {
                folders.insert(entry.path().join(below));
            }
        }
    }
    folders
}
