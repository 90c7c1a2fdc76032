//! Between the contracts and the domain. Everything that arrives is checked here, and everything is taken apart whole,
//! so that a new field can't be forgotten.

mod access;
mod admin;
mod feed;
mod group_labels;
mod groups;
mod lists;
mod users;

use domain::catalogue::Place;
use domain::grant::{ContextType, Grant};
use domain::id::TenantId;
use domain::revision::{Epoch, Position, Revision, RevisionKey};
use proto::common::v1 as pb;
use runtime::error::{Error, Reason};
use tonic::Status;

pub(crate) use self::access::{catalogue_read, ground, holders_wanted, holdings, kept_sets, user_keys, user_outcomes};
pub(crate) use self::admin::{
    after_user, differences, extension, held_back, pending_ground, release, rule_sets, rules, scope_names, settings,
    settings_to_proto, token_record,
};
pub(crate) use self::feed::{heads, page, user_state};
pub(crate) use self::group_labels::{group_key, group_labels, read_group_labels};
pub(crate) use self::groups::{group, group_update, member};
pub(crate) use self::lists::Listing;
pub(crate) use self::users::user;

use crate::failure::Failure;
use crate::model::Actor;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let reason = match &failure {
            Failure::TenantNotFound => Reason::TENANT_NOT_FOUND,
            Failure::TenantExists => Reason::TENANT_EXISTS,
            Failure::UserNotFound => Reason::USER_NOT_FOUND,
            Failure::GroupNotFound => Reason::GROUP_NOT_FOUND,
            Failure::MemberNotFound { .. } => Reason::MEMBER_NOT_FOUND,
            Failure::NameTaken { .. } => Reason::UNIQUENESS,
            Failure::VersionMismatch => Reason::VERSION_MISMATCH,
            Failure::NestingCycle => Reason::NESTING_CYCLE,
            Failure::Invalid { .. } => Reason::FIELD_INVALID,
            Failure::TooLarge { .. } => Reason::TOO_LARGE,
            Failure::InvalidFilter(_) => Reason::INVALID_FILTER,
            Failure::LabelsUnmatched { .. } => Reason::LABEL_UNMATCHED,
            Failure::TooManyHeld { .. } => Reason::TOO_MANY_HELD,
            Failure::CatalogueMissing => Reason::CATALOGUE_MISSING,
            Failure::TooMany(_) => Reason::TOO_MANY,
            Failure::EpochMismatch => Reason::EPOCH_MISMATCH,
            Failure::FeedTruncated => Reason::FEED_TRUNCATED,
            Failure::GroundNotFound => Reason::GROUND_NOT_FOUND,
            Failure::Moved => Reason::ABORTED,
            Failure::Fenced => Reason::FENCED,
            Failure::RulesMalformed(_) => Reason::RULES_MALFORMED,
            Failure::TokenInvalid => Reason::TOKEN_INVALID,
            Failure::SchemaNotFound => Reason::SCHEMA_NOT_FOUND,
            Failure::TokenNotFound => Reason::TOKEN_NOT_FOUND,
            Failure::TooManyTokens => Reason::TOKEN_LIMIT,
            Failure::TooLate => Reason::DEADLINE_EXCEEDED,
            Failure::Busy => Reason::STORE_BUSY,
            Failure::Unavailable | Failure::Opening(_) => Reason::STORE_UNAVAILABLE,
            Failure::Internal => Reason::INTERNAL,
        };
        let error = Self::new(reason, message);
        match failure {
            Failure::MemberNotFound { id } => error.with("member", id),
            Failure::NameTaken { attribute } => error.with("attribute", attribute),
            Failure::Invalid { field, .. } => error.with("field", field),
            _ => error,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        Error::from(failure).into()
    }
}

/// The tenant a message names. A text that can be no tenant's name names none.
pub(crate) fn tenant(name: &str) -> Result<TenantId, Failure> {
    name.parse().map_err(|_| Failure::TenantNotFound)
}

/// The name of a tenant to be made.
pub(crate) fn new_tenant(name: &str) -> Result<TenantId, Failure> {
    name.parse()
        .map_err(|error: domain::id::InvalidId| Failure::Invalid { field: "tenant", expected: error.to_string() })
}

pub(crate) fn actor(actor: Option<pb::Actor>) -> Actor {
    let pb::Actor { token_id, request_id } = actor.unwrap_or_default();
    Actor { token_id, request_id }
}

pub(crate) fn position(position: Position) -> pb::Position {
    let Position { epoch, revision } = position;
    pb::Position { epoch: epoch.as_bytes().to_vec().into(), revision: revision.0 }
}

/// The version a resource is expected at; zero for any.
pub(crate) fn revision(number: u64) -> Revision {
    Revision(number)
}

/// A position a consumer holds.
pub(crate) fn read_position(position: Option<pb::Position>) -> Result<Position, Failure> {
    let Some(pb::Position { epoch, revision }) = position else {
        return Err(Failure::Invalid { field: "position", expected: "it must be given".into() });
    };
    Ok(Position { epoch: read_epoch(&epoch)?, revision: Revision(revision) })
}

/// What is no epoch at all is none of this database's.
pub(crate) fn read_epoch(epoch: &[u8]) -> Result<Epoch, Failure> {
    Epoch::from_slice(epoch).ok_or(Failure::EpochMismatch)
}

/// The revision token for a position.
pub(crate) fn revision_token(key: &RevisionKey, tenant: &TenantId, position: Position) -> String {
    key.seal(tenant, position)
}

fn grant(grant: &Grant) -> pb::Grant {
    let Grant { role, context_type, context_id } = grant;
    let context_type = match context_type {
        ContextType::Account => pb::ContextType::Account,
        ContextType::Retailer => pb::ContextType::Retailer,
        ContextType::Agent => pb::ContextType::Agent,
    };
    pb::Grant { role: role.to_string(), context_type: context_type.into(), context_id: context_id.to_string() }
}

fn read_grant(grant: pb::Grant) -> Result<Grant, Failure> {
    let context_type = match grant.context_type() {
        pb::ContextType::Account => ContextType::Account,
        pb::ContextType::Retailer => ContextType::Retailer,
        pb::ContextType::Agent => ContextType::Agent,
        pb::ContextType::Unspecified => {
            let expected = "every grant must have a context type".into();
            return Err(Failure::Invalid { field: "effective_roles", expected });
        }
    };
    let pb::Grant { role, context_type: _, context_id } = grant;
    Ok(Grant { role: role.into(), context_type, context_id: context_id.into() })
}

fn place(place: &Place) -> proto::identity::v1::Place {
    let Place { id, reference } = place;
    proto::identity::v1::Place { id: id.to_string(), r#ref: reference.as_deref().unwrap_or_default().to_owned() }
}

fn read_place(place: proto::identity::v1::Place) -> Place {
    let proto::identity::v1::Place { id, r#ref } = place;
    Place { id: id.into(), reference: (!r#ref.is_empty()).then(|| r#ref.into()) }
}
