//! Which project: the folder that holds `policies/access.toml`, or the copies of ChartChek's own files in the binary.

use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// Where the contract stands in a project.
pub const CONTRACT: &str = "policies/access.toml";
/// Where the development data stand in a project.
pub const SEED: &str = "fixtures/development.sql";

/// The text of an example of a lint or probe: `bad.sql`, `good.sql`, `hole.sql`, `closed.sql`.
pub fn example(name: &str, file: &str) -> Option<&'static str> {
    embedded::EXAMPLES.iter().find(|example| (example.0, example.1) == (name, file)).map(|example| example.2)
}

/// The files of one project, as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The folder; `None` for the copies in the binary.
    pub root: Option<PathBuf>,
    /// Every visible file of `migrations/`, whatever its name, sorted by name; empty where there is no such folder.
    pub migrations: Vec<SourceFile>,
    /// `policies/access.toml`.
    pub contract: SourceFile,
    /// `fixtures/development.sql`, where there is one.
    pub seed: Option<SourceFile>,
    /// Every `policies/*.sql`, sorted by name.
    pub policies: Vec<SourceFile>,
}

impl Project {
    /// For the header line: which project, how many migrations, and the hashes of migrations and contract.
    pub fn describe(&self) -> String {
        let which = match &self.root {
            None => "embedded copy of ChartChek".to_owned(),
            Some(root) => root.display().to_string(),
        };
        let count = self.migrations.len();
        let mut contract = Sha256::new();
        contract.update(self.contract.text.as_bytes());
        format!(
            "project {which}: {count} migration{} (sha256 {:.12}), contract {} (sha256 {:.12})",
            if count == 1 { "" } else { "s" },
            self.fingerprint(),
            self.contract.path,
            hex(contract),
        )
    }

    /// The SHA-256, in hex, of the migrations' names and texts, byte for byte; the same for a folder and its embedded
    /// copy.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.migrations {
            let name = file.path.rsplit(['/', '\\']).next().unwrap_or(&file.path);
            // Lengths first: no two lists of files give the same bytes.
            for part in [name, &*file.text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        hex(hash)
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The project that `dir` names; without it the nearest folder upward from the working directory that holds
/// `policies/access.toml`; where there is neither, or with `embedded`, the copies in the binary.
///
/// Errors, all of kind usage: `dir` is no folder or holds no contract, a file can't be read or is not UTF-8.
pub fn find(dir: Option<&Path>, embedded: bool) -> Result<Project, Failure> {
    if embedded {
        return Ok(carried());
    }
    if let Some(dir) = dir {
        return named(dir);
    }
    let start = env::current_dir().map_err(|error| {
        Failure::usage("cannot read the working directory")
            .note(error.to_string())
            .help("name the project's folder with --project DIR")
    })?;
    match upward(&start) {
        Some(root) => read(&root),
        None => Ok(carried()),
    }
}

/// The way from `start` to the nearest folder upward that holds a contract: empty, `..`, `../..`, …
fn upward(start: &Path) -> Option<PathBuf> {
    let levels = start.ancestors().position(|folder| folder.join(CONTRACT).is_file())?;
    Some(std::iter::repeat_n("..", levels).collect())
}

/// The copies that the binary carries; shown as `embedded:…`.
fn carried() -> Project {
    let file = |(path, text): &(&str, &str)| SourceFile::new(format!("embedded:{path}"), *text);
    Project {
        root: None,
        migrations: embedded::MIGRATIONS.iter().map(file).collect(),
        contract: file(&embedded::CONTRACT),
        seed: embedded::SEED.as_ref().map(file),
        policies: embedded::POLICIES.iter().map(file).collect(),
    }
}

/// The project in the folder that the user named.
fn named(dir: &Path) -> Result<Project, Failure> {
    if !dir.is_dir() {
        let why = if dir.exists() { "it is no folder" } else { "it does not exist" };
        return Err(Failure::usage(format!("--project {}: {why}", dir.display()))
            .help(format!("name the folder that holds {CONTRACT}")));
    }
    if !dir.join(CONTRACT).is_file() {
        let failure = Failure::usage(format!("--project {}: the folder holds no {CONTRACT}", dir.display()));
        return Err(if dir.join("access.toml").is_file() {
            failure.help("name the folder above: the project's, not policies/")
        } else {
            failure.help("name the folder that holds it, or leave --project out to look upward from here")
        });
    }
    let here = env::current_dir().ok();
    let relative = here.as_deref().and_then(|here| dir.strip_prefix(here).ok());
    read(relative.unwrap_or(dir))
}

/// Reads the project in `root`, which holds a contract.
fn read(root: &Path) -> Result<Project, Failure> {
    let seed = root.join(SEED);
    let mut policies = read_folder(root, "policies")?;
    policies.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    Ok(Project {
        root: Some(if root.as_os_str().is_empty() { PathBuf::from(".") } else { root.to_owned() }),
        migrations: read_folder(root, "migrations")?.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?,
        contract: read_file(&root.join(CONTRACT))?,
        seed: if seed.exists() { Some(read_file(&seed)?) } else { None },
        policies: policies.iter().map(|path| read_file(path)).collect::<Result<_, _>>()?,
    })
}

/// The files of a folder, sorted by name; none where it does not exist. Files that begin with a dot are not the
/// project's (.gitkeep, .DS_Store, an editor's).
fn read_folder(root: &Path, name: &str) -> Result<Vec<PathBuf>, Failure> {
    let folder = root.join(name);
    let unreadable = |error: io::Error| {
        Failure::usage(format!("cannot read the folder {}", folder.display())).note(error.to_string())
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Failure::usage(format!("the name of the file {} is not UTF-8", path.display()))
                .help("rename it: migrations are recorded by name"));
        };
        // A link that leads nowhere is kept, so that reading it says so.
        let skipped = name.starts_with('.') || fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
        if !skipped {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// One file as text.
fn read_file(path: &Path) -> Result<SourceFile, Failure> {
    let shown = path.display().to_string();
    let bytes =
        fs::read(path).map_err(|error| Failure::usage(format!("cannot read {shown}")).note(error.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile::new(shown, text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            // What can be read of the file, so that the caret stands where the text ends.
            let file = SourceFile::new(shown, String::from_utf8_lossy(error.as_bytes()));
            Err(Failure::usage(format!("{} is not UTF-8: byte {at} is 0x{byte:02x}", file.path))
                .at(Place { file, span: at..at + '\u{fffd}'.len_utf8(), label: "not UTF-8".to_owned() })
                .help("save the file as UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_upward_is_the_project() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(upward(&deep), None, "no folder above a temporary one holds a contract");
        for (folder, expected) in [("", "../../.."), ("a/b", ".."), ("a/b/c", "")] {
            fs::create_dir_all(root.path().join(folder).join("policies")).unwrap();
            fs::write(root.path().join(folder).join(CONTRACT), "version = 1").unwrap();
            assert_eq!(upward(&deep), Some(PathBuf::from(expected)));
        }
        assert_eq!(upward(root.path()), Some(PathBuf::new()));
    }
}
