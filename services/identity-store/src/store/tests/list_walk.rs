//! A walk by cursor beside changes finds who was there throughout, exactly once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::id::UserId;
use serde_json::Value as Json;

use super::fixture::{Fixture, document, each, many_users, wanted};
use super::list_oracle::Dice;
use crate::model::{Actor, ListRequest, SortBy, Start, User};

/// Filters and orders: by an index alone, with the evaluator, and by what only documents tell.
const LISTS: [(&str, Option<&str>); 4] =
    [("", None), ("", Some("userName")), (r#"title co "t""#, None), ("active eq true", Some("title"))];

async fn hire(f: &Fixture, name: &str, title: usize) -> User {
    let mut user: Json = serde_json::from_str(&document(name, &[])).unwrap();
    user["title"] = format!("t{title}").into();
    f.create(&user.to_string()).await.unwrap().value
}

async fn fire(f: &Fixture, user: &User) {
    f.store.delete_user(&f.tenant, Actor::default(), &user.id.to_string(), user.version).await.unwrap();
}

/// The users of the next page, if there is one.
async fn next(f: &Fixture, request: &mut ListRequest) -> (Vec<UserId>, bool) {
    let page = f.store.list_users(&f.tenant, request, false).await.unwrap().value;
    let goes_on = page.next.is_some();
    request.start = Start::After(page.next);
    (page.items.iter().map(|user| user.id).collect(), goes_on)
}

fn first(filter: &str, attribute: Option<&str>, descending: bool, count: u32) -> ListRequest {
    let sort = attribute.map(|attribute| SortBy { attribute: attribute.into(), descending });
    ListRequest { sort, start: Start::After(None), ..wanted(filter, 1, count) }
}

#[tokio::test]
async fn changes_between_the_pages_neither_hide_nor_double_anyone() {
    each(async |f| {
        for (round, (filter, attribute)) in LISTS.into_iter().enumerate() {
            let dice = &mut Dice(7 + round as u64);
            let mut stays = BTreeSet::new();
            let mut goes = Vec::new();
            for n in 0..30 {
                stays.insert(hire(f, &format!("{}stays{round}{n}", dice.roll(100)), dice.roll(9)).await.id);
                goes.push(hire(f, &format!("{}goes{round}{n}", dice.roll(100)), dice.roll(9)).await);
            }
            let mut request = first(filter, attribute, round % 2 == 1, 7);
            let (mut seen, mut n, mut goes_on) = (Vec::new(), 0, true);
            while goes_on {
                let found;
                (found, goes_on) = next(f, &mut request).await;
                seen.extend(found);
                // Among those who go is, now and then, the one the next page begins after.
                for _ in 0..3.min(goes.len()) {
                    fire(f, &goes.swap_remove(dice.roll(goes.len()))).await;
                }
                if n < 30 {
                    n += 1;
                    hire(f, &format!("{}comes{round}{n}", dice.roll(100)), dice.roll(9)).await;
                }
            }
            let found: BTreeSet<_> = seen.iter().copied().collect();
            assert_eq!(found.len(), seen.len(), "nobody twice: {filter} by {attribute:?}");
            assert!(stays.is_subset(&found), "nobody is left out: {filter} by {attribute:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_crowd_is_walked_while_others_come_and_go_all_the_time() {
    const CROWD: usize = 20_000;
    each(async |f| {
        let stays: BTreeSet<_> = many_users(f, CROWD).await.into_iter().collect();
        let ended = AtomicBool::new(false);
        let change = async {
            let mut changes = 0;
            while !ended.load(Ordering::Relaxed) {
                let (a, b) = (format!("{:02x}come{changes}", changes % 256), format!("zz{changes}"));
                let (one, other) = tokio::join!(hire(f, &a, 1), hire(f, &b, 1));
                fire(f, &one).await;
                drop(other);
                changes += 1;
            }
            changes
        };
        let walk = async {
            for attribute in [None, Some("userName")] {
                let mut request = first("", attribute, false, 200);
                let (mut seen, mut goes_on) = (Vec::new(), true);
                while goes_on {
                    let found;
                    (found, goes_on) = next(f, &mut request).await;
                    seen.extend(found);
                }
                let found: BTreeSet<_> = seen.iter().copied().collect();
                assert_eq!(found.len(), seen.len(), "nobody twice, by {attribute:?}");
                assert!(stays.is_subset(&found), "nobody is left out, by {attribute:?}");
            }
            ended.store(true, Ordering::Relaxed);
        };
        let (changes, ()) = tokio::join!(change, walk);
        assert!(changes > 0, "something changed meanwhile");
    })
    .await;
}
