//! Where clusters are kept, and the locks that keep processes out of each other's way.

use crate::model::failure::{Failure, FailureKind};
use crate::server::local::account::Account;
use etcetera::BaseStrategy;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Names another cache folder.
const CACHE_VARIABLE: &str = "CHARTCHEK_DB_CACHE";

/// The cache folder: the one that CHARTCHEK_DB_CACHE names, else the user's own; as root one that the account that runs
/// the server can reach, which root's own is not. It is made where it is missing.
///
/// # Errors
/// Usage: it can't be made, or there is no home folder.
pub fn cache_folder(account: &Account) -> Result<PathBuf, Failure> {
    let folder = match std::env::var_os(CACHE_VARIABLE).filter(|value| !value.is_empty()) {
        Some(named) => std::path::absolute(&named).map_err(|error| unusable(Path::new(&named), &error))?,
        None if account.is_root() => PathBuf::from("/var/cache/chartchek-db"),
        None => etcetera::choose_base_strategy()
            .map_err(|_| {
                Failure::usage("there is no home folder, so no cache folder")
                    .help(format!("name a folder in {CACHE_VARIABLE}"))
            })?
            .cache_dir()
            .join("chartchek-db"),
    };
    fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
    if account.is_root() {
        // Passed through by the server's account, written by root; what is inside is private to its owner.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(|error| unusable(&folder, &error))?;
    }
    Ok(folder)
}

fn unusable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("the cache folder {} can't be used", folder.display()))
        .note(error.to_string())
        .help(format!("name another one in {CACHE_VARIABLE}"))
}

/// A lock on a file; given back when dropped, and by the system when the process dies.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl FileLock {
    fn open(path: &Path) -> Result<File, Failure> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| failed(path, &error))
    }

    /// Waits until no one else holds it; blocks the thread.
    ///
    /// # Errors
    /// The file can't be opened or locked.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, Failure> {
        let file = Self::open(path)?;
        file.lock().map_err(|error| failed(path, &error))?;
        Ok(Self(file))
    }

    /// Held beside others who hold it so; blocks the thread while someone holds it alone.
    ///
    /// # Errors
    /// The file can't be opened or locked.
    pub(crate) fn shared(path: &Path) -> Result<Self, Failure> {
        let file = Self::open(path)?;
        file.lock_shared().map_err(|error| failed(path, &error))?;
        Ok(Self(file))
    }

    /// Alone, if no one holds it now.
    ///
    /// # Errors
    /// The file can't be opened.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>, Failure> {
        let file = Self::open(path)?;
        Ok(file.try_lock().is_ok().then_some(Self(file)))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file does it too.
        let _unlocked = self.0.unlock();
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Lock, format!("the lock {} was not had", path.display())).note(error.to_string())
}
