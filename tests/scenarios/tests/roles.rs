//! What internal systems ask of the role-resolver.
#![allow(clippy::unwrap_used, reason = "an answer where a refusal was due is a failed test")]

use std::collections::BTreeMap;

use anyhow::Result;
use harness::{Family, Part, Shape, eventually};
use proto::common::v1::{ContextType, Grant, consistency::Requirement};
use proto::roles::v1 as pb;
use scenarios::asking::Resolver;
use scenarios::stories;
use serde_json::json;
use tonic::Code;
use tonic::transport::Channel;

stories!(
    an_internal_system_learns_what_a_person_may_do,
    no_reader_with_the_token_of_a_revocation_sees_the_old_grants,
    a_token_of_scim_or_of_another_tenant_opens_nothing,
    a_revision_token_of_another_life_is_refused,
    the_contracts_can_be_reflected_and_health_is_told,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";

fn by_id(id: &str) -> pb::user_ref::Ref {
    pb::user_ref::Ref::Id(id.to_owned())
}

async fn an_internal_system_learns_what_a_person_may_do(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("Ann", &[CHICAGO, "agent_1023434_WAREHOUSE_ASSOCIATE"]).await?;
    let mut resolver = Resolver::of(&family).await?;
    for user in
        [by_id(hired.id()), pb::user_ref::Ref::UserName("ANN".into()), pb::user_ref::Ref::ExternalId("ext-Ann".into())]
    {
        let answer = resolver.roles(user, None).await?.effective.unwrap_or_default();
        assert!(answer.active && !answer.held && answer.user_id == hired.id());
        assert_eq!(answer.grants.len(), 1, "two labels, one grant");
        assert_eq!(answer.grants[0].labels, [CHICAGO, "agent_1023434_WAREHOUSE_ASSOCIATE"]);
    }
    let unknown = resolver.roles(by_id("00000000-0000-0000-0000-000000000000"), None).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);

    let grant =
        |role: &str| Grant { role: role.into(), context_type: ContextType::Agent.into(), context_id: "1023434".into() };
    for (role, allowed) in [("WAREHOUSE_ASSOCIATE", true), ("STORE", false)] {
        let message = pb::CheckRoleRequest {
            user: Some(pb::UserRef { r#ref: Some(by_id(hired.id())) }),
            grant: Some(grant(role)),
            ..Default::default()
        };
        let request = resolver.request(message)?;
        assert_eq!(resolver.client.check_role(request).await?.into_inner().allowed, allowed, "{role}");
    }
    let users =
        [hired.id(), "00000000-0000-0000-0000-000000000000"].map(|id| pb::UserRef { r#ref: Some(by_id(id)) }).to_vec();
    let request = resolver.request(pb::BatchGetEffectiveRolesRequest { users, ..Default::default() })?;
    let results = resolver.client.batch_get_effective_roles(request).await?.into_inner().results;
    assert_eq!(results.iter().map(|result| result.effective.is_some()).collect::<Vec<_>>(), [true, false]);
    Ok(())
}

async fn no_reader_with_the_token_of_a_revocation_sees_the_old_grants(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let mut resolver = Resolver::of(&family).await?;
    let hired = family.scim.hire("bob", &[CHICAGO]).await?;
    let path = format!("/Users/{}", hired.id());
    for round in 0..20 {
        let operations = json!([{"op": "replace", "path": "active", "value": round % 2 == 1}]);
        let changed = family.scim.patch(&path, &operations).await?;
        let token = changed.header("rolecall-revision").to_owned();
        let fresh = resolver.roles(by_id(hired.id()), Some(Requirement::AtLeastAsFresh(token))).await?;
        let active = round % 2 == 1;
        let effective = fresh.effective.unwrap_or_default();
        assert_eq!((effective.active, effective.grants.len()), (active, usize::from(active)), "round {round}");
        let full = resolver.roles(by_id(hired.id()), Some(Requirement::FullyConsistent(true))).await?;
        assert_eq!(full.effective.unwrap_or_default().active, active);
    }
    Ok(())
}

async fn a_token_of_scim_or_of_another_tenant_opens_nothing(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let hired = family.scim.hire("cal", &[CHICAGO]).await?;
    let mut resolver = Resolver::of(&family).await?;
    let message = pb::GetEffectiveRolesRequest {
        tenant: "other".into(),
        user: Some(pb::UserRef { r#ref: Some(by_id(hired.id())) }),
        consistency: None,
    };
    let request = resolver.request(message)?;
    assert_eq!(resolver.client.get_effective_roles(request).await.unwrap_err().code(), Code::PermissionDenied);
    for token in ["", "nonsense"] {
        resolver.token = token.to_owned();
        let refused = resolver.roles(by_id(hired.id()), None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token:?}");
    }
    if shape == Shape::Processes {
        resolver.token = family.scim.token().to_owned();
        let refused = resolver.roles(by_id(hired.id()), None).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "a token of scope scim");
    }
    Ok(())
}

async fn a_revision_token_of_another_life_is_refused(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let other = Family::start(Shape::Single).await?;
    let hired = family.scim.hire("dot", &[CHICAGO]).await?;
    let foreign = other.scim.hire("dot", &[CHICAGO]).await?.header("rolecall-revision").to_owned();
    let mut resolver = Resolver::of(&family).await?;
    for token in [foreign.as_str(), "nonsense", ""] {
        let requirement = Requirement::AtLeastAsFresh(token.to_owned());
        let refused = resolver.roles(by_id(hired.id()), Some(requirement)).await.unwrap_err();
        assert!(matches!(refused.code(), Code::FailedPrecondition | Code::InvalidArgument), "{refused}");
    }
    Ok(())
}

async fn the_contracts_can_be_reflected_and_health_is_told(shape: Shape) -> Result<()> {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let family = Family::start(shape).await?;
    let channel = Channel::from_shared(format!("http://{}", family.grpc))?.connect().await?;
    let healthy = eventually("the resolver is healthy", async || {
        let service = "rolecall.roles.v1.RoleService".to_owned();
        let answer = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await.ok()?;
        (answer.into_inner().status == 1).then_some(())
    });
    healthy.await?;
    let services = harness::reflected_services(&family.grpc).await?;
    assert!(services.iter().any(|name| name == "rolecall.roles.v1.RoleService"), "{services:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_comes_and_goes_and_no_replica_gives_a_revoked_grant_back() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    let hired = family.scim.hire("Ann", &[CHICAGO]).await?;
    let mut resolvers = vec![Resolver::of(&family).await?];
    family.grpc = family.replica(Part::RoleResolver).await?;
    resolvers.push(Resolver::of(&family).await?);
    let path = format!("/Users/{}", hired.id());
    for round in 0..6 {
        for labels in [json!([]), json!([{ "value": CHICAGO }])] {
            let operations = json!([{ "op": "replace", "path": "roles", "value": labels }]);
            let changed = family.scim.patch(&path, &operations).await?;
            let token = changed.header("rolecall-revision").to_owned();
            for resolver in &mut resolvers {
                let sure = Requirement::AtLeastAsFresh(token.clone());
                let set = resolver.roles(by_id(hired.id()), Some(sure)).await?.effective.unwrap_or_default();
                assert_eq!(set.grants.len(), labels.as_array().map_or(0, Vec::len), "round {round}");
            }
            match round % 3 {
                0 => {
                    family.redis()?.kill()?;
                    family.redis()?.restart()?;
                }
                1 => family.redis()?.freeze()?,
                _ => family.redis()?.thaw()?,
            }
        }
    }
    family.redis()?.thaw()?;
    // Without a token it may take a moment; then all replicas tell the same.
    for resolver in &mut resolvers {
        eventually("the grant is back", async || {
            let answer = resolver.roles(by_id(hired.id()), None).await.ok()?;
            (answer.effective?.grants.len() == 1).then_some(())
        })
        .await?;
    }
    Ok(())
}

/// Every value in Redis: the revision it says it is right at, and whether it holds the label.
fn kept(family: &mut Family) -> Result<Vec<(u64, bool)>> {
    let mut redis = redis::Client::open(family.redis()?.url())?.get_connection()?;
    let mut all = Vec::new();
    for key in redis::cmd("KEYS").arg("*").query::<Vec<String>>(&mut redis)? {
        let Some(value) = redis::cmd("GET").arg(key).query::<Option<Vec<u8>>>(&mut redis)? else { continue };
        let revision = u64::from_be_bytes(value[17..25].try_into()?);
        all.push((revision, value.windows(CHICAGO.len()).any(|part| part == CHICAGO.as_bytes())));
    }
    Ok(all)
}

/// K05: role-resolver is killed while Redis, which stands still, has yet to take in what was read; it takes it in late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_whose_replica_was_killed_claims_no_more_than_it_read() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    let hired = family.scim.hire("ann", &[]).await?;
    let path = format!("/Users/{}", hired.id());
    let mut truth = BTreeMap::from([(0, false)]);
    for round in 0..5 {
        let mut resolver = Resolver::of(&family).await?;
        let mut token = String::new();
        for given in [true, false] {
            let labels = if given { json!([{ "value": CHICAGO }]) } else { json!([]) };
            let operations = json!([{ "op": "replace", "path": "roles", "value": labels }]);
            let changed = family.scim.patch(&path, &operations).await?;
            assert_eq!(changed.status, 200, "{}", changed.body);
            token = changed.header("rolecall-revision").to_owned();
            if !given {
                break;
            }
            family.redis()?.freeze()?;
            let read = resolver.roles(by_id(hired.id()), Some(Requirement::AtLeastAsFresh(token.clone()))).await?;
            assert_eq!(read.effective.unwrap_or_default().grants.len(), 1);
            truth.insert(read.position.unwrap_or_default().revision, true);
            family.kill(Part::RoleResolver)?;
        }
        family.redis()?.thaw()?;
        family.run(Part::RoleResolver).await?;
        let mut resolver = Resolver::of(&family).await?;
        let sure = Requirement::AtLeastAsFresh(token);
        let read = resolver.roles(by_id(hired.id()), Some(sure)).await?;
        assert!(read.effective.unwrap_or_default().grants.is_empty(), "round {round}");
        let head = read.position.unwrap_or_default().revision;
        truth.insert(head, false);
        for (revision, has_label) in kept(&mut family)? {
            let was = truth.range(..=revision).next_back().is_some_and(|(_, was)| *was);
            assert!(revision <= head && has_label == was, "{revision} of {head}: {has_label}");
        }
    }
    Ok(())
}

/// K15: an older backup is restored, while Fluent, the pusher, Redis and the replicas know of more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_is_noticed_and_nothing_of_its_lost_future_is_answered_or_stays_in_fluent() -> Result<()> {
    const NEW_YORK: &str = "AGENT_NYC-05_STORE";
    let grant = ["WAREHOUSE_ASSOCIATE in AGENT 1023434"];
    let mut family = Family::start(Shape::Processes).await?;
    let ann = family.scim.hire("ann", &[CHICAGO]).await?;
    let bob = family.scim.hire("bob", &[CHICAGO]).await?;
    for name in ["ann", "bob"] {
        family.fluent.until_works(name, &grant).await?;
    }
    family.kill(Part::IdentityStore)?;
    let backup = family.back_up(Part::IdentityStore).await?;
    family.run(Part::IdentityStore).await?;

    let dismissal = json!([{ "op": "replace", "path": "active", "value": false }]);
    let dismissed = eventually("the dismissal is accepted", async || {
        family.scim.patch(&format!("/Users/{}", ann.id()), &dismissal).await.ok().filter(|answer| answer.status == 200)
    });
    let lost = dismissed.await?.header("rolecall-revision").to_owned();
    let moved = json!([{ "op": "replace", "path": "roles", "value": [{ "value": NEW_YORK }] }]);
    assert_eq!(family.scim.patch(&format!("/Users/{}", bob.id()), &moved).await?.status, 200);
    let eve = family.scim.hire("eve", &[CHICAGO]).await?;
    family.fluent.until_gone("ann").await?;
    family.fluent.until_works("bob", &["STORE in AGENT 1023436"]).await?;
    family.fluent.until_works("eve", &grant).await?;
    let mut resolver = Resolver::of(&family).await?;
    for (user, labels) in [(&ann, &[][..]), (&bob, &[NEW_YORK]), (&eve, &[CHICAGO])] {
        let read = resolver.roles(by_id(user.id()), Some(Requirement::AtLeastAsFresh(lost.clone()))).await?;
        let told: Vec<_> =
            read.effective.unwrap_or_default().grants.into_iter().flat_map(|grant| grant.labels).collect();
        assert_eq!(told, labels);
    }

    family.kill(Part::IdentityStore)?;
    family.restore(&backup).await?;
    family.run(Part::IdentityStore).await?;
    eventually("a token of the lost future is refused", async || {
        let read = resolver.roles(by_id(ann.id()), Some(Requirement::AtLeastAsFresh(lost.clone()))).await;
        read.is_err_and(|refused| refused.code() == Code::FailedPrecondition).then_some(())
    })
    .await?;
    // The replica that was there, and a new one over the Redis that still keeps what was lost.
    family.grpc = family.replica(Part::RoleResolver).await?;
    for resolver in [&mut resolver, &mut Resolver::of(&family).await?] {
        for requirement in [Some(Requirement::FullyConsistent(true)), None] {
            for user in [&ann, &bob] {
                let set = resolver.roles(by_id(user.id()), requirement.clone()).await?.effective.unwrap_or_default();
                assert!(set.active && set.grants.len() == 1 && set.grants[0].labels == [CHICAGO], "{set:?}");
            }
            let unknown = resolver.roles(by_id(eve.id()), requirement).await;
            assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
        }
        let refused = resolver.roles(by_id(ann.id()), Some(Requirement::AtLeastAsFresh(lost.clone()))).await;
        assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    }
    for name in ["ann", "bob"] {
        family.fluent.until_works(name, &grant).await?;
    }
    family.fluent.until_gone("eve").await?;
    Ok(())
}
