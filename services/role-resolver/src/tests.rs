//! The service as its callers see it, over a fake identity-store.

mod cache;
mod fake;
mod labels;
mod reports;
mod shared;
mod watch;

use domain::revision::{Epoch, Position, Revision};
use proto::common::v1::consistency::Requirement;
use proto::common::v1::{Consistency, ContextType, Grant, UnmatchedReason};
use proto::roles::v1::user_ref::Ref;
use proto::roles::v1::{
    BatchGetEffectiveRolesRequest, CheckRoleRequest, EffectiveSet, GetEffectiveRolesRequest, MatchLabelsRequest,
    UserRef,
};
use runtime::error::{Error, Kind, Reason};
use tonic::{Request, Status};

pub(crate) use cache::until;
use fake::World;

const MATCHED: &str = "AGENT_CHIC-01_STORE";
const UNMATCHED: &str = "AGENT_CHIC-01_STORES";

fn user(name: &str) -> UserRef {
    UserRef { r#ref: Some(Ref::UserName(name.to_owned())) }
}

fn get(name: &str) -> GetEffectiveRolesRequest {
    GetEffectiveRolesRequest { tenant: "acme".into(), user: Some(user(name)), consistency: None }
}

fn fresh(name: &str, requirement: Requirement) -> GetEffectiveRolesRequest {
    GetEffectiveRolesRequest { consistency: Some(Consistency { requirement: Some(requirement) }), ..get(name) }
}

fn batch(names: &[&str]) -> BatchGetEffectiveRolesRequest {
    let users = names.iter().map(|name| user(name)).collect();
    BatchGetEffectiveRolesRequest { tenant: "acme".into(), users, consistency: None }
}

fn labels(labels: &[&str]) -> MatchLabelsRequest {
    let labels = labels.iter().map(ToString::to_string).collect();
    MatchLabelsRequest { tenant: "acme".into(), labels, with_grants: false }
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

fn store_in_chicago() -> Grant {
    Grant { role: "STORE".into(), context_type: ContextType::Agent.into(), context_id: "77".into() }
}

async fn set_of(world: &World, name: &str) -> EffectiveSet {
    world.roles().get_effective_roles(get(name)).await.unwrap().into_inner().effective.unwrap()
}

fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> Reason {
    Error::from_status(&answer.unwrap_err()).reason()
}

#[tokio::test]
async fn a_matched_label_gives_its_grant_and_says_where_it_came_from() {
    let world = World::new().await;
    let id = world.add_user("ann", true, &[MATCHED]);
    let answer = world.roles().get_effective_roles(get("ann")).await.unwrap().into_inner();
    let set = answer.effective.unwrap();
    assert_eq!((set.user_id, set.active, set.held, set.has_labels), (id, true, false, true));
    assert_eq!(set.grants.len(), 1);
    assert_eq!(set.grants[0].grant, Some(store_in_chicago()));
    assert_eq!(set.grants[0].labels, [MATCHED]);
    assert_eq!(answer.position.unwrap().revision, 10);
}

#[tokio::test]
async fn an_unmatched_label_holds_the_user_and_is_explained() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED, UNMATCHED]);
    let set = set_of(&world, "ann").await;
    assert!(set.held);
    assert_eq!(set.grants.len(), 1);
    assert_eq!(set.unmatched.len(), 1);
    assert_eq!(set.unmatched[0].label, UNMATCHED);
    assert_eq!(set.unmatched[0].reason(), UnmatchedReason::UnknownRole);
    assert_eq!(set.unmatched[0].suggestion, MATCHED);
}

#[tokio::test]
async fn rules_and_the_accounts_name_are_part_of_the_ground() {
    let world = World::new().await;
    world.add_user("ann", true, &["ACCOUNT_ACME_STORE", "RETAILER_MAIN_CLERK"]);
    let set = set_of(&world, "ann").await;
    assert!(!set.held);
    assert_eq!(set.grants.len(), 2);
}

#[tokio::test]
async fn one_who_is_inactive_has_nothing_and_is_not_held() {
    let world = World::new().await;
    world.add_user("ann", false, &[MATCHED, UNMATCHED]);
    let set = set_of(&world, "ann").await;
    assert!(!set.active && !set.held && set.has_labels && set.grants.is_empty() && set.unmatched.is_empty());
}

#[tokio::test]
async fn a_user_is_found_by_id_name_and_external_id() {
    let world = World::new().await;
    let id = world.add_user("ann", true, &[MATCHED]);
    for named in [Ref::Id(id.clone()), Ref::UserName("ANN".into()), Ref::ExternalId("ANN".into())] {
        let request = GetEffectiveRolesRequest { user: Some(UserRef { r#ref: Some(named) }), ..get("") };
        let answer = world.roles().get_effective_roles(request).await.unwrap().into_inner();
        assert_eq!(answer.effective.unwrap().user_id, id);
    }
}

#[tokio::test]
async fn an_unknown_user_is_not_found_and_in_a_batch_has_no_set() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    assert_eq!(why(world.roles().get_effective_roles(get("bob")).await), Reason::USER_NOT_FOUND);
    let check = CheckRoleRequest {
        tenant: "acme".into(),
        user: Some(user("bob")),
        grant: Some(store_in_chicago()),
        consistency: None,
    };
    assert_eq!(why(world.roles().check_role(check).await), Reason::USER_NOT_FOUND);
    let answer = world.roles().batch_get_effective_roles(batch(&["bob", "ann", "ann"])).await.unwrap().into_inner();
    let found: Vec<bool> = answer.results.iter().map(|result| result.effective.is_some()).collect();
    assert_eq!(found, [false, true, true]);
    assert_eq!(world.store().asked.holdings, 3, "a batch is one read of the store");
}

#[tokio::test]
async fn a_role_is_checked_in_exactly_its_context() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED, UNMATCHED]);
    let check = async |grant: Grant| {
        let request =
            CheckRoleRequest { tenant: "acme".into(), user: Some(user("ann")), grant: Some(grant), consistency: None };
        let answer = world.roles().check_role(request).await.unwrap().into_inner();
        assert!(answer.held);
        answer.allowed
    };
    assert!(check(store_in_chicago()).await);
    assert!(!check(Grant { role: "store".into(), ..store_in_chicago() }).await);
    assert!(!check(Grant { context_id: "78".into(), ..store_in_chicago() }).await);
    assert!(!check(Grant { context_type: ContextType::Retailer.into(), ..store_in_chicago() }).await);
}

#[tokio::test]
async fn every_answer_carries_a_token_that_later_reads_may_present() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let token = world.roles().get_effective_roles(get("ann")).await.unwrap().into_inner().revision_token;
    assert_eq!(token, world.revision_token("acme", 10));
    assert_eq!(world.roles().batch_get_effective_roles(batch(&[])).await.unwrap().into_inner().revision_token, token);
    world.store().revision = 11;
    for (requirement, revision) in [
        (Requirement::AtLeastAsFresh(token), 10),
        (Requirement::MinimizeLatency(true), 11),
        (Requirement::FullyConsistent(true), 11),
    ] {
        let answer = world.roles().get_effective_roles(fresh("ann", requirement)).await.unwrap().into_inner();
        assert!(answer.position.unwrap().revision >= revision);
    }
}

#[tokio::test]
async fn a_token_of_another_history_is_refused() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let elsewhere = Position { epoch: Epoch::new(), revision: Revision(1) };
    let cases = [
        (world.revision_token("acme", 11), Reason::REVISION_AHEAD),
        (world.revision_token("other", 10), Reason::REVISION_OF_OTHER_TENANT),
        (world.key.seal(&"acme".parse().unwrap(), elsewhere), Reason::EPOCH_MISMATCH),
        ("junk".to_owned(), Reason::REVISION_TOKEN_INVALID),
    ];
    for (token, reason) in cases {
        let answer = world.roles().get_effective_roles(fresh("ann", Requirement::AtLeastAsFresh(token))).await;
        assert_eq!(why(answer), reason);
    }
}

#[tokio::test]
async fn the_ground_is_read_once_for_all_and_again_when_a_holding_names_another() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let (mut one, mut two) = (world.roles(), world.roles());
    let (first, second) = tokio::join!(one.get_effective_roles(get("ann")), two.get_effective_roles(get("ann")));
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(world.store().asked.grounds, 1, "two readers, one read");
    world.store().revision += 1;
    set_of(&world, "ann").await;
    assert_eq!(world.store().asked.grounds, 1, "another revision, the same ground");
    world.store().change_ground(&["OTHER"]);
    assert!(set_of(&world, "ann").await.grants.is_empty());
    assert_eq!(world.store().asked.grounds, 2);
}

#[tokio::test]
async fn a_ground_that_changes_between_the_reads_is_never_mixed_with_older_holdings() {
    let world = World::new().await;
    let id = world.add_user("ann", true, &[MATCHED]);
    // While the ground is read, ann loses the label, and then the role becomes one that the label would have given.
    world.store().meanwhile = Some(Box::new(move |state| {
        if state.asked.holdings == 1 && state.asked.grounds == 0 {
            state.users.iter_mut().find(|(_, holding)| holding.user_id == id).unwrap().1.labels.clear();
            state.change_ground(&["STORE", "NEW"]);
        }
    }));
    let answer = world.roles().get_effective_roles(get("ann")).await.unwrap().into_inner();
    assert!(answer.effective.unwrap().grants.is_empty());
    assert_eq!(answer.position.unwrap().revision, 11);
    assert_eq!(world.store().asked.holdings, 2);
}

#[tokio::test]
async fn a_ground_that_never_stands_still_is_no_endless_loop() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    world.store().meanwhile = Some(Box::new(|state| state.change_ground(&["STORE"])));
    assert_eq!(why(world.roles().get_effective_roles(get("ann")).await), Reason::UNAVAILABLE);
    assert_eq!(world.store().asked.holdings, 5);
}

#[tokio::test]
async fn another_life_of_the_database_has_another_ground_under_the_same_number() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    assert_eq!(set_of(&world, "ann").await.grants.len(), 1);
    {
        let mut store = world.store();
        store.epoch = Epoch::new();
        store.catalogue = Some(fake::catalogue(&["OTHER"]));
    }
    assert!(set_of(&world, "ann").await.grants.is_empty());
    world.store().epoch = Epoch::new();
    world.store().catalogue = Some(fake::catalogue(&["STORE"]));
    let answer = world.labels().match_labels(labels(&[MATCHED])).await.unwrap().into_inner();
    assert!(answer.unmatched.is_empty());
}

#[tokio::test]
async fn before_the_first_catalogue_only_those_whose_labels_do_not_matter_are_answered() {
    let world = World::new().await;
    world.store().catalogue = None;
    world.add_user("labelled", true, &[MATCHED]);
    world.add_user("inactive", false, &[MATCHED]);
    world.add_user("bare", true, &[]);
    let refused = world.roles().get_effective_roles(get("labelled")).await;
    let error = Error::from_status(&refused.unwrap_err());
    assert_eq!((error.reason(), error.kind()), (Reason::CATALOGUE_MISSING, Reason::CATALOGUE_MISSING.kind()));
    assert!(error.retry_delay().is_some());
    assert!(!set_of(&world, "inactive").await.held);
    assert!(set_of(&world, "bare").await.held);
    assert_eq!(
        why(world.roles().batch_get_effective_roles(batch(&["bare", "labelled"])).await),
        Reason::CATALOGUE_MISSING,
        "a result without a set would say that there is no such user"
    );
    assert_eq!(why(world.labels().match_labels(labels(&[])).await), Reason::CATALOGUE_MISSING);
    world.store().change_ground(&["STORE"]);
    assert_eq!(set_of(&world, "labelled").await.grants.len(), 1);
}

#[tokio::test]
async fn labels_are_matched_against_the_newest_ground() {
    let world = World::new().await;
    let answer = world.labels().match_labels(labels(&[UNMATCHED, MATCHED, "x"])).await.unwrap().into_inner();
    let told: Vec<(&str, UnmatchedReason)> =
        answer.unmatched.iter().map(|label| (&*label.label, label.reason())).collect();
    assert_eq!(told, [(UNMATCHED, UnmatchedReason::UnknownRole), ("x", UnmatchedReason::Malformed)]);
    assert!(answer.grants.is_empty());
    let with_grants = MatchLabelsRequest { with_grants: true, ..labels(&[UNMATCHED, MATCHED, MATCHED, "x"]) };
    let answer = world.labels().match_labels(with_grants).await.unwrap().into_inner();
    let grants: Vec<_> = answer.grants.iter().map(|grant| grant.role.as_str()).collect();
    assert_eq!((grants, answer.unmatched.len()), (vec!["STORE"], 2));
    world.store().change_ground(&["STORES"]);
    let answer = world.labels().match_labels(labels(&[UNMATCHED])).await.unwrap().into_inner();
    assert!(answer.unmatched.is_empty());
}

#[tokio::test]
async fn a_silent_store_is_an_error_and_never_a_guess() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let token = world.add_token("acme", &["roles:read"]);
    set_of(&world, "ann").await;
    world.store().silent = true;
    let asked = [
        why(world.roles().get_effective_roles(get("ann")).await),
        why(world.labels().match_labels(labels(&[MATCHED])).await),
        why(world.roles_from_outside().get_effective_roles(with_token(get("ann"), &token)).await),
    ];
    assert_eq!(asked, [Reason::STORE_UNAVAILABLE; 3]);
    assert_eq!(Reason::STORE_UNAVAILABLE.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_bearer_token_reads_its_own_tenant_and_no_other() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let token = world.add_token("acme", &["scim", "roles:read"]);
    let ask = async |tenant: &str| {
        let message = GetEffectiveRolesRequest { tenant: tenant.to_owned(), ..get("ann") };
        world.roles_from_outside().get_effective_roles(with_token(message, &token)).await
    };
    assert!(ask("acme").await.is_ok());
    assert!(ask("").await.is_ok());
    assert_eq!(why(ask("other").await), Reason::TENANT_MISMATCH);
    assert_eq!(world.store().asked.tokens, 1, "verified once, believed for a moment");
}

#[tokio::test]
async fn who_has_no_good_token_of_the_right_scope_is_refused() {
    let world = World::new().await;
    world.add_user("ann", true, &[MATCHED]);
    let scim = world.add_token("acme", &["scim"]);
    let revoked = world.add_token("acme", &["roles:read"]);
    world.store().tokens.pop();
    let mut roles = world.roles_from_outside();
    assert_eq!(why(roles.get_effective_roles(get("ann")).await), Reason::UNAUTHENTICATED);
    assert_eq!(why(roles.get_effective_roles(with_token(get("ann"), &scim)).await), Reason::SCOPE_MISSING);
    assert_eq!(why(roles.batch_get_effective_roles(with_token(batch(&[]), &revoked)).await), Reason::TOKEN_INVALID);
    let asked = world.store().asked.tokens;
    assert_eq!(why(roles.check_role(with_token(CheckRoleRequest::default(), "junk")).await), Reason::TOKEN_INVALID);
    assert_eq!(world.store().asked.tokens, asked, "junk is refused by its checksum");
    assert_eq!(world.store().asked.holdings, 0);
}

#[tokio::test]
async fn only_parts_of_rolecall_match_labels() {
    let world = World::new().await;
    let token = world.add_token("acme", &["scim", "roles:read"]);
    let mut outside = world.labels_from_outside();
    assert_eq!(why(outside.match_labels(with_token(labels(&[]), &token)).await), Reason::PEER_REQUIRED);
    assert_eq!(why(outside.match_labels(labels(&[])).await), Reason::UNAUTHENTICATED);
}

#[tokio::test]
async fn a_request_that_cannot_be_meant_is_refused_before_the_store_is_asked() {
    let world = World::new().await;
    let mut roles = world.roles();
    let nobody = GetEffectiveRolesRequest { user: None, ..get("") };
    assert_eq!(why(roles.get_effective_roles(nobody).await), Reason::FIELD_MISSING);
    assert_eq!(why(roles.get_effective_roles(get("")).await), Reason::FIELD_INVALID);
    for (tenant, reason) in [("", Reason::FIELD_MISSING), ("../x", Reason::FIELD_INVALID)] {
        let message = GetEffectiveRolesRequest { tenant: tenant.into(), ..get("ann") };
        assert_eq!(why(roles.get_effective_roles(message).await), reason);
    }
    let unfree = fresh("ann", Requirement::FullyConsistent(false));
    assert_eq!(why(roles.get_effective_roles(unfree).await), Reason::FIELD_INVALID);
    assert_eq!(why(roles.batch_get_effective_roles(batch(&["ann"; 1_001])).await), Reason::TOO_LARGE);
    assert_eq!(why(world.labels().match_labels(labels(&["x"; 1_001])).await), Reason::TOO_LARGE);
    for grant in [
        None,
        Some(Grant { role: String::new(), ..store_in_chicago() }),
        Some(Grant { context_type: 0, ..store_in_chicago() }),
        Some(Grant { context_type: 99, ..store_in_chicago() }),
        Some(Grant { context_id: String::new(), ..store_in_chicago() }),
    ] {
        let request = CheckRoleRequest { tenant: "acme".into(), user: Some(user("ann")), grant, consistency: None };
        assert_eq!(why(roles.check_role(request).await), Reason::FIELD_MISSING);
    }
    assert_eq!(world.store().asked, fake::Asked::default());
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() {
    let world = World::new().await;
    let message = GetEffectiveRolesRequest { tenant: "nobody".into(), ..get("ann") };
    assert_eq!(why(world.roles().get_effective_roles(message).await), Reason::TENANT_NOT_FOUND);
}
