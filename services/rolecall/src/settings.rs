//! A tenant's choices as flags.

use clap::{Args, ValueEnum};
use proto::common::v1 as pb;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub(crate) enum $name { $($(#[$variant_doc])* $variant),* }

        impl From<$name> for i32 {
            fn from(choice: $name) -> Self {
                match choice { $($name::$variant => i32::from($value)),* }
            }
        }
    };
}

choice!(
    /// What a request gets that adds an unrecognised label.
    Guardrail {
        /// It is refused.
        Reject = pb::Guardrail::Reject,
        /// It is accepted; the person is held.
        Hold = pb::Guardrail::Hold,
    }
);
choice!(
    /// What a new active user without labels gets.
    WithoutLabels {
        /// It is accepted and held.
        Hold = pb::WithoutLabels::Hold,
        /// It is refused.
        Reject = pb::WithoutLabels::Reject,
    }
);
choice!(
    /// What becomes of a renamed user's account.
    Rename {
        /// The user is held until an operator chooses.
        Hold = pb::Rename::Hold,
        /// The old account is emptied, a new one made.
        Replace = pb::Rename::Replace,
        /// The rename is refused.
        Refuse = pb::Rename::Refuse,
    }
);
choice!(
    /// What happens to accounts that stood in Fluent before.
    Adoption {
        /// Adopted under an exactly equal name.
        Adopt = pb::Adoption::Adopt,
        /// Parked until an operator decides.
        ParkAll = pb::Adoption::ParkAll,
    }
);
choice!(
    /// What PUT does to what it leaves out.
    Put {
        /// It is cleared.
        Clear = pb::PutOmitted::Clear,
        /// It is kept.
        Keep = pb::PutOmitted::Keep,
    }
);
choice!(
    /// How the roles of one PATCH are meant.
    RolesPatch {
        /// As the operations say.
        AsSent = pb::RolesPatch::AsSent,
        /// As the whole list.
        Overwrite = pb::RolesPatch::Overwrite,
    }
);

choice!(
    /// What the displayName of a group is.
    DisplayNames {
        /// Just a name.
        Names = pb::DisplayNames::Names,
        /// A label of its members, where it is recognised; never for `ACCOUNT`.
        Labels = pb::DisplayNames::Labels,
    }
);
choice!(
    /// How strictly the identity provider's requests are read.
    Protocol {
        /// What real providers send is understood.
        Lenient = pb::Protocol::Lenient,
        /// By the letter of the RFCs: for conformance runs.
        Strict = pb::Protocol::Strict,
    }
);
choice!(
    /// When `/Roles` lists what is on offer for locations.
    RoleLocations {
        /// Under a filter on how a label begins.
        OnFilter = pb::RoleLocations::OnFilter,
        /// Always.
        Listed = pb::RoleLocations::Listed,
    }
);
choice!(
    /// What the tenant is used for.
    Environment {
        /// Real people.
        Production = pb::Environment::Production,
        /// Development: HTTP Basic is accepted where the process allows it too.
        Development = pb::Environment::Development,
    }
);
choice!(
    /// Which rule set is in force where there are two.
    RulesFrom {
        /// The tenant's own, once it has one; else Fluent's.
        Own = pb::RulesFrom::Own,
        /// Fluent's, while it is there; else the tenant's own.
        Fluent = pb::RulesFrom::Fluent,
    }
);
choice!(
    /// What happens to those who are deactivated or deleted in a crowd.
    MassDepartures {
        /// They go like all others, and an alarm is raised.
        Alert = pb::MassDepartures::Alert,
        /// An alarm is raised, and the accounts of those beyond the limit are kept until you release them.
        Hold = pb::MassDepartures::Hold,
    }
);

/// The choices, each optional: what is not named stays as it is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingsArgs {
    /// The account's name in labels, beside `0`.
    #[arg(long)]
    account_name: Option<String>,
    /// What a request gets that adds an unrecognised label.
    #[arg(long)]
    guardrail: Option<Guardrail>,
    /// What a new active user without labels gets.
    #[arg(long)]
    without_labels: Option<WithoutLabels>,
    /// What becomes of a renamed user's account.
    #[arg(long)]
    rename: Option<Rename>,
    /// What happens to accounts that stood in Fluent before.
    #[arg(long)]
    adoption: Option<Adoption>,
    /// What PUT does to what it leaves out.
    #[arg(long)]
    put: Option<Put>,
    /// How the roles of one PATCH are meant.
    #[arg(long)]
    roles_patch: Option<RolesPatch>,
    /// What the displayName of a group is.
    #[arg(long)]
    display_names: Option<DisplayNames>,
    /// How strictly the identity provider's requests are read.
    #[arg(long)]
    protocol: Option<Protocol>,
    /// When the list of labels to pick from holds those of locations, which may be thousands.
    #[arg(long)]
    role_locations: Option<RoleLocations>,
    /// What the tenant is used for.
    #[arg(long)]
    environment: Option<Environment>,
    /// Which rule set is in force where there are two.
    #[arg(long)]
    rules_from: Option<RulesFrom>,
    /// How many of the users, in per cent, a change of catalogue, rules or settings may hit before it waits for you.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    change_limit: Option<u32>,
    /// What happens to those who are deactivated or deleted within ten minutes beyond 500, or beyond a fifth of the users.
    #[arg(long)]
    mass_departures: Option<MassDepartures>,
}

impl SettingsArgs {
    /// `settings` with the named choices made.
    pub(crate) fn apply(self, settings: &mut pb::Settings) {
        let Self {
            account_name,
            guardrail,
            without_labels,
            rename,
            adoption,
            put,
            roles_patch,
            display_names,
            protocol,
            role_locations,
            environment,
            rules_from,
            change_limit,
            mass_departures,
        } = self;
        if let Some(name) = account_name {
            settings.account_name = name;
        }
        let set = |field: &mut i32, choice: Option<i32>| *field = choice.unwrap_or(*field);
        set(&mut settings.guardrail, guardrail.map(Into::into));
        set(&mut settings.without_labels, without_labels.map(Into::into));
        set(&mut settings.rename, rename.map(Into::into));
        set(&mut settings.adoption, adoption.map(Into::into));
        set(&mut settings.put_omitted, put.map(Into::into));
        set(&mut settings.roles_patch, roles_patch.map(Into::into));
        set(&mut settings.display_names, display_names.map(Into::into));
        set(&mut settings.protocol, protocol.map(Into::into));
        set(&mut settings.role_locations, role_locations.map(Into::into));
        set(&mut settings.environment, environment.map(Into::into));
        set(&mut settings.rules_from, rules_from.map(Into::into));
        set(&mut settings.mass_departures, mass_departures.map(Into::into));
        settings.change_limit = change_limit.unwrap_or(settings.change_limit);
    }
}
