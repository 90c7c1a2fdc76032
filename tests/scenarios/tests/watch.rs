//! What is told to an internal system that watches: everything that gives or takes access, as it happens or when it comes
//! back.
#![allow(clippy::unwrap_used, reason = "an answer where a refusal was due is a failed test")]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use harness::{Family, Shape, eventually};
use proto::roles::v1 as pb;
use scenarios::asking::Resolver;
use scenarios::{change, group, relabel, stories};
use serde_json::{Value, json};
use tonic::{Code, Streaming};

stories!(
    a_watch_tells_whatever_gives_or_takes_access,
    a_watch_that_broke_off_goes_on_and_nothing_is_lost_between,
    nobody_is_lost_while_many_write_at_one_time,
    a_preview_says_what_the_change_of_a_groups_labels_then_does,
);

const PICKER: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const STORE: &str = "AGENT_CHIC-01_STORE";
const PATIENCE: Duration = Duration::from_mins(1);

/// The set of a user as it is now; `None` for one who is gone.
async fn now(resolver: &mut Resolver, id: &str) -> Result<Option<pb::EffectiveSet>> {
    let user = pb::UserRef { r#ref: Some(pb::user_ref::Ref::Id(id.to_owned())) };
    let request = resolver.request(pb::BatchGetEffectiveRolesRequest {
        users: vec![user],
        consistency: Some(proto::common::v1::Consistency {
            requirement: Some(proto::common::v1::consistency::Requirement::FullyConsistent(true)),
        }),
        ..Default::default()
    })?;
    let results = resolver.client.batch_get_effective_roles(request).await?.into_inner().results;
    Ok(results.into_iter().next().context("one result")?.effective)
}

/// A watch, and what it told last of each user.
struct Watch {
    changes: Streaming<pb::WatchRolesResponse>,
    token: String,
    sets: BTreeMap<String, Option<pb::EffectiveSet>>,
}

impl Watch {
    /// Begins after a token, or now.
    async fn begin(resolver: &mut Resolver, after: &str) -> Result<Self> {
        let request = resolver.request(pb::WatchRolesRequest { tenant: String::new(), after: after.to_owned() })?;
        let mut changes = resolver.client.watch_roles(request).await?.into_inner();
        let begun = changes.message().await?.context("a watch begins")?;
        ensure!(begun.users.is_empty() && (after.is_empty() || begun.revision_token == after), "{begun:?}");
        Ok(Self { changes, token: begun.revision_token, sets: BTreeMap::new() })
    }

    async fn next(&mut self) -> Result<()> {
        let message = tokio::time::timeout(PATIENCE, self.changes.message()).await.context("the watch is silent")??;
        let pb::WatchRolesResponse { users, revision_token, position } = message.context("a watch does not end")?;
        ensure!(position.is_some() || users.is_empty(), "sets are of some state");
        self.sets.extend(users.into_iter().map(|user| (user.user_id, user.effective)));
        if !revision_token.is_empty() {
            self.token = revision_token;
        }
        Ok(())
    }

    /// Listens until what was told last of a user is so.
    async fn until(&mut self, id: &str, what: &str, is: impl Fn(Option<&pb::EffectiveSet>) -> bool) -> Result<()> {
        while !self.sets.get(id).is_some_and(|set| is(set.as_ref())) {
            self.next().await.with_context(|| format!("{what}: {:?}", self.sets.get(id)))?;
        }
        Ok(())
    }

    /// Listens until the user was told to hold these roles, and no others.
    async fn until_holds(&mut self, id: &str, roles: &[&str]) -> Result<()> {
        self.until(id, &format!("{roles:?}"), |set| set.is_some_and(|set| held(set) == roles)).await
    }
}

fn held(set: &pb::EffectiveSet) -> Vec<&str> {
    let mut roles: Vec<_> = set.grants.iter().flat_map(|given| &given.grant).map(|grant| grant.role.as_str()).collect();
    roles.sort_unstable();
    roles
}

async fn a_watch_tells_whatever_gives_or_takes_access(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let ann = family.scim.hire("ann", &[PICKER]).await?;
    let (id, path) = (ann.id(), format!("/Users/{}", ann.id()));
    let mut watch = Watch::begin(&mut Resolver::of(&family).await?, "").await?;

    change(&family, &path, &relabel(&[STORE])).await?;
    watch.until_holds(id, &["STORE"]).await?;
    let inner = group(&family, "inner", &[], &[id]).await?;
    let outer = group(&family, "outer", &[PICKER], &[]).await?;
    let (inner_path, outer_path) = (format!("/Groups/{}", inner.id()), format!("/Groups/{}", outer.id()));
    let nest = json!([{"op": "add", "path": "members", "value": [{"value": inner.id()}]}]);
    change(&family, &outer_path, &nest).await?;
    watch.until_holds(id, &["STORE", "WAREHOUSE_ASSOCIATE"]).await?;
    change(&family, &outer_path, &relabel(&[])).await?;
    watch.until_holds(id, &["STORE"]).await?;
    change(&family, &inner_path, &relabel(&[PICKER])).await?;
    watch.until_holds(id, &["STORE", "WAREHOUSE_ASSOCIATE"]).await?;
    let leave = json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]);
    change(&family, &inner_path, &leave).await?;
    watch.until_holds(id, &["STORE"]).await?;

    let rules = r#"{"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": "STORE"},
        "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": "STORE", "targetRoles": ["WAREHOUSE_ASSOCIATE"]}}]}"#;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), rules)?;
    let file = file.path().to_str().context("a path")?;
    family.operate(&["tenant", "rules", "put", "dev", file])?;
    watch.until_holds(id, &["WAREHOUSE_ASSOCIATE"]).await?;

    change(&family, &path, &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    watch.until(id, "inactive", |set| set.is_some_and(|set| !set.active && set.grants.is_empty())).await?;
    ensure!(family.scim.delete(&path).await?.status == 204, "it can be deleted");
    watch.until(id, "gone", |set| set.is_none()).await
}

async fn a_watch_that_broke_off_goes_on_and_nothing_is_lost_between(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let (ann, bob) = (family.scim.hire("ann", &[PICKER]).await?, family.scim.hire("bob", &[PICKER]).await?);
    let mut resolver = Resolver::of(&family).await?;
    let begun = Watch::begin(&mut resolver, "").await?.token;
    for round in 0..20 {
        let label = if round % 2 == 0 { STORE } else { PICKER };
        change(&family, &format!("/Users/{}", ann.id()), &relabel(&[label])).await?;
    }
    let all = group(&family, "all", &[STORE], &[ann.id(), bob.id()]).await?;
    let mut again = Watch::begin(&mut resolver, &begun).await?;
    again.until_holds(ann.id(), &["STORE", "WAREHOUSE_ASSOCIATE"]).await?;
    again.until_holds(bob.id(), &["STORE", "WAREHOUSE_ASSOCIATE"]).await?;
    let later = again.token.clone();
    drop(again);
    ensure!(family.scim.delete(&format!("/Groups/{}", all.id())).await?.status == 204, "it can be deleted");
    let mut last = Watch::begin(&mut resolver, &later).await?;
    last.until_holds(ann.id(), &["WAREHOUSE_ASSOCIATE"]).await?;
    last.until_holds(bob.id(), &["WAREHOUSE_ASSOCIATE"]).await?;

    for (token, code) in [("nonsense", Code::InvalidArgument), (&format!("{begun}A"), Code::InvalidArgument)] {
        let request = resolver.request(pb::WatchRolesRequest { tenant: String::new(), after: token.to_owned() })?;
        assert_eq!(resolver.client.watch_roles(request).await.unwrap_err().code(), code);
    }
    Ok(())
}

async fn nobody_is_lost_while_many_write_at_one_time(shape: Shape) -> Result<()> {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 12;
    let family = Family::start(shape).await?;
    let mut resolver = Resolver::of(&family).await?;
    let mut watch = Watch::begin(&mut resolver, "").await?;
    let team = group(&family, "team", &[], &[]).await?;
    let path = format!("/Groups/{}", team.id());
    // One that others were faster than again and again may be told to come back.
    let change = async |operations: &Value| {
        let patched = eventually("a PATCH beside others is carried out", async || {
            match family.scim.patch(&path, operations).await {
                Ok(answer) if answer.status == 503 => None,
                answer => Some(answer),
            }
        });
        let changed = patched.await??;
        ensure!(changed.status < 300, "{operations}: {}", changed.body);
        Ok(())
    };
    let write = async |writer: usize| {
        let mut ids = Vec::new();
        for round in 0..ROUNDS {
            let hired = family.scim.hire(&format!("w{writer}-{round}"), &[PICKER]).await?;
            ensure!(hired.status == 201, "{}", hired.body);
            let member = json!([{"op": "add", "path": "members", "value": [{"value": hired.id()}]}]);
            change(&member).await?;
            let bears: &[&str] = if (writer + round).is_multiple_of(2) { &[STORE] } else { &[] };
            change(&relabel(bears)).await?;
            if round % 3 == 0 {
                ensure!(family.scim.delete(&format!("/Users/{}", hired.id())).await?.status == 204, "deleted");
            }
            ids.push(hired.id().to_owned());
        }
        Ok(ids)
    };
    let ids: Vec<_> = try_join_all((0..WRITERS).map(write)).await?.concat();
    for id in ids {
        let now = now(&mut resolver, &id).await?;
        watch.until(&id, "as it is now", |set| set == now.as_ref()).await?;
    }
    Ok(())
}

async fn a_preview_says_what_the_change_of_a_groups_labels_then_does(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let (ann, bob) = (family.scim.hire("ann", &[PICKER]).await?, family.scim.hire("bob", &[PICKER]).await?);
    let team = group(&family, "team", &[STORE], &[ann.id()]).await?;
    let around = group(&family, "around", &[], &[team.id()]).await?;
    let mut resolver = Resolver::of(&family).await?;
    let labels = pb::LabelsOfGroup { group_id: team.id().to_owned(), labels: vec!["AGENT_CHIC-01_NOBODY".to_owned()] };
    let change_to = pb::preview_change_request::Change::LabelsOfGroup(labels);
    let request = resolver.request(pb::PreviewChangeRequest { tenant: String::new(), change: Some(change_to) })?;
    let mut pages = resolver.client.preview_change(request).await?.into_inner();
    let mut told = Vec::new();
    while let Some(page) = pages.message().await? {
        ensure!(!page.revision_token.is_empty(), "a page is of one state");
        told.extend(page.users);
    }
    assert_eq!(told.len(), 1, "{} and {} are not in it", bob.id(), around.id());
    assert_eq!((told[0].user_id.as_str(), told[0].turn()), (ann.id(), pb::Turn::Held));
    assert_eq!(told[0].lost.iter().map(|grant| grant.role.as_str()).collect::<Vec<_>>(), ["STORE"]);
    let now = now(&mut resolver, ann.id()).await?.unwrap_or_default();
    assert_eq!((held(&now), now.held), (vec!["STORE", "WAREHOUSE_ASSOCIATE"], false), "nothing is stored");
    Ok(())
}
