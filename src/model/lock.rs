//! PostgreSQL's table-level locks: their modes, and what each blocks (manual, section 13.3.1).

/// A mode of a table-level lock, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Reading.
    AccessShare,
    /// SELECT … FOR UPDATE, and the check of a foreign key.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most forms of ALTER TABLE, DROP, TRUNCATE.
    AccessExclusive,
}

/// What others must wait with while a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocks {
    /// Only changes of the table's definition.
    SchemaChanges,
    /// INSERT, UPDATE, DELETE; reading goes on.
    Writes,
    /// Everything, SELECT too.
    ReadsAndWrites,
}

impl LockMode {
    /// All of them, weakest first.
    pub const ALL: &'static [Self] = &[
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// As the manual writes it: `ACCESS EXCLUSIVE`.
    pub fn word(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// From `pg_locks.mode`: `AccessExclusiveLock`.
    pub fn from_server(mode: &str) -> Option<Self> {
        let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase() + "lock";
        Self::ALL.iter().copied().find(|one| plain(one.word()) == mode.to_ascii_lowercase())
    }

    /// What others must wait with.
    pub fn blocks(self) -> Blocks {
        match self {
            Self::AccessShare | Self::RowShare | Self::RowExclusive | Self::ShareUpdateExclusive => {
                Blocks::SchemaChanges
            }
            Self::Share | Self::ShareRowExclusive | Self::Exclusive => Blocks::Writes,
            Self::AccessExclusive => Blocks::ReadsAndWrites,
        }
    }
}

impl Blocks {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::SchemaChanges => "only schema changes",
            Self::Writes => "writes",
            Self::ReadsAndWrites => "reads and writes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_names_are_understood() {
        for mode in LockMode::ALL {
            let words = mode.word().split(' ').map(|word| word[..1].to_owned() + &word[1..].to_ascii_lowercase());
            assert_eq!(LockMode::from_server(&(words.collect::<String>() + "Lock")), Some(*mode));
        }
        assert_eq!(LockMode::from_server("SIReadLock"), None);
    }
}
