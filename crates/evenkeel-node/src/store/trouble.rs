//! What can go wrong with the database, in the few kinds that matter here.

use std::io;

/// Why something was not read or written.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What was read is not what was written.
    Corrupt(String),
    /// The same, and the database is of no use until it is opened again.
    Broken(String),
    /// The file or its disk did not do what it was told to.
    Io(io::Error),
    /// The database has failed before, or is closed: nothing is known of what was asked for.
    Unavailable(String),
    /// Somebody else has the file open.
    InUse,
}

impl Trouble {
    pub(super) fn corrupt(why: impl Into<String>) -> Trouble {
        Trouble::Corrupt(why.into())
    }

    /// Runs what uses the database, which may panic on a file that is damaged.
    pub(super) fn guard<T>(what: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)) {
            Ok(result) => result,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it gave no reason");
                // An earlier panic has left a lock behind that nobody can take: that says nothing of what is read now.
                match text.contains("PoisonError") {
                    true => Err(Trouble::Unavailable("the database broke off earlier".to_owned())),
                    false => Err(Trouble::Broken(format!("the database broke off: {text}"))),
                }
            }
        }
    }

    /// Whether it tells of the bytes that were asked for, and not only of the moment.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Trouble::Corrupt(_) | Trouble::Broken(_) => true,
            // The disk's own word: a sector that cannot be read.
            Trouble::Io(error) => error.raw_os_error().is_some(),
            Trouble::Unavailable(_) | Trouble::InUse => false,
        }
    }

    /// Whether what was read is not what had been written, whatever the disk says of itself.
    pub(super) fn is_rot(&self) -> bool {
        matches!(self, Trouble::Corrupt(_) | Trouble::Broken(_))
    }

    /// Whether the database must be opened again before it is of use.
    pub(super) fn needs_reopening(&self) -> bool {
        !matches!(self, Trouble::Corrupt(_) | Trouble::InUse)
    }

    /// For whoever waits for the write: one of them for each.
    pub(super) fn to_io(&self) -> io::Error {
        let kind = match self {
            Trouble::Io(error) => error.kind(),
            Trouble::Corrupt(_) | Trouble::Broken(_) => io::ErrorKind::InvalidData,
            Trouble::Unavailable(_) | Trouble::InUse => io::ErrorKind::Other,
        };
        io::Error::new(kind, self.to_string())
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Corrupt(why) | Trouble::Broken(why) | Trouble::Unavailable(why) => f.write_str(why),
            Trouble::Io(error) => error.fmt(f),
            Trouble::InUse => f.write_str("it is in use"),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        match error.kind() {
            // The file is shorter than it says, or no database.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Trouble::Broken(error.to_string()),
            _ => Trouble::Io(error),
        }
    }
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Trouble {
        use redb::Error;
        match error {
            Error::Corrupted(why) => Trouble::Corrupt(why),
            Error::Io(error) => error.into(),
            Error::ValueTooLarge(_) => Trouble::Io(io::Error::new(io::ErrorKind::InvalidInput, error.to_string())),
            Error::DatabaseAlreadyOpen => Trouble::InUse,
            Error::PreviousIo
            | Error::DatabaseClosed
            | Error::LockPoisoned(_)
            | Error::TransactionPoisoned
            | Error::Backend(_) => Trouble::Unavailable(error.to_string()),
            // Tables that are not there, or not of the types that they were made with.
            error => Trouble::Corrupt(error.to_string()),
        }
    }
}

/// Each operation of the database has an error type of its own; all are one here.
macro_rules! from_redb {
    ($($error:ident)*) => {$(
        impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Trouble {
                redb::Error::from(error).into()
            }
        }
    )*};
}
from_redb!(CommitError DatabaseError StorageError TableError TransactionError);
