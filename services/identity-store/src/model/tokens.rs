//! Tokens.

use domain::access_token::{AccessToken, Scope};
use domain::clock::Timestamp;
use domain::id::TenantId;
use domain::token::{BearerToken, TokenId};

/// A token, just made: the only time its secret is there.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: BearerToken,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An access token, just made.
#[derive(Clone, Debug)]
pub struct IssuedAccessToken {
    /// The token.
    pub token: AccessToken,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its public id.
    pub id: TokenId,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The note it was made with.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
}

/// What a good token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Its public id.
    pub id: TokenId,
    /// The one tenant it belongs to.
    pub tenant: TenantId,
    /// What its holder may do.
    pub scopes: Vec<Scope>,
    /// When it ends.
    pub expires_at: Timestamp,
}
