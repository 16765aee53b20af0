//! Names and versions of files to be: the next migration, and equal versions that two branches took.

use crate::contract::project::Project;
use crate::migrate::file::{self, MigrationFile};
use crate::model::failure::Failure;
use std::path::PathBuf;

/// The longest name that a migration is given; with folder and version it fits every file system and the history.
const LONGEST: usize = 100;

/// A file that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Where: `migrations/V<next>__<name>.sql` under the project's folder.
    pub path: PathBuf,
    /// Its text: a comment.
    pub text: String,
}

/// A file that is to be renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// The version that it shares.
    pub version: i32,
    /// The file that keeps the version.
    pub kept: String,
    /// The file, as it is.
    pub from: PathBuf,
    /// Its new path; nothing is there.
    pub to: PathBuf,
}

/// Where the next migration goes: `migrations/V<next>__<name>.sql`, in lower case with `_` for spaces and hyphens.
///
/// # Errors
/// Usage: a name that does not become one of a to z, 0 to 9 and `_`; an embedded project; two files of one version; no
/// version left.
pub fn next_file(project: &Project, name: &str) -> Result<PathBuf, Failure> {
    let files = file::load(project)?;
    path(project, &files, after(files.last())?, &normalise(name)?)
}

/// The next migration, with a comment to begin with.
///
/// # Errors
/// As [`next_file`].
pub fn new_file(project: &Project, name: &str) -> Result<NewFile, Failure> {
    let text = format!(
        "-- {}: say here what for.\n--\n-- Runs once, in one transaction; never edited once it is applied anywhere.\n",
        normalise(name)?.replace('_', " ")
    );
    Ok(NewFile { path: next_file(project, name)?, text })
}

/// How files of equal versions get versions of their own: of each version the first by name keeps it, the others go
/// behind the newest, in order.
///
/// # Errors
/// Usage: no two files have one version; a file that is no migration; an embedded project; no version left.
pub fn renumber(project: &Project) -> Result<Vec<Renaming>, Failure> {
    let files = file::read(project)?;
    let mut next = after(files.last())?;
    let mut renamings = Vec::new();
    let mut kept: Option<&MigrationFile> = None;
    for file in &files {
        let Some(first) = kept.filter(|first| first.version() == file.version()) else {
            kept = Some(file);
            continue;
        };
        renamings.push(Renaming {
            version: file.version(),
            kept: first.source().path.clone(),
            from: PathBuf::from(&file.source().path),
            to: path(project, &files, next, file.name())?,
        });
        next = next.checked_add(1).ok_or_else(used_up)?;
    }
    if renamings.is_empty() {
        return Err(Failure::usage("no two migrations have the same version: there is nothing to renumber")
            .note("nothing was renamed")
            .help("what a database's history says is not looked at here: `chartchek-db repair` shows that"));
    }
    Ok(renamings)
}

/// The version behind the newest file's.
fn after(newest: Option<&MigrationFile>) -> Result<i32, Failure> {
    newest.map_or(Some(1), |file| file.version().checked_add(1)).ok_or_else(used_up)
}

fn used_up() -> Failure {
    Failure::usage("there is no next version: the newest is the largest there can be")
}

/// Where the file of that version and name stands, shown as the project's own files are: without `./`. The version has as
/// many digits as the newest file's, and three at least, so that a listing shows the files in their order.
fn path(project: &Project, files: &[MigrationFile], version: i32, name: &str) -> Result<PathBuf, Failure> {
    let root = project.root.as_ref().ok_or_else(|| {
        Failure::usage("the copies in the binary can't be written to")
            .help("name the project's folder with --project DIR")
    })?;
    let root = root.strip_prefix(".").unwrap_or(root);
    let digits =
        files.last().and_then(|file| file.file_name().find("__")).map_or(3, |end| end.saturating_sub(1).max(3));
    Ok(root.join("migrations").join(format!("V{version:0digits$}__{name}.sql")))
}

fn normalise(name: &str) -> Result<String, Failure> {
    let refused = |why: String| {
        Failure::usage(format!("{name:?} is no name for a migration"))
            .note(why)
            .help("say what it does, such as add_titles; the version and .sql are added to it")
    };
    let mut normal = String::new();
    for c in name.trim().chars() {
        match c {
            'a'..='z' | '0'..='9' => normal.push(c),
            'A'..='Z' => normal.push(c.to_ascii_lowercase()),
            // One between words: two would read as the end of the version.
            ' ' | '-' | '_' => {
                if !normal.ends_with('_') {
                    normal.push('_');
                }
            }
            _ => return Err(refused(format!("it holds {c:?}; letters a to z, digits and _ only"))),
        }
    }
    let normal = normal.trim_matches('_');
    if normal.is_empty() {
        return Err(refused("there is no letter or digit in it".to_owned()));
    }
    if normal.len() > LONGEST {
        return Err(refused(format!("it is longer than {LONGEST} characters")));
    }
    Ok(normal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_or_refused() {
        for (typed, normal) in [
            ("add_titles", "add_titles"),
            ("Add titles", "add_titles"),
            ("  add--Titles_ - 2 ", "add_titles_2"),
            ("2fa", "2fa"),
            ("__x__", "x"),
        ] {
            assert_eq!(normalise(typed).unwrap(), normal);
        }
        for typed in ["", " ", "_-_", "größe", "a/b", "../x", "a.sql", "a\nb", "a\"b", &"x".repeat(101)] {
            assert!(normalise(typed).is_err(), "{typed:?}");
        }
    }
}
