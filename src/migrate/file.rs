//! Migration files: their names, versions and checksums, as refinery reads them, and what refinery would overlook.

use crate::contract::project::Project;
use crate::migrate::sql::{self, Script};
use crate::model::failure::Failure;
use crate::model::source::{Place, SourceFile};
use refinery::Migration;

/// One migration file.
#[derive(Debug, Clone)]
pub struct MigrationFile {
    source: SourceFile,
    migration: Migration,
}

impl MigrationFile {
    /// Reads name and version of a file whose name has the form `V<number>__<name>.sql`.
    ///
    /// # Errors
    /// The name has another form, or the version is no 32-bit number: of kind usage.
    fn parse(source: &SourceFile) -> Result<Self, Failure> {
        let name = file_name(&source.path);
        let stem = stem(name).map_err(|why| {
            Failure::usage(format!("{} is no migration's name", source.path))
                .note(why)
                .help("name it V<number>__<what_it_does>.sql, such as V008__add_titles.sql; letters, digits and _ only")
        })?;
        let migration = Migration::unapplied(stem, &source.text).map_err(|error| {
            Failure::usage(format!("{} is no migration's name", source.path))
                .note(error.to_string())
                .help("versions are whole numbers up to 2147483647")
        })?;
        Ok(Self { source: source.clone(), migration })
    }

    /// The file.
    pub fn source(&self) -> &SourceFile {
        &self.source
    }

    /// The file's name without its folder.
    pub fn file_name(&self) -> &str {
        file_name(&self.source.path)
    }

    /// The version.
    pub fn version(&self) -> i32 {
        self.migration.version()
    }

    /// The name after the version.
    pub fn name(&self) -> &str {
        self.migration.name()
    }

    /// The file as refinery sees it.
    pub(crate) fn migration(&self) -> &Migration {
        &self.migration
    }

    /// Whether `checksum` is this file's, however its line ends and its byte order mark are written: a checkout with
    /// CRLF is the same migration.
    pub(crate) fn has_checksum(&self, checksum: u64) -> bool {
        if self.migration.checksum() == checksum {
            return true;
        }
        let lines = self.source.text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let variants = [lines.replace('\n', "\r\n"), lines.clone()];
        variants.iter().flat_map(|text| [text.clone(), format!("\u{feff}{text}")]).any(|text| {
            stem(self.file_name())
                .ok()
                .and_then(|stem| Migration::unapplied(stem, &text).ok())
                .is_some_and(|variant| variant.checksum() == checksum)
        })
    }

    /// The file's statements.
    pub fn script(&self) -> Script {
        sql::parse(&self.source)
    }
}

/// The project's migrations in the order of their versions, and by file name where several have one version.
///
/// # Errors
/// A file that is no migration: of kind usage.
pub(crate) fn read(project: &Project) -> Result<Vec<MigrationFile>, Failure> {
    let mut files = Vec::new();
    for source in project.migrations.iter().filter(|source| !is_other(file_name(&source.path))) {
        files.push(MigrationFile::parse(source)?);
    }
    files.sort_by(|one, other| (one.version(), one.file_name()).cmp(&(other.version(), other.file_name())));
    Ok(files)
}

/// The project's migrations in the order of their versions.
///
/// # Errors
/// A file that is no migration, two files of one version: of kind usage.
pub fn load(project: &Project) -> Result<Vec<MigrationFile>, Failure> {
    let files = read(project)?;
    for pair in files.windows(2) {
        if let [first, second] = pair
            && first.version() == second.version()
        {
            return Err(Failure::usage(format!(
                "two migrations have version {}: {} and {}",
                first.version(),
                first.source.path,
                second.source.path
            ))
            .note("one of them would never be applied")
            .help("give the one that is applied nowhere yet the next free version: chartchek-db new --renumber"));
        }
    }
    Ok(files)
}

/// The place of a whole file: its first line.
pub(crate) fn top(source: &SourceFile, label: &str) -> Place {
    let end = source.text.find('\n').unwrap_or(source.text.len());
    Place { file: source.clone(), span: 0..end, label: label.to_owned() }
}

/// What may lie beside migrations without being meant as one.
fn is_other(name: &str) -> bool {
    name.starts_with('.') || name.to_ascii_lowercase().ends_with(".md")
}

fn file_name(path: &str) -> &str {
    let path = path.rsplit(['/', '\\']).next().unwrap_or(path);
    path.strip_prefix("embedded:").unwrap_or(path)
}

/// The name without `.sql`, or why it is no migration's name.
fn stem(name: &str) -> Result<&str, String> {
    let Some(stem) = name.strip_suffix(".sql") else {
        return Err("it does not end in .sql (in lower case)".to_owned());
    };
    let Some(rest) = stem.strip_prefix('V') else {
        return Err(match stem.chars().next() {
            Some('U') => "undo files (U…) are not supported: write a new version that undoes".to_owned(),
            Some('v') => "the v is in lower case".to_owned(),
            _ => "it does not begin with V".to_owned(),
        });
    };
    let Some((version, what)) = rest.split_once("__") else {
        return Err("there is no __ between version and name".to_owned());
    };
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("the version \"{version}\" is no whole number"));
    }
    if version.parse::<i32>().is_err() {
        return Err(format!("the version {version} is larger than 2147483647, what the history's int4 column holds"));
    }
    if what.is_empty() {
        return Err("there is no name after __".to_owned());
    }
    if let Some(wrong) = what.chars().find(|c| !(c.is_alphanumeric() || *c == '_')) {
        return Err(format!("the name holds {wrong:?}"));
    }
    Ok(stem)
}
