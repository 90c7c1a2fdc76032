//! Bearer tokens: good until revoked or over, five at a time.

use std::time::Duration;

use proto::admin::v1::{IssueTokenRequest, IssueTokenResponse, ListTokensRequest, RevokeTokenRequest, Token};
use proto::identity::v1::{IssueAccessTokenRequest, IssueAccessTokenResponse, VerifyTokenRequest, VerifyTokenResponse};
use runtime::error::{Error, Reason};
use tonic::Response;

use crate::Backend;
use crate::tenant::Tenant;

const DAY: Duration = Duration::from_hours(24);

async fn issue(tenant: &Tenant, days: u32) -> Result<IssueTokenResponse, Error> {
    let scopes = vec!["scim".to_owned(), "roles:read".to_owned()];
    let request = IssueTokenRequest { tenant: tenant.name.clone(), scopes, days, note: "suite".into() };
    Ok(tenant.admin().issue_token(request).await?.into_inner())
}

async fn verify(tenant: &Tenant, token: &str) -> Result<VerifyTokenResponse, Error> {
    let request = VerifyTokenRequest { token: token.to_owned() };
    Ok(tenant.tokens().verify_token(request).await.map(Response::into_inner)?)
}

async fn revoke(tenant: &Tenant, token_id: &str) -> Result<(), Error> {
    let request = RevokeTokenRequest { tenant: tenant.name.clone(), token_id: token_id.to_owned() };
    Ok(tenant.admin().revoke_token(request).await.map(drop)?)
}

async fn list(tenant: &Tenant) -> Vec<Token> {
    let request = ListTokensRequest { tenant: tenant.name.clone() };
    tenant.admin().list_tokens(request).await.unwrap().into_inner().tokens
}

/// A new token says what it is good for; a revoked one is refused at once; another tenant can't revoke it.
pub async fn a_token_is_good_until_it_is_revoked(backend: &Backend) {
    let (tenant, other) = (Tenant::new(backend).await, Tenant::new(backend).await);
    let issued = issue(&tenant, 30).await.unwrap();
    let good = verify(&tenant, &issued.token).await.unwrap();
    assert_eq!((&good.token_id, &good.tenant), (&issued.token_id, &tenant.name));
    assert_eq!(good.scopes, ["scim", "roles:read"]);
    assert_eq!(good.expires_at_us, issued.expires_at_us);
    assert_eq!(revoke(&other, &issued.token_id).await.unwrap_err().reason(), Reason::TOKEN_NOT_FOUND);
    assert!(verify(&tenant, &issued.token).await.is_ok());
    revoke(&tenant, &issued.token_id).await.unwrap();
    assert_eq!(verify(&tenant, &issued.token).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    let listed = list(&tenant).await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].revoked_at_us > 0);
    assert!(list(&other).await.is_empty());
}

/// A token ends by itself when its days are over, and no sooner.
pub async fn a_token_ends_when_its_time_is_over(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let issued = issue(&tenant, 2).await.unwrap();
    backend.insider.pass_time(DAY).await;
    assert!(verify(&tenant, &issued.token).await.is_ok());
    backend.insider.pass_time(DAY).await;
    assert_eq!(verify(&tenant, &issued.token).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    for days in [0, 366, u32::MAX] {
        assert!(issue(&tenant, days).await.is_err(), "a token lives 1 to 365 days, not {days}");
    }
}

/// A sixth is refused while five are good; revoking one makes room. Several asked for at once are counted too.
pub async fn a_tenant_has_at_most_five_good_tokens(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let answers = crate::together::at_once((0..10).map(|_| {
        let tenant = tenant.clone();
        async move { issue(&tenant, 30).await }
    }))
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 5);
    assert!(refused.iter().all(|answer| answer.as_ref().unwrap_err().reason() == Reason::TOKEN_LIMIT));
    revoke(&tenant, &made[0].as_ref().unwrap().token_id).await.unwrap();
    issue(&tenant, 30).await.unwrap();
    assert_eq!(list(&tenant).await.iter().filter(|token| token.revoked_at_us == 0).count(), 5);
}

/// Junk, a changed token and one of nobody are refused in the same words.
pub async fn what_is_not_a_token_of_ours_is_refused_alike(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let token = issue(&tenant, 30).await.unwrap().token;
    let mut changed = token.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == 'x' { 'y' } else { 'x' });
    let mut refusals = Vec::new();
    for text in ["", "junk", &changed, &token[..20], &format!("{token} "), &"r".repeat(100_000)] {
        let error = verify(&tenant, text).await.unwrap_err();
        assert_eq!(error.reason(), Reason::TOKEN_INVALID);
        refusals.push(error.message().to_owned());
    }
    refusals.dedup();
    assert_eq!(refusals.len(), 1);
}

async fn access(
    tenant: &Tenant,
    token: &str,
    scopes: &[&str],
    lifetime_seconds: u32,
) -> Result<IssueAccessTokenResponse, Error> {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    let request = IssueAccessTokenRequest { token: token.to_owned(), scopes, lifetime_seconds };
    Ok(tenant.tokens().issue_access_token(request).await.map(Response::into_inner)?)
}

/// An access token is good for the scopes asked for, for its time, and no longer than the token it was got with.
pub async fn an_access_token_is_good_for_its_time_and_while_its_token_is(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let issued = issue(&tenant, 1).await.unwrap();
    let all = access(&tenant, &issued.token, &[], 3_600).await.unwrap();
    assert_eq!(all.scopes, ["scim", "roles:read"]);
    let good = verify(&tenant, &all.access_token).await.unwrap();
    assert_eq!((&good.token_id, &good.tenant, &good.scopes), (&issued.token_id, &tenant.name, &all.scopes));
    assert_eq!(good.expires_at_us, all.expires_at_us);
    let read = access(&tenant, &issued.token, &["scim:read"], 21_600).await.unwrap();
    assert_eq!(verify(&tenant, &read.access_token).await.unwrap().scopes, ["scim:read"]);
    for (scopes, seconds) in [(&["admin"][..], 3_600), (&["scim", "x"], 3_600), (&[], 59), (&[], 21_601)] {
        let refused = access(&tenant, &issued.token, scopes, seconds).await;
        assert_eq!(refused.unwrap_err().reason(), Reason::FIELD_INVALID);
    }
    // Nobody gets a token with an access token, a changed one, or none.
    for text in [&all.access_token, "", "rlc_x", "rla_x"] {
        assert_eq!(access(&tenant, text, &[], 3_600).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    }
    let mut changed = all.access_token.clone();
    changed.truncate(changed.len() - 8);
    assert_eq!(verify(&tenant, &changed).await.unwrap_err().reason(), Reason::TOKEN_INVALID);

    backend.insider.pass_time(Duration::from_secs(3_601)).await;
    assert_eq!(verify(&tenant, &all.access_token).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    assert!(verify(&tenant, &read.access_token).await.is_ok());
    revoke(&tenant, &issued.token_id).await.unwrap();
    assert_eq!(verify(&tenant, &read.access_token).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    assert_eq!(access(&tenant, &issued.token, &[], 3_600).await.unwrap_err().reason(), Reason::TOKEN_INVALID);
    let short = issue(&tenant, 1).await.unwrap();
    backend.insider.pass_time(Duration::from_hours(23)).await;
    let last = access(&tenant, &short.token, &[], 21_600).await.unwrap();
    assert_eq!(last.expires_at_us / 1_000_000, short.expires_at_us / 1_000_000);
}
