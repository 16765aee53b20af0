//! Which account runs the server: PostgreSQL refuses root, so as root another one is taken.

use crate::model::failure::{Failure, FailureKind};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The account that owns the cluster's files and runs its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User and group to become, where the tool runs as root.
    switch_to: Option<(u32, u32)>,
    uid: u32,
}

impl Account {
    /// The account of this process; as root `postgres` where the machine has it, else `nobody`.
    ///
    /// # Errors
    /// Usage: root on a machine that has neither.
    pub fn current() -> Result<Self, Failure> {
        // There is no call for it in the standard library: whoever makes a file owns it.
        let uid = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .map_err(|error| {
                Failure::new(FailureKind::Connection, "no temporary file can be made").note(error.to_string())
            })?
            .uid();
        if uid != 0 {
            return Ok(Self { switch_to: None, uid });
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = ["postgres", "nobody"].into_iter().find_map(|name| ids(&accounts, name));
        let (uid, gid) = found.ok_or_else(|| {
            Failure::usage("PostgreSQL does not run as root, and this machine has no account postgres or nobody")
                .help("run as another user, or take --engine embedded")
        })?;
        Ok(Self { switch_to: Some((uid, gid)), uid })
    }

    /// Whether the tool runs as root.
    pub fn is_root(&self) -> bool {
        self.switch_to.is_some()
    }

    /// Its number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// A command that this account will run, from a folder that it can reach.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Variables of the caller's (PGHOST, PGDATA, PGOPTIONS, …) are about another database.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.switch_to {
            // The standard library drops the supplementary groups with it.
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes `folder` where it is missing, for this account's eyes alone (0700).
    ///
    /// # Errors
    /// The system's.
    pub fn private_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        self.own(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
    }

    /// Gives `path` to this account.
    ///
    /// # Errors
    /// The system's.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        match self.switch_to {
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

/// User and group of an account in the text of /etc/passwd.
fn ids(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::ids;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let accounts = "postgresql:x:1:2::/:/bin/sh\npostgres:x:101:104:PostgreSQL:/var:/bin/bash\n";
        assert_eq!(ids(accounts, "postgres"), Some((101, 104)));
        assert_eq!(ids(accounts, "nobody"), None);
    }
}
