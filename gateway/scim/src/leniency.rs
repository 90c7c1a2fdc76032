//! Every way in which requests may depart from the RFCs and still be understood: one table, one switch.
//!
//! Identity providers send what they send. Each departure that is accepted has a name here, and the code that accepts
//! it asks `Mode::allows` by that name; so the list below is the whole list.

/// How strictly requests are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every leniency of the table is granted.
    #[default]
    Lenient,
    /// None is.
    Strict,
}

impl Mode {
    /// Whether a departure from the RFCs is accepted.
    #[must_use]
    pub const fn allows(self, _leniency: Leniency) -> bool {
        matches!(self, Self::Lenient)
    }
}

macro_rules! table {
    ($($(#[doc = $what:literal])* $name:ident: $who:literal,)*) => {
        /// One accepted departure from the RFCs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Leniency { $($(#[doc = $what])* $name,)* }

        impl Leniency {
            /// All of them, each with what is accepted, and a provider that needs it.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$((Self::$name, concat!($($what),*), $who),)*];
        }
    };
}

table! {
    /// `"True"`, `"false"` and the like for a boolean, in bodies, PATCH values and filters.
    TextForBoolean: "Entra without its flag, Keycloak",
    /// A number where text belongs, text of digits where a number belongs.
    NumberForText: "Okta's sample user",
    /// A single value where a list belongs.
    SingleForList: "OneLogin",
    /// A list of one where a single value belongs.
    ListForSingle: "Entra, for `manager`",
    /// Bare text where a complex value with `value` belongs.
    TextForComplex: "Entra, for `manager`; Microsoft's Postman collection, for `members`",
    /// `displayName` where a sub-attribute is called `display`.
    DisplayNameForDisplay: "Entra's app roles",
    /// A role whose `value` is a JSON object in a text.
    JsonInRole: "Entra's app roles",
    /// Two or more values marked `primary` in one body; the last stays.
    SeveralPrimaries: "templates written by administrators",
    /// An attribute of an extension named without the extension's URN.
    BareExtensionAttribute: "Entra, for `manager`; roles of a group",
    /// An attribute nobody knows; it is left out.
    UnknownAttribute: "Entra's second example; templates written by administrators",
    /// A read-only attribute in the value of a PATCH without a path; it is left out, as the RFC has it for other
    /// bodies. A path that names one is refused.
    ReadOnlyInPatch: "Okta and authentik, which send back `id` and `schemas`",
    /// `schemas` without the URN that belongs there; the endpoint says what the resource is.
    AnySchemas: "Entra, JumpCloud, OneLogin",
    /// `op` in capitals.
    OpInAnyCase: "Entra without its flag",
    /// A PATCH without operations, which changes nothing.
    EmptyPatch: "Microsoft's validator",
    /// Keys of a PATCH value that are paths: `name.givenName`, `URN:attribute`.
    PathAsKey: "Entra with its flag",
    /// A PATCH path that filters on `type` or `primary` and matches nothing makes the value it describes.
    CreateFromFilter: "Entra",
    /// A PATCH `remove` of a value that is not there, or of a member who is none, which changes nothing.
    RemoveAbsent: "all, which repeat what was not answered",
    /// A PATCH `remove` with a list of values, which takes only those.
    RemoveListed: "Entra, authentik, JumpCloud",
    /// In a filter, text without quotation marks.
    BareText: "Entra's examples, authentik",
    /// In a filter, a sub-attribute after the closing bracket: `emails[type eq "work"].value eq "x"`.
    SubAfterBracket: "Entra",
    /// In a filter, a complex attribute compared as a whole; its `value` is meant.
    ComplexCompared: "Entra, for `manager` and `members`; Ping, for `emails`",
}

#[cfg(test)]
mod tests {
    use super::{Leniency, Mode};

    #[test]
    fn every_leniency_names_who_needs_it_and_strict_grants_none() {
        for (leniency, what, who) in Leniency::TABLE {
            assert!(!what.is_empty() && !who.is_empty());
            assert!(Mode::Lenient.allows(*leniency) && !Mode::Strict.allows(*leniency));
        }
    }
}
