//! Explanations, lists of holders, and many checks at once.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use proto::common::v1::Grant;
use proto::roles::v1::{
    BatchCheckRoleRequest, ExplainRolesRequest, GroupPath, ListRoleHoldersRequest, ListRoleHoldersResponse, RoleCheck,
};
use runtime::error::{Error, Reason};

use super::fake::World;
use super::{MATCHED, UNMATCHED, batch, store_in_chicago, user, why, with_token};

fn explain(name: &str) -> ExplainRolesRequest {
    ExplainRolesRequest { tenant: "acme".into(), user: Some(user(name)), consistency: None }
}

fn holders(after: &str) -> ListRoleHoldersRequest {
    ListRoleHoldersRequest {
        tenant: "acme".into(),
        grant: Some(store_in_chicago()),
        consistency: None,
        after_user_id: after.to_owned(),
    }
}

async fn listed(world: &World, after: &str) -> Vec<ListRoleHoldersResponse> {
    world.roles().list_role_holders(holders(after)).await.unwrap().into_inner().try_collect().await.unwrap()
}

#[tokio::test]
async fn every_way_to_a_grant_is_told_and_every_unmatched_label() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED, "AGENT_77_CLERK", UNMATCHED]);
    let [inner, outer] = world.put_into_nested_groups("ann", MATCHED);
    let answer = world.roles().explain_roles(explain("ann")).await.unwrap().into_inner();
    assert!(answer.active && answer.held && answer.has_labels);
    assert_eq!(answer.revision_token, world.revision_token("acme", 10));
    assert_eq!(answer.grants.len(), 1, "two labels, one grant");
    let causes = &answer.grants[0].causes;
    let told: Vec<_> = causes.iter().map(|cause| (&*cause.label, &*cause.rule)).collect();
    assert_eq!(told, [("AGENT_77_CLERK", "CLERK"), (MATCHED, "")]);
    let ways = causes[1].ways.as_ref().unwrap();
    assert!(ways.direct);
    assert_eq!(ways.through, [GroupPath { group_ids: vec![inner, outer] }]);
    assert_eq!(ways.more, 0);
    let unmatched = answer.unmatched[0].label.as_ref().unwrap();
    assert_eq!((&*unmatched.label, &*unmatched.suggestion), (UNMATCHED, MATCHED));
    assert!(answer.unmatched[0].ways.as_ref().unwrap().direct);
}

#[tokio::test]
async fn nobody_and_one_who_is_inactive_have_nothing_to_explain() {
    let world = World::new().await;
    world.add_user("ann", false, &[MATCHED]);
    let answer = world.roles().explain_roles(explain("ann")).await.unwrap().into_inner();
    assert!(!answer.active && !answer.held && answer.has_labels && answer.grants.is_empty());
    assert_eq!(why(world.roles().explain_roles(explain("bob")).await), Reason::USER_NOT_FOUND);
}

#[tokio::test]
async fn holders_are_those_whose_effective_set_has_the_grant() {
    let world = World::new().await;
    let ann = world.add_user("ann", true, &[MATCHED, UNMATCHED]);
    world.add_user("bob", true, &["RETAILER_MAIN_STORE"]);
    world.add_user("eve", false, &[MATCHED]);
    let answers = listed(&world, "").await;
    let found: Vec<_> = answers.iter().flat_map(|answer| &answer.holders).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].user_id, found[0].held), (&ann, true));
    assert_eq!(found[0].labels, [MATCHED]);
    assert!(answers.iter().all(|answer| answer.revision_token == world.revision_token("acme", 10)));
}

#[tokio::test]
async fn a_long_list_goes_on_after_any_of_its_messages() {
    let world = World::new().await;
    for n in 0..1_100 {
        world.add_user(&format!("u{n}"), true, &[MATCHED]);
    }
    let answers = listed(&world, "").await;
    assert_eq!(answers.iter().map(|answer| answer.holders.len()).collect::<Vec<_>>(), [500, 500, 100]);
    assert_eq!(listed(&world, &answers[0].last_user_id).await, answers[1..]);
    assert_eq!(listed(&world, &answers[2].last_user_id).await[0].holders, []);
    assert_eq!(why(world.roles().list_role_holders(holders("x")).await), Reason::FIELD_INVALID);
}

#[tokio::test]
async fn a_list_of_holders_is_read_no_faster_than_it_is_taken() {
    let world = World::new().await;
    for n in 0..1_100 {
        world.add_user(&format!("u{n}"), true, &[MATCHED]);
    }
    let mut answers = world.roles().list_role_holders(holders("")).await.unwrap().into_inner();
    answers.try_next().await.unwrap();
    assert!(world.store().asked.holders <= 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_ends_when_the_token_it_was_begun_with_does() {
    let world = World::new().await;
    for n in 0..2_600 {
        world.add_user(&format!("u{n}"), true, &[MATCHED]);
    }
    let token = world.add_token("acme", &["roles:read"]);
    let request = with_token(holders(""), &token);
    let mut answers = world.roles_from_outside().list_role_holders(request).await.unwrap().into_inner();
    assert!(answers.try_next().await.unwrap().is_some());
    world.store().tokens.clear();
    tokio::time::advance(Duration::from_secs(6)).await;
    let ended = answers.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(Error::from_status(&ended).reason(), Reason::TOKEN_INVALID);
}

#[tokio::test]
async fn a_silent_store_ends_a_list_with_an_error() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    world.store().silent = true;
    let answers = world.roles().list_role_holders(holders("")).await.unwrap().into_inner();
    let ended = answers.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(Error::from_status(&ended).reason(), Reason::STORE_UNAVAILABLE);
}

#[tokio::test]
async fn many_checks_are_answered_in_order_from_one_read() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED, UNMATCHED]);
    let check = |name: &str, grant: Grant| RoleCheck { user: Some(user(name)), grant: Some(grant) };
    let elsewhere = Grant { context_id: "78".into(), ..store_in_chicago() };
    let checks = vec![check("ann", elsewhere), check("bob", store_in_chicago()), check("ann", store_in_chicago())];
    let request = |checks| BatchCheckRoleRequest { tenant: "acme".into(), checks, consistency: None };
    let answer = world.roles().batch_check_role(request(checks)).await.unwrap().into_inner();
    let told: Vec<_> = answer.results.iter().map(|result| (result.found, result.allowed, result.held)).collect();
    assert_eq!(told, [(true, false, true), (false, false, false), (true, true, true)]);
    assert_eq!(world.store().asked.holdings, 1);
    let many = vec![check("ann", store_in_chicago()); 1_001];
    assert_eq!(why(world.roles().batch_check_role(request(many)).await), Reason::TOO_LARGE);
}

#[tokio::test]
async fn one_who_held_a_grant_throughout_is_listed_though_another_label_came_to_give_it() {
    let world = World::new().await;
    let renamed = "AGENT_NEW-01_STORE";
    let ann = world.add_user("ann", true, &[MATCHED, renamed]);
    // While candidates are looked for, the location gets another ref, and ann loses the label that names the old one.
    world.store().meanwhile = Some(Box::new(move |state| {
        if (state.asked.holders, state.ground_version) == (1, 3) {
            state.change_ground(&["STORE"]);
            state.catalogue.as_mut().unwrap().locations[0].r#ref = "NEW-01".to_owned();
            state.relabel("ann", &[renamed]);
        }
    }));
    let answers = listed(&world, "").await;
    let found: Vec<_> = answers.iter().flat_map(|answer| &answer.holders).map(|holder| &holder.user_id).collect();
    assert_eq!(found, [&ann]);
    assert_eq!(world.store().asked.holders, 2, "as soon as the ground stands still, the list goes on");
}

/// Labels that take about so many mebibytes.
pub(super) fn hoard(mebibytes: usize) -> Vec<String> {
    let many = (0..100 * mebibytes).map(|n| format!("{n}{}", "x".repeat(10_000)));
    many.chain([MATCHED.to_owned()]).collect()
}

/// A user whose labels take about a mebibyte.
fn add_hoarder(world: &World, name: &str) {
    let labels = hoard(1);
    world.add_user(name, true, &labels.iter().map(String::as_str).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_who_holds_more_than_a_message_may_be_is_too_large_to_explain() {
    let world = World::new().await;
    let labels = hoard(17);
    world.add_user("ann", true, &labels.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(why(world.roles().explain_roles(explain("ann")).await), Reason::TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_held_for_one_answer_than_there_is_room_for() {
    let world = World::new().await;
    let names: Vec<_> = (0..70).map(|n| format!("u{n}")).collect();
    for name in &names {
        add_hoarder(&world, name);
    }
    let check = |name: &String| RoleCheck { user: Some(user(name)), grant: Some(store_in_chicago()) };
    let checks = names.iter().map(check).collect();
    let request = BatchCheckRoleRequest { tenant: "acme".into(), checks, consistency: None };
    assert_eq!(why(world.roles().batch_check_role(request).await), Reason::TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_holders_who_hold_too_much_to_be_held_together_goes_on_in_smaller_parts() {
    let world = World::new().await;
    for n in 0..70 {
        add_hoarder(&world, &format!("u{n}"));
    }
    let answers = listed(&world, "").await;
    assert_eq!(answers.iter().map(|answer| answer.holders.len()).sum::<usize>(), 70);
}

#[tokio::test(start_paused = true)]
async fn many_checks_of_one_who_holds_very_much_ask_for_it_once() {
    let world = World::new().await;
    add_hoarder(&world, "ann");
    let check = RoleCheck { user: Some(user("ann")), grant: Some(store_in_chicago()) };
    let request = BatchCheckRoleRequest { tenant: "acme".into(), checks: vec![check; 1_000], consistency: None };
    let answer = world.roles().batch_check_role(request).await.unwrap().into_inner();
    assert_eq!(answer.results.len(), 1_000);
    assert!(answer.results.iter().all(|result| result.found && result.allowed && result.held));
    let again = world.roles().batch_get_effective_roles(batch(&["ann"; 1_000])).await;
    assert_eq!(why(again), Reason::TOO_LARGE, "a thousand times the set is more than a message may be");
    let few = world.roles().batch_get_effective_roles(batch(&["ann"; 3])).await.unwrap().into_inner();
    assert_eq!(few.results.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_can_not_say_in_one_message_is_asked_for_in_parts_and_is_still_of_one_state() {
    let world = World::new().await;
    let names: Vec<_> = (0..40).map(|n| format!("u{n}")).collect();
    for name in &names {
        add_hoarder(&world, name);
    }
    // Between two parts, one of the first loses what it had.
    world.store().meanwhile = Some(Box::new(|state| {
        if (state.asked.holdings, state.revision) == (3, 10) {
            state.relabel("u0", &[]);
        }
    }));
    let check = |name: &String| RoleCheck { user: Some(user(name)), grant: Some(store_in_chicago()) };
    let checks = names.iter().map(check).collect();
    let request = BatchCheckRoleRequest { tenant: "acme".into(), checks, consistency: None };
    let answer = world.roles().batch_check_role(request).await.unwrap().into_inner();
    assert_eq!(answer.revision_token, world.revision_token("acme", 11));
    let allowed: Vec<_> = answer.results.iter().map(|result| result.allowed).collect();
    assert!(!allowed[0] && allowed[1..].iter().all(|allowed| *allowed));
}
