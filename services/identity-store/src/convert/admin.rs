//! Settings, rules and tokens.

use std::collections::BTreeSet;

use domain::access_token::Scope;
use domain::clock::Timestamp;
use domain::difference::{Difference, Turn};
use domain::grant::Grant;
use domain::id::UserId;
use domain::revision::Revision;
use domain::rules::Rules;
use domain::settings::{
    Adoption, ChangeLimit, DisplayNames, Environment, Guardrail, MassDepartures, Protocol, PutOmitted, Rename,
    RoleLocations, RolesPatch, RulesFrom, Settings, WithoutLabels,
};
use proto::admin::v1 as admin;
use proto::common::v1 as pb;
use runtime::grpc::in_parts;
use scim::schema::Extension;

use crate::failure::Failure;
use crate::model::{
    Differing, GroundSource, HeldBack, PendingGround, Read, Release, RuleSet, RuleSets, TokenRecord, Touched,
};

/// A choice that this build does not know is refused: it would be forgotten.
pub(crate) fn settings(settings: Option<pb::Settings>) -> Result<Settings, Failure> {
    let pb::Settings {
        account_name,
        guardrail,
        without_labels,
        rename,
        adoption,
        put_omitted,
        roles_patch,
        display_names,
        protocol,
        role_locations,
        environment,
        rules_from,
        change_limit,
        mass_departures,
    } = settings.unwrap_or_default();
    let unknown = |field| move |_| Failure::Invalid { field, expected: "it must be one of the choices".into() };
    Ok(Settings {
        account_name,
        guardrail: match guardrail.try_into().map_err(unknown("settings.guardrail"))? {
            pb::Guardrail::Unspecified | pb::Guardrail::Reject => Guardrail::Reject,
            pb::Guardrail::Hold => Guardrail::Hold,
        },
        without_labels: match without_labels.try_into().map_err(unknown("settings.without_labels"))? {
            pb::WithoutLabels::Unspecified | pb::WithoutLabels::Hold => WithoutLabels::Hold,
            pb::WithoutLabels::Reject => WithoutLabels::Reject,
        },
        rename: match rename.try_into().map_err(unknown("settings.rename"))? {
            pb::Rename::Unspecified | pb::Rename::Hold => Rename::Hold,
            pb::Rename::Replace => Rename::Replace,
            pb::Rename::Refuse => Rename::Refuse,
        },
        adoption: match adoption.try_into().map_err(unknown("settings.adoption"))? {
            pb::Adoption::Unspecified | pb::Adoption::Adopt => Adoption::Adopt,
            pb::Adoption::ParkAll => Adoption::ParkAll,
        },
        put_omitted: match put_omitted.try_into().map_err(unknown("settings.put_omitted"))? {
            pb::PutOmitted::Unspecified | pb::PutOmitted::Clear => PutOmitted::Clear,
            pb::PutOmitted::Keep => PutOmitted::Keep,
        },
        roles_patch: match roles_patch.try_into().map_err(unknown("settings.roles_patch"))? {
            pb::RolesPatch::Unspecified | pb::RolesPatch::AsSent => RolesPatch::AsSent,
            pb::RolesPatch::Overwrite => RolesPatch::Overwrite,
        },
        display_names: match display_names.try_into().map_err(unknown("settings.display_names"))? {
            pb::DisplayNames::Unspecified | pb::DisplayNames::Names => DisplayNames::Names,
            pb::DisplayNames::Labels => DisplayNames::Labels,
        },
        protocol: match protocol.try_into().map_err(unknown("settings.protocol"))? {
            pb::Protocol::Unspecified | pb::Protocol::Lenient => Protocol::Lenient,
            pb::Protocol::Strict => Protocol::Strict,
        },
        role_locations: match role_locations.try_into().map_err(unknown("settings.role_locations"))? {
            pb::RoleLocations::Unspecified | pb::RoleLocations::OnFilter => RoleLocations::OnFilter,
            pb::RoleLocations::Listed => RoleLocations::Listed,
        },
        environment: match environment.try_into().map_err(unknown("settings.environment"))? {
            pb::Environment::Unspecified | pb::Environment::Production => Environment::Production,
            pb::Environment::Development => Environment::Development,
        },
        rules_from: match rules_from.try_into().map_err(unknown("settings.rules_from"))? {
            pb::RulesFrom::Unspecified | pb::RulesFrom::Own => RulesFrom::Own,
            pb::RulesFrom::Fluent => RulesFrom::Fluent,
        },
        change_limit: match change_limit {
            0 => ChangeLimit::default(),
            percent => ChangeLimit::new(percent).ok_or_else(|| Failure::Invalid {
                field: "settings.change_limit",
                expected: "it must be 1 to 100 per cent".into(),
            })?,
        },
        mass_departures: match mass_departures.try_into().map_err(unknown("settings.mass_departures"))? {
            pb::MassDepartures::Unspecified | pb::MassDepartures::Alert => MassDepartures::Alert,
            pb::MassDepartures::Hold => MassDepartures::Hold,
        },
    })
}

pub(crate) fn settings_to_proto(settings: Settings) -> pb::Settings {
    let Settings {
        account_name,
        guardrail,
        without_labels,
        rename,
        adoption,
        put_omitted,
        roles_patch,
        display_names,
        protocol,
        role_locations,
        environment,
        rules_from,
        change_limit,
        mass_departures,
    } = settings;
    let guardrail = match guardrail {
        Guardrail::Reject => pb::Guardrail::Reject,
        Guardrail::Hold => pb::Guardrail::Hold,
    };
    let without_labels = match without_labels {
        WithoutLabels::Hold => pb::WithoutLabels::Hold,
        WithoutLabels::Reject => pb::WithoutLabels::Reject,
    };
    let rename = match rename {
        Rename::Hold => pb::Rename::Hold,
        Rename::Replace => pb::Rename::Replace,
        Rename::Refuse => pb::Rename::Refuse,
    };
    let adoption = match adoption {
        Adoption::Adopt => pb::Adoption::Adopt,
        Adoption::ParkAll => pb::Adoption::ParkAll,
    };
    let put_omitted = match put_omitted {
        PutOmitted::Clear => pb::PutOmitted::Clear,
        PutOmitted::Keep => pb::PutOmitted::Keep,
    };
    let roles_patch = match roles_patch {
        RolesPatch::AsSent => pb::RolesPatch::AsSent,
        RolesPatch::Overwrite => pb::RolesPatch::Overwrite,
    };
    let display_names = match display_names {
        DisplayNames::Names => pb::DisplayNames::Names,
        DisplayNames::Labels => pb::DisplayNames::Labels,
    };
    let protocol = match protocol {
        Protocol::Lenient => pb::Protocol::Lenient,
        Protocol::Strict => pb::Protocol::Strict,
    };
    let role_locations = match role_locations {
        RoleLocations::OnFilter => pb::RoleLocations::OnFilter,
        RoleLocations::Listed => pb::RoleLocations::Listed,
    };
    let environment = match environment {
        Environment::Production => pb::Environment::Production,
        Environment::Development => pb::Environment::Development,
    };
    let mass_departures = match mass_departures {
        MassDepartures::Alert => pb::MassDepartures::Alert,
        MassDepartures::Hold => pb::MassDepartures::Hold,
    };
    pb::Settings {
        account_name,
        guardrail: guardrail.into(),
        without_labels: without_labels.into(),
        rename: rename.into(),
        adoption: adoption.into(),
        put_omitted: put_omitted.into(),
        roles_patch: roles_patch.into(),
        display_names: display_names.into(),
        protocol: protocol.into(),
        role_locations: role_locations.into(),
        environment: environment.into(),
        rules_from: rules_source(rules_from).into(),
        change_limit: change_limit.percent(),
        mass_departures: mass_departures.into(),
    }
}

fn rules_source(from: RulesFrom) -> pb::RulesFrom {
    match from {
        RulesFrom::Own => pb::RulesFrom::Own,
        RulesFrom::Fluent => pb::RulesFrom::Fluent,
    }
}

pub(crate) fn rules(text: &str) -> Result<Rules, Failure> {
    Rules::parse(text).map_err(Failure::RulesMalformed)
}

pub(crate) fn rule_sets(sets: RuleSets) -> admin::GetRulesResponse {
    let RuleSets { own, fluent, in_force, fault } = sets;
    let set = |RuleSet { rules, changed_at }: RuleSet| admin::RuleSet {
        rules: rules.to_json().to_string(),
        changed_at_us: changed_at.0,
    };
    let (fault, since) = fault.map_or((String::new(), 0), |(fault, since)| (fault, since.0));
    admin::GetRulesResponse {
        own: own.map(set),
        fluent: fluent.map(set),
        in_force: in_force.map_or(pb::RulesFrom::Unspecified, rules_source).into(),
        fault,
        fault_since_us: since,
    }
}

pub(crate) fn pending_ground(pending: PendingGround) -> admin::PendingGround {
    let PendingGround { id, source, since, touched } = pending;
    let source = match source {
        GroundSource::Read => admin::GroundSource::Read,
        GroundSource::Rules => admin::GroundSource::Rules,
        GroundSource::Settings => admin::GroundSource::Settings,
    };
    let names = match touched {
        Touched::Everything => Vec::new(),
        Touched::Names { roles, retailers, locations, accounts } => [roles, retailers, locations, accounts].concat(),
    };
    admin::PendingGround { id, source: source.into(), since_us: since.0, names }
}

/// Some of those for whom something differs, in as many messages as it takes.
pub(crate) fn differences(read: Read<Vec<Differing>>) -> Vec<admin::PreviewGroundResponse> {
    let Read { value, position } = read;
    let position = super::position(position);
    let page = |users| admin::PreviewGroundResponse { users, position: Some(position.clone()) };
    in_parts(value.into_iter().map(user_difference)).into_iter().map(page).collect()
}

fn user_difference(differing: Differing) -> admin::UserDifference {
    let Differing { id, user_name, difference: Difference { gained, lost, turn } } = differing;
    let turn = match turn {
        None => admin::Turn::Unspecified,
        Some(Turn::Held) => admin::Turn::Held,
        Some(Turn::Freed) => admin::Turn::Freed,
    };
    let grants = |grants: BTreeSet<Grant>| grants.iter().map(super::grant).collect();
    admin::UserDifference {
        user_id: id.to_string(),
        user_name,
        gained: grants(gained),
        lost: grants(lost),
        turn: turn.into(),
    }
}

/// After whom a list goes on.
pub(crate) fn after_user(id: &str) -> Result<Option<UserId>, Failure> {
    let expected = || Failure::Invalid { field: "after_id", expected: "it must be a user's id".into() };
    if id.is_empty() { Ok(None) } else { id.parse().map(Some).map_err(|_| expected()) }
}

pub(crate) fn held_back(read: Read<(Vec<HeldBack>, u64)>) -> admin::ListHeldBackResponse {
    let Read { value: (users, total), position } = read;
    let user = |HeldBack { id, user_name, deleted, since }: HeldBack| admin::HeldBack {
        user_id: id.to_string(),
        user_name,
        deleted,
        since_us: since.0,
    };
    let position = Some(super::position(position));
    admin::ListHeldBackResponse { users: users.into_iter().map(user).collect(), total, position }
}

pub(crate) fn release(request: admin::ReleaseHeldBackRequest) -> Result<(String, Release), Failure> {
    use admin::release_held_back_request::Which;
    let admin::ReleaseHeldBackRequest { tenant, which } = request;
    let missing = || Failure::Invalid { field: "which", expected: "it must say who is to be released".into() };
    let release = match which.ok_or_else(missing)? {
        // A text that is no id names nobody who is held back.
        Which::Named(admin::NamedUsers { user_ids }) => {
            Release::Named(user_ids.iter().filter_map(|id| id.parse().ok()).collect())
        }
        Which::ThroughRevision(revision) => Release::Through(Revision(revision)),
    };
    Ok((tenant, release))
}

pub(crate) fn extension(extension: &Extension) -> admin::Extension {
    admin::Extension { resource_type: extension.resource_type().to_owned(), schema: extension.json().to_owned() }
}

/// The scopes by name.
pub(crate) fn scope_names(scopes: &[Scope]) -> Vec<String> {
    scopes.iter().map(|scope| scope.as_str().to_owned()).collect()
}

pub(crate) fn token_record(record: TokenRecord) -> admin::Token {
    let TokenRecord { id, scopes, note, created_at, expires_at, revoked_at, last_used_at } = record;
    let or_never = |at: Option<Timestamp>| at.map_or(0, |at| at.0);
    admin::Token {
        token_id: id.to_string(),
        scopes: scope_names(&scopes),
        note,
        created_at_us: created_at.0,
        expires_at_us: expires_at.0,
        revoked_at_us: or_never(revoked_at),
        last_used_at_us: or_never(last_used_at),
    }
}
