//! Rolecall as its users have it: the real program, in either shape, beside a simulated Fluent, on free ports.
//!
//! [`Family::start`] brings a family up; [`Scim`] speaks to it as an IdP does; [`Fluent`] looks at what it made of that.
//! A family's parts can be killed and started again. Everything is gone when the family is dropped.

mod certificates;
mod eventually;
mod family;
mod fluent;
mod program;
mod reflection;
mod scim;

pub use eventually::eventually;
pub use family::{Dial, Family, Part, Shape};
pub use fluent::{Account, Fluent};
pub use reflection::reflected_services;
pub use scim::{Answer, Scim};

pub use servers;

/// Runs the program with these arguments to its end.
pub fn run_program(arguments: &[&str]) -> anyhow::Result<std::process::Output> {
    program::run(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
}
