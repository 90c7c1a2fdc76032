//! Bearer tokens and settings.

use std::sync::Arc;
use std::time::Duration;

use domain::access_token::{AccessKeys, Scope};
use domain::clock::Timestamp;
use domain::settings::{Guardrail, Settings};
use domain::token::{Pepper, Peppers};
use domain::token_age::Ageing;

use super::fixture::{Fixture, each};
use crate::model::Include;
use crate::{Failure, Store};

async fn issue(f: &Fixture, days: u32) -> Result<String, Failure> {
    let issued = f.store.issue_token(&f.tenant, &["scim".into()], days, "a note").await?;
    Ok(issued.token.expose())
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked_or_ends() {
    each(async |f| {
        let (short, long) = (issue(f, 1).await.unwrap(), issue(f, 2).await.unwrap());
        let verified = f.store.verify_token(&short).await.unwrap();
        assert_eq!((verified.tenant, verified.scopes), (f.tenant.clone(), vec![Scope::Scim]));
        f.clock.advance(Duration::from_hours(24));
        assert_eq!(f.store.verify_token(&short).await, Err(Failure::TokenInvalid));
        let id = f.store.verify_token(&long).await.unwrap().id;
        f.store.revoke_token(&f.tenant, &id).await.unwrap();
        assert_eq!(f.store.verify_token(&long).await, Err(Failure::TokenInvalid));
        let listed = f.store.list_tokens(&f.tenant).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|token| token.revoked_at.is_some() == (token.id == id)));
    })
    .await;
}

/// A replica of the store with other peppers.
fn under(f: &Fixture, current: &[u8], second: Option<&[u8]>) -> Store {
    let peppers = Peppers { current: Pepper::derive(current), second: second.map(Pepper::derive) };
    Store { access_keys: AccessKeys::derive(&peppers), peppers: Arc::new(peppers), ..f.store.clone() }
}

#[tokio::test]
async fn a_pepper_is_exchanged_while_every_token_stays_good() {
    each(async |f| {
        let (old, new) = (&b"the old pepper"[..], &b"the new pepper"[..]);
        let [before, during, after] = [under(f, old, None), under(f, new, Some(old)), under(f, new, None)];
        // While replicas are restarted one by one, one that keeps tokens under the old pepper knows the new one already.
        let ahead = under(f, old, Some(new));
        let mut tokens = Vec::new();
        for store in [&before, &during] {
            tokens.push(store.issue_token(&f.tenant, &["scim".into()], 30, "").await.unwrap().token.expose());
        }
        let hour = Duration::from_hours(1);
        let access = before.issue_access_token(&tokens[0], &[], hour).await.unwrap().token.expose();
        for store in [&ahead, &during] {
            for token in tokens.iter().chain([&access]) {
                assert!(store.verify_token(token).await.is_ok());
            }
        }
        let unknown = domain::token::BearerToken::generate().expose();
        assert_eq!(during.verify_token(&unknown).await, Err(Failure::TokenInvalid));
        // Noted behind the answer.
        for token in &tokens {
            while after.verify_token(token).await.is_err() {
                assert!(during.verify_token(token).await.is_ok());
            }
        }
        assert_eq!(after.verify_token(&access).await, Err(Failure::TokenInvalid), "made with the old pepper");
        for token in &tokens {
            assert_eq!(before.verify_token(token).await, Err(Failure::TokenInvalid), "kept under the new one");
        }
    })
    .await;
}

#[tokio::test]
async fn the_last_use_of_a_token_is_noted_once_an_hour() {
    each(async |f| {
        let token = issue(f, 30).await.unwrap();
        let used = async || f.store.list_tokens(&f.tenant).await.unwrap()[0].last_used_at;
        let until = async |at: Timestamp| {
            while used().await != Some(at) {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(used().await, None);
        let first = f.clock.now();
        f.store.verify_token(&token).await.unwrap();
        until(first).await;
        f.clock.advance(Duration::from_mins(59));
        f.store.verify_token(&token).await.unwrap();
        f.clock.advance(Duration::from_mins(1));
        f.store.verify_token(&token).await.unwrap();
        until(f.clock.now()).await;
        assert!(f.store.verify_token("rlc_x").await.is_err());
        assert_eq!(used().await, Some(first.plus(Duration::from_hours(1))));
    })
    .await;
}

#[tokio::test]
async fn what_is_near_its_end_or_a_year_old_is_found_while_it_is_good() {
    each(async |f| {
        let (short, long) = (issue(f, 60).await.unwrap(), issue(f, 365).await.unwrap());
        let id = async |token: &str| f.store.verify_token(token).await.unwrap().id;
        let (short, long) = (id(&short).await, id(&long).await);
        let found = async || f.store.ageing_tokens().await.unwrap();
        let of = |token: &domain::token::TokenId, stage| (f.tenant.clone(), token.clone(), stage);
        let pass = |days: u64| f.clock.advance(Duration::from_hours(24 * days));
        assert!(found().await.is_empty());
        pass(30);
        assert_eq!(found().await, [of(&short, Ageing::Within30Days)]);
        pass(27);
        assert_eq!(found().await, [of(&short, Ageing::Within3Days)]);
        pass(3);
        assert!(found().await.is_empty(), "one that has ended needs no word");
        pass(300);
        assert_eq!(found().await, [of(&long, Ageing::Within14Days)]);
        f.store.revoke_token(&f.tenant, &long).await.unwrap();
        assert!(found().await.is_empty());
        // The same token again gets a new life, and keeps its age.
        let fixed = domain::token::BearerToken::generate();
        f.store.keep_token(&f.tenant, fixed.clone(), &["scim".into()], 100, "").await.unwrap();
        pass(90);
        f.store.keep_token(&f.tenant, fixed.clone(), &["scim".into()], 365, "").await.unwrap();
        assert!(found().await.is_empty());
        pass(275);
        assert_eq!(found().await, [of(fixed.id(), Ageing::YearOld)]);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_token_is_refused_like_any_other() {
    each(async |f| {
        let unknown = domain::token::BearerToken::generate().expose();
        for token in [unknown.as_str(), "", "rlc_x"] {
            assert_eq!(f.store.verify_token(token).await, Err(Failure::TokenInvalid));
        }
    })
    .await;
}

#[tokio::test]
async fn a_tenant_has_at_most_five_good_tokens() {
    each(async |f| {
        for days in 1..=5 {
            issue(f, days).await.unwrap();
        }
        assert_eq!(issue(f, 1).await, Err(Failure::TooManyTokens));
        f.clock.advance(Duration::from_hours(24));
        issue(f, 365).await.unwrap();
        for (days, scope) in [(0, "scim"), (366, "scim"), (1, "root")] {
            let refused = f.store.issue_token(&f.tenant, &[scope.into()], days, "").await;
            assert!(matches!(refused, Err(Failure::Invalid { .. })));
        }
    })
    .await;
}

#[tokio::test]
async fn settings_are_a_change_of_the_ground() {
    each(async |f| {
        let settings = Settings { guardrail: Guardrail::Hold, ..Settings::default() };
        let put = f.store.put_settings(&f.tenant, settings.clone()).await.unwrap();
        assert!(put.changed && !f.store.put_settings(&f.tenant, settings.clone()).await.unwrap().changed);
        assert_eq!(f.store.get_settings(&f.tenant).await.unwrap(), settings);
        let holdings = f.store.get_holdings(&f.tenant, vec![], vec![], Include::default()).await.unwrap();
        assert_eq!((holdings.value.ground_version, holdings.position), (put.position.revision, put.position));
        assert_eq!(f.store.create_tenant(&f.tenant, Settings::default()).await, Err(Failure::TenantExists));
    })
    .await;
}
