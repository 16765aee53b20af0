//! Which project: a minimal stand-in until the full one is merged.

use crate::model::failure::Failure;
use crate::model::source::SourceFile;
use std::path::{Path, PathBuf};

/// The files of one project, as read.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder; `None` for the copies in the binary.
    pub root: Option<PathBuf>,
    /// Every visible file of `migrations/`, whatever its name, sorted by name.
    pub migrations: Vec<SourceFile>,
}

impl Project {
    /// For the header line: which project.
    pub fn describe(&self) -> String {
        format!("project {}", self.root.as_deref().unwrap_or(Path::new("embedded")).display())
    }

    /// A fingerprint of the migrations.
    pub fn fingerprint(&self) -> String {
        String::new()
    }
}

/// The project that `dir` names.
///
/// # Errors
/// The folder can't be read, or a file is not UTF-8.
pub fn find(dir: Option<&Path>, _embedded: bool) -> Result<Project, Failure> {
    let root = dir.unwrap_or(Path::new("."));
    let folder = root.join("migrations");
    let wrong = |error: std::io::Error| Failure::usage("cannot read the migrations").note(error.to_string());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(wrong)? {
        paths.push(entry.map_err(wrong)?.path());
    }
    paths.sort();
    let mut migrations = Vec::new();
    for path in paths {
        migrations.push(SourceFile::new(path.display().to_string(), std::fs::read_to_string(&path).map_err(wrong)?));
    }
    Ok(Project { root: Some(root.to_owned()), migrations })
}
