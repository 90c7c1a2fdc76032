//! A crowd that leaves raises an alarm at once, and is let go all the same.

use std::time::Duration;

use domain::revision::Revision;
use domain::settings::{MassDepartures, Settings};
use runtime::telemetry::Metrics;
use sql::params;

use super::fixture::{document, each};
use crate::Failure;
use crate::model::Actor;

#[tokio::test]
async fn a_crowd_that_is_deactivated_or_deleted_raises_one_alarm_and_is_refused_nothing() {
    each(async |f| {
        let mut users = Vec::new();
        for n in 0..40 {
            users.push((format!("u{n}"), f.user(&format!("u{n}"), &["A"]).await));
        }
        let alarms = || f.store.alarms().crowds(&f.tenant);
        let leave = async |(name, id): &(String, _), deletes: bool| {
            if deletes {
                let id = domain::id::UserId::to_string(id);
                f.store.delete_user(&f.tenant, Actor::default(), &id, Revision(0)).await.unwrap();
            } else {
                let inactive = document(name, &["A"]).replace("true", "false");
                f.replace(*id, 0, &inactive).await.unwrap();
                // Once more, and with other labels: nobody leaves twice.
                f.replace(*id, 0, &inactive.replace("\"A\"", "\"B\"")).await.unwrap();
            }
        };
        for (n, user) in users.iter().take(20).enumerate() {
            leave(user, n % 2 == 0).await;
            assert_eq!(alarms(), u64::from(n >= 8), "nine are more than a fifth of forty");
        }
        f.clock.advance(Duration::from_mins(12));
        leave(&users[20], true).await;
        assert_eq!(alarms(), 1, "one by itself is no crowd");
        for user in &users[21..30] {
            leave(user, false).await;
        }
        assert_eq!(alarms(), 2, "another");
    })
    .await;
}

/// S31: the alarm is raised whether they are held back or not, and how many are is counted.
#[tokio::test]
async fn where_a_crowd_is_held_back_the_alarm_is_raised_all_the_same() {
    each(async |f| {
        let settings = Settings { mass_departures: MassDepartures::Hold, ..Settings::default() };
        f.store.put_settings(&f.tenant, settings).await.unwrap();
        let metrics = Metrics::new();
        f.store.alarms().register(&metrics);
        let told = |name: &str, value: u8| {
            let line = format!("rolecall_identity_store_{name}}} {value}\n");
            assert!(metrics.encode().contains(&line), "{line} in {}", metrics.encode());
        };
        let raised = r#"alarms_total{tenant="acme",kind="MASS_DEACTIVATION""#;
        told(raised, 0);
        for n in 0..20 {
            let id = f.user(&format!("u{n}"), &["A"]).await;
            if n < 9 {
                f.replace(id, 0, &document(&format!("u{n}"), &["A"]).replace("true", "false")).await.unwrap();
            }
        }
        f.store.refresh_heads().await.unwrap();
        told(raised, 1);
        told(r#"held_back_users{tenant="acme""#, 4);
    })
    .await;
}

#[tokio::test]
async fn who_was_not_active_does_not_leave() {
    each(async |f| {
        for n in 0..20 {
            let inactive = document(&format!("u{n}"), &[]).replace("true", "false");
            let id = f.create(&inactive).await.unwrap().value.id.to_string();
            f.store.delete_user(&f.tenant, Actor::default(), &id, Revision(0)).await.unwrap();
        }
        assert_eq!(f.store.alarms().crowds(&f.tenant), 0);
    })
    .await;
}

/// As a replica that knows of no such thing leaves it when it makes the user active again.
#[tokio::test]
async fn what_is_still_noted_of_an_active_user_does_not_hold_it_back_when_it_leaves() {
    const NOTE: &str = "INSERT INTO held_back (tenant, user_id, since, revision, labels) VALUES ($1, $2, 0, 0, '[]')";
    const COUNT: &str = "UPDATE tenants SET held_back = held_back + 1 WHERE id = $1";
    each(async |f| {
        let (tenant, ann, eve) = (f.tenant.clone(), f.user("ann", &["A"]).await, f.user("eve", &["A"]).await);
        let noted = f.store.database.write(move |tx| {
            Box::pin(async move {
                for id in [ann, eve] {
                    tx.execute(NOTE, params![tenant.as_str(), id.as_bytes()]).await?;
                    tx.execute(COUNT, params![tenant.as_str()]).await?;
                }
                Ok::<_, Failure>(())
            })
        });
        noted.await.unwrap();
        f.replace(ann, 0, &document("ann", &["A"]).replace("true", "false")).await.unwrap();
        f.store.delete_user(&f.tenant, Actor::default(), &eve.to_string(), Revision(0)).await.unwrap();
        assert_eq!(f.store.held_back(&f.tenant, None).await.unwrap().value, (vec![], 0));
    })
    .await;
}
