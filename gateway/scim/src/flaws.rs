//! What becomes of a request of which a part is wrong.
//!
//! It is refused as a whole, as the RFC has it. Only a request that deactivates a user is read for what can be carried out
//! of it: nobody keeps access for what else a request says.

use crate::error::Error;

/// What becomes of a part that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaws {
    /// The request is refused.
    #[default]
    Refuse,
    /// The part is left out.
    LeaveOut,
}

impl Flaws {
    /// Lets a part that is wrong be left out, or refuses.
    pub(crate) fn pass(self, part: Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::Refuse => part,
            Self::LeaveOut => Ok(()),
        }
    }
}
