//! Rolecall as its users have it: the real program, in either shape, beside a simulated Fluent, on free ports.
//!
//! [`Family::start`] brings a family up; [`Scim`] speaks to it as an IdP does; [`Fluent`] looks at what it made of that.
//! A family's parts can be killed and started again. Everything is gone when the family is dropped.

mod eventually;
mod family;
mod fluent;
mod program;
mod scim;

pub use eventually::eventually;
pub use family::{Dial, Family, Part, Shape};
pub use fluent::{Account, Fluent};
pub use scim::{Answer, Scim};

pub use servers;
