//! What can go wrong with a database, in the few kinds a caller can act on.

use std::error::Error as StdError;

/// A failed database operation. Its source is the driver's own error, for the log and never for a caller.
#[derive(Debug, thiserror::Error)]
#[error("the database {}", match .kind { ErrorKind::Unavailable => "can't be reached or is overloaded", ErrorKind::Unknown => "did not confirm a commit", ErrorKind::Defect => "refused a statement" })]
pub struct Error {
    kind: ErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing was written; the same call may work later.
    Unavailable,
    /// The connection broke during a commit: it may have been written, or not.
    Unknown,
    /// The statement or its answer was not as the code expects; trying again won't help.
    Defect,
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the server, the file system or the network said when the database could not be opened, for the operator who
    /// starts a part: such as that there is no database of that name. Of an error of the server's it is the message
    /// alone, which holds nothing of any row; and of any later error it must not be shown, since that may quote values.
    #[must_use]
    pub fn of_opening(&self) -> String {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&*self.source);
        let mut said = Vec::new();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<tokio_postgres::error::DbError>() {
                return error.message().to_owned();
            }
            said.push(error.to_string());
            cause = error.source();
        }
        said.join(": ")
    }

    pub(crate) fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: ErrorKind::Unavailable, source: source.into() }
    }

    pub(crate) fn defect(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: ErrorKind::Defect, source: source.into() }
    }

    /// The same error, met while a commit was under way.
    pub(crate) fn in_commit(self) -> Self {
        match self.kind {
            ErrorKind::Unavailable => Self { kind: ErrorKind::Unknown, ..self },
            ErrorKind::Unknown | ErrorKind::Defect => self,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(
                Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::DiskFull
                | Code::SystemIoFailure
                | Code::CannotOpen
                | Code::OutOfMemory
                | Code::ReadOnly
                | Code::OperationInterrupted,
            ) => Self::unavailable(error),
            _ => Self::defect(error),
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        // Class 08 connection, 40 rollback, 53 resources, 55 locks, 57 operator intervention (shutdown, timeouts).
        let defect = error.code().is_some_and(|code| !["08", "40", "53", "55", "57"].contains(&&code.code()[..2]));
        if defect { Self::defect(error) } else { Self::unavailable(error) }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            other => Self::unavailable(other),
        }
    }
}
