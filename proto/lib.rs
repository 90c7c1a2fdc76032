//! The contracts between the parts of Rolecall, as generated from `rolecall/*/v1/*.proto`.
//!
//! The `.proto` files are the documentation. A generated type goes no further than a conversion module: inwards of it,
//! `domain` is spoken.

pub mod anywhere;

macro_rules! package {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub mod $name {
            /// Version 1.
            #[allow(
                clippy::pedantic,
                missing_docs,
                rustdoc::all,
                unreachable_pub,
                reason = "generated; the .proto file is the documentation"
            )]
            pub mod v1 {
                include!(concat!(env!("OUT_DIR"), "/rolecall.", stringify!($name), ".v1.rs"));
            }
        }
    };
}

package!(
    /// What operators do.
    admin
);
package!(
    /// What the contracts share.
    common
);
package!(
    /// Users, groups, access and the feed: what identity-store answers.
    identity
);
package!(
    /// What operators see of the push.
    push
);
package!(
    /// What a person may do: what role-resolver answers.
    roles
);

/// The descriptors of all contracts, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rolecall.bin"));
