//! Between the messages of the contracts and the words of this crate. No other module knows both.

use bytes::Bytes;
use domain::access_token::Scope;
use domain::clock::Timestamp;
use domain::grant::{ContextType, Grant};
use domain::id::TenantId;
use domain::label::Label;
use domain::matching::{Reason as Why, Unmatched};
use domain::settings::{
    Adoption, ChangeLimit, DisplayNames, Environment, Guardrail, MassDepartures, Protocol, PutOmitted, Rename,
    RoleLocations, RolesPatch, RulesFrom, Settings, WithoutLabels,
};
use proto::admin::v1 as admin;
use proto::common::v1 as common;
use proto::identity::v1 as identity;
use proto::roles::v1 as roles;
use runtime::error::{Error, Reason};
use scim::list::Start;

use crate::caller::Caller;
use crate::tenant::{self, Tenant};

/// A resource as the store keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The SCIM id.
    pub(crate) id: String,
    /// The SCIM resource as JSON, without what the server owns.
    pub(crate) document: Bytes,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was last changed.
    pub(crate) modified: Timestamp,
    /// The revision that last changed it.
    pub(crate) version: u64,
}

/// A user and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// The resource.
    pub(crate) stored: Stored,
    /// The pusher's last report.
    pub(crate) outcome: Option<Outcome>,
    /// The groups it is in, if they were read.
    pub(crate) groups: Vec<UserGroup>,
}

/// A group a user is in.
#[derive(Clone, Debug)]
pub(crate) struct UserGroup {
    /// The SCIM id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) display_name: String,
    /// Whether the user is a member of the group itself.
    pub(crate) direct: bool,
}

/// A group, without its members.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The resource.
    pub(crate) stored: Stored,
    /// How many direct members it has.
    pub(crate) member_count: u64,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// The SCIM id.
    pub(crate) id: String,
    /// Whether it is a group.
    pub(crate) is_group: bool,
}

/// What became of a user in Fluent.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How the user stands, as the extension says it.
    pub(crate) state: &'static str,
    /// Why.
    pub(crate) reasons: Vec<String>,
    /// The account's id in Fluent, where there is one.
    pub(crate) fluent_user_id: Option<String>,
    /// When Fluent was last made equal.
    pub(crate) pushed_at: Option<Timestamp>,
    /// What Fluent then held.
    pub(crate) effective_roles: Vec<Grant>,
    /// The revision the push was made for.
    pub(crate) revision: u64,
}

/// The state of a user whose push is due.
pub(crate) const PENDING: &str = "pending";

/// What a bearer token is good for.
#[derive(Clone, Debug)]
pub(crate) struct Credential {
    /// The one tenant it belongs to.
    pub(crate) tenant: TenantId,
    /// Its public id.
    pub(crate) token_id: String,
    /// What its holder may do over SCIM.
    pub(crate) reach: Reach,
    /// When it ends.
    pub(crate) expires: Timestamp,
}

/// What a token's holder may do over SCIM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing.
    Nothing,
    /// Read.
    Read,
    /// Read and write.
    Write,
}

/// An access token, just made.
#[derive(Clone, Debug)]
pub(crate) struct IssuedAccess {
    /// The whole token.
    pub(crate) token: String,
    /// What it is good for.
    pub(crate) scopes: Vec<String>,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Where a page begins: by position, or by cursor.
pub(crate) fn start(start: Start) -> (u32, Option<String>) {
    match start {
        Start::Index(index) => (u32::try_from(index).unwrap_or(u32::MAX), None),
        Start::Cursor(cursor) => (0, Some(cursor)),
    }
}

/// An attribute to sort by, and whether downwards.
pub(crate) fn sort((attribute, descending): (String, bool)) -> identity::Sort {
    identity::Sort { attribute, descending }
}

pub(crate) fn actor(caller: &Caller) -> common::Actor {
    common::Actor { token_id: caller.token_id.to_string(), request_id: caller.request_id.to_string() }
}

pub(crate) fn user(message: Option<identity::User>) -> Result<User, Error> {
    let identity::User { id, document, created_at_us, modified_at_us, version, outcome, groups } =
        message.ok_or_else(|| missing("user"))?;
    let stored =
        Stored { id, document, created: Timestamp(created_at_us), modified: Timestamp(modified_at_us), version };
    let groups = groups.into_iter().map(|identity::UserGroup { id, display_name, direct }| UserGroup {
        id,
        display_name,
        direct,
    });
    Ok(User { stored, outcome: outcome.map(self::outcome), groups: groups.collect() })
}

pub(crate) fn group(message: Option<identity::Group>) -> Result<Group, Error> {
    let identity::Group { id, document, created_at_us, modified_at_us, version, member_count } =
        message.ok_or_else(|| missing("group"))?;
    let stored =
        Stored { id, document, created: Timestamp(created_at_us), modified: Timestamp(modified_at_us), version };
    Ok(Group { stored, member_count })
}

pub(crate) fn member(message: identity::Member) -> Member {
    let identity::Member { id, is_group } = message;
    Member { id, is_group }
}

fn outcome(message: identity::Outcome) -> Outcome {
    let state = match message.state() {
        identity::State::Unspecified | identity::State::Pending => PENDING,
        identity::State::Provisioned => "provisioned",
        identity::State::Inactive => "inactive",
        identity::State::Held => "held",
        identity::State::Failed => "failed",
    };
    let identity::Outcome { state: _, reasons, fluent_user_id, pushed_at_us, effective_roles, revision } = message;
    Outcome {
        state,
        reasons,
        fluent_user_id: Some(fluent_user_id).filter(|id| !id.is_empty()),
        pushed_at: Some(Timestamp(pushed_at_us)).filter(|at| at.0 != 0),
        effective_roles: effective_roles.into_iter().filter_map(grant).collect(),
        revision,
    }
}

fn grant(message: common::Grant) -> Option<Grant> {
    let context_type = match message.context_type() {
        common::ContextType::Unspecified => return None,
        common::ContextType::Account => ContextType::Account,
        common::ContextType::Retailer => ContextType::Retailer,
        common::ContextType::Agent => ContextType::Agent,
    };
    let common::Grant { role, context_type: _, context_id } = message;
    Some(Grant { role: role.into(), context_type, context_id: context_id.into() })
}

pub(crate) fn credential(message: identity::VerifyTokenResponse) -> Result<Credential, Error> {
    let identity::VerifyTokenResponse { token_id, tenant, scopes, expires_at_us } = message;
    let tenant = tenant.parse().map_err(|error| Error::internal("reading the tenant of a token", &error))?;
    let may = |scope: Scope| scopes.iter().any(|has| has == scope.as_str());
    let reach = match (may(Scope::Scim), may(Scope::ScimRead)) {
        (true, _) => Reach::Write,
        (false, true) => Reach::Read,
        (false, false) => Reach::Nothing,
    };
    Ok(Credential { tenant, token_id, reach, expires: Timestamp(expires_at_us) })
}

pub(crate) fn access_token(message: identity::IssueAccessTokenResponse) -> IssuedAccess {
    let identity::IssueAccessTokenResponse { access_token, scopes, expires_at_us } = message;
    IssuedAccess { token: access_token, scopes, expires_at: Timestamp(expires_at_us) }
}

pub(crate) fn unmatched(message: common::UnmatchedLabel) -> (Label, Unmatched) {
    let reason = match message.reason() {
        common::UnmatchedReason::Unspecified | common::UnmatchedReason::Malformed => Why::Malformed,
        common::UnmatchedReason::UnknownContextType => Why::UnknownContextType,
        common::UnmatchedReason::UnknownContext => Why::UnknownContext,
        common::UnmatchedReason::UnknownRole => Why::UnknownRole,
        common::UnmatchedReason::RuleTargetUnknown => Why::RuleTargetUnknown,
        common::UnmatchedReason::Ambiguous => Why::Ambiguous,
    };
    let common::UnmatchedLabel { label, reason: _, suggestion } = message;
    (Label::new(&label), Unmatched { reason, suggestion: Some(suggestion).filter(|text| !text.is_empty()) })
}

/// A label to pick from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedLabel {
    label: String,
    recognised: bool,
}

impl OfferedLabel {
    /// The role it is answered as.
    pub(crate) fn role(&self) -> scim::role::Role<'_> {
        scim::role::Role { label: &self.label, recognised: self.recognised }
    }
}

pub(crate) fn offered_label(message: roles::OfferedLabel) -> OfferedLabel {
    let roles::OfferedLabel { label, recognised } = message;
    OfferedLabel { label, recognised }
}

pub(crate) fn tenant(message: admin::GetSettingsResponse) -> Tenant {
    let admin::GetSettingsResponse { settings, extensions } = message;
    let pair = |admin::Extension { resource_type, schema }| (resource_type, schema);
    let extensions: Vec<_> = extensions.into_iter().map(pair).collect();
    Tenant { settings: self::settings(settings), schemas: tenant::schemas(&extensions) }
}

fn settings(message: Option<common::Settings>) -> Settings {
    let message = message.unwrap_or_default();
    let guardrail = match message.guardrail() {
        common::Guardrail::Unspecified | common::Guardrail::Reject => Guardrail::Reject,
        common::Guardrail::Hold => Guardrail::Hold,
    };
    let without_labels = match message.without_labels() {
        common::WithoutLabels::Unspecified | common::WithoutLabels::Hold => WithoutLabels::Hold,
        common::WithoutLabels::Reject => WithoutLabels::Reject,
    };
    let rename = match message.rename() {
        common::Rename::Unspecified | common::Rename::Hold => Rename::Hold,
        common::Rename::Replace => Rename::Replace,
        common::Rename::Refuse => Rename::Refuse,
    };
    let adoption = match message.adoption() {
        common::Adoption::Unspecified | common::Adoption::Adopt => Adoption::Adopt,
        common::Adoption::ParkAll => Adoption::ParkAll,
    };
    let put_omitted = match message.put_omitted() {
        common::PutOmitted::Unspecified | common::PutOmitted::Clear => PutOmitted::Clear,
        common::PutOmitted::Keep => PutOmitted::Keep,
    };
    let roles_patch = match message.roles_patch() {
        common::RolesPatch::Unspecified | common::RolesPatch::AsSent => RolesPatch::AsSent,
        common::RolesPatch::Overwrite => RolesPatch::Overwrite,
    };
    let display_names = match message.display_names() {
        common::DisplayNames::Unspecified | common::DisplayNames::Names => DisplayNames::Names,
        common::DisplayNames::Labels => DisplayNames::Labels,
    };
    let protocol = match message.protocol() {
        common::Protocol::Unspecified | common::Protocol::Lenient => Protocol::Lenient,
        common::Protocol::Strict => Protocol::Strict,
    };
    let role_locations = match message.role_locations() {
        common::RoleLocations::Unspecified | common::RoleLocations::OnFilter => RoleLocations::OnFilter,
        common::RoleLocations::Listed => RoleLocations::Listed,
    };
    let environment = match message.environment() {
        common::Environment::Unspecified | common::Environment::Production => Environment::Production,
        common::Environment::Development => Environment::Development,
    };
    let rules_from = match message.rules_from() {
        common::RulesFrom::Unspecified | common::RulesFrom::Own => RulesFrom::Own,
        common::RulesFrom::Fluent => RulesFrom::Fluent,
    };
    let mass_departures = match message.mass_departures() {
        common::MassDepartures::Unspecified | common::MassDepartures::Alert => MassDepartures::Alert,
        common::MassDepartures::Hold => MassDepartures::Hold,
    };
    Settings {
        account_name: message.account_name,
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
        change_limit: ChangeLimit::new(message.change_limit).unwrap_or_default(),
        mass_departures,
    }
}

fn missing(what: &'static str) -> Error {
    tracing::error!(what, "an answer of identity-store lacks what it must hold");
    Error::new(Reason::INTERNAL, "an answer of identity-store is incomplete")
}
