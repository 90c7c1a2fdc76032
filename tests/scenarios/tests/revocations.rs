//! Access that is taken away: by a dismissal, with a membership, a group, a label, a rule or a role. In Fluent nothing of it
//! stays, what the person holds otherwise does, and nothing comes back by itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Account, Answer, Dial, Family, Part, Shape, eventually};
use proto::common::v1::consistency::Requirement;
use proto::common::v1::{Consistency, Grant};
use proto::roles::v1 as pb;
use scenarios::asking::Resolver;
use scenarios::{bulk, change, group, labels, mutations, put_rules, relabel, stories, until_state};
use serde_json::{Value, json};

stories!(
    who_is_dismissed_is_inactive_and_holds_nothing_however_it_is_said,
    who_leaves_a_group_loses_just_what_came_through_it,
    a_large_group_is_deleted_and_all_its_members_lose_just_what_it_gave,
    a_label_a_rule_or_a_role_that_goes_takes_just_what_it_gave,
    who_was_dismissed_is_revived_by_nothing_but_a_newer_word_with_roles_that_are_known,
    whichever_way_somebody_goes_the_end_in_fluent_is_the_same,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";
const NEW_YORK: &str = "AGENT_NYC-05_STORE";
const NEW_YORK_GRANT: &str = "STORE in AGENT 1023436";
const LAKESIDE: &str = "RETAILER_LAKESIDE_Inventory_Viewer";
const LAKESIDE_GRANT: &str = "Inventory_Viewer in RETAILER 134";
const UNKNOWN: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATES";

/// Every way in which somebody is said to be inactive by PATCH.
fn dialects() -> BTreeMap<&'static str, Value> {
    const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    let urn = format!("{USER}:active");
    BTreeMap::from([
        ("plain", json!([{"op": "replace", "path": "active", "value": false}])),
        ("entra", json!([{"op": "Replace", "path": "active", "value": "False"}])),
        ("keycloak", json!([{"op": "replace", "path": "active", "value": "false"}])),
        ("add", json!([{"op": "Add", "path": "active", "value": "false"}])),
        ("case", json!([{"op": "REPLACE", "path": "Active", "value": false}])),
        ("okta", json!([{"op": "replace", "value": {"active": false}}])),
        ("pathless-add", json!([{"op": "add", "value": {"active": "False"}}])),
        ("urn", json!([{"op": "replace", "path": urn, "value": false}])),
        ("pathless-urn", json!([{"op": "replace", "value": {urn: false}}])),
        (
            "last",
            json!([{"op": "replace", "path": "active", "value": true},
                        {"op": "replace", "path": "active", "value": false}]),
        ),
    ])
}

fn path(user: &Answer) -> String {
    format!("/Users/{}", user.id())
}

async fn hire(family: &Family, name: &str, labels: &[&str]) -> Result<Answer> {
    let hired = family.scim.hire(name, labels).await?;
    ensure!(hired.status == 201, "{name}: {}", hired.body);
    Ok(hired)
}

async fn delete(family: &Family, path: &str) -> Result<()> {
    let deleted = family.scim.delete(path).await?;
    ensure!(deleted.status == 204, "{path}: {}", deleted.body);
    Ok(())
}

/// A user as it is, sent whole and inactive.
async fn put_inactive(family: &Family, path: &str) -> Result<Answer> {
    let mut body = family.scim.get(path).await?.body;
    body["active"] = json!(false);
    let put = family.scim.put(path, &body).await?;
    ensure!(put.status == 200, "{}", put.body);
    Ok(put)
}

fn join(members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
    json!([{"op": "add", "path": "members", "value": members}])
}

fn leave(member: &str) -> Value {
    json!([{"op": "remove", "path": format!("members[value eq \"{member}\"]")}])
}

/// R01.
async fn who_is_dismissed_is_inactive_and_holds_nothing_however_it_is_said(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let dialects = dialects();
    let others = ["put", "delete", "bulk-patch", "bulk-delete"];
    let names: Vec<_> = dialects.keys().chain(&others).copied().collect();
    let mut paths = BTreeMap::new();
    for name in &names {
        paths.insert(*name, path(&hire(&family, name, &[CHICAGO, NEW_YORK]).await?));
    }
    for name in &names {
        family.fluent.until_works(name, &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    }
    let before = family.fluent.log_head().await?;
    for (name, path) in &paths {
        match *name {
            "put" => drop(put_inactive(&family, path).await?),
            "delete" => delete(&family, path).await?,
            "bulk-patch" => {
                let data = json!({"Operations": dialects["okta"]});
                bulk(&family, &[json!({"method": "PATCH", "path": path, "data": data})]).await?;
            }
            "bulk-delete" => drop(bulk(&family, &[json!({"method": "DELETE", "path": path})]).await?),
            name => {
                let dismissed = change(&family, path, &dialects[name]).await?;
                assert_eq!(dismissed.body["active"], json!(false), "{name}: {}", dismissed.body);
            }
        }
    }
    for (name, path) in &paths {
        family.fluent.until_gone(name).await?;
        let mutations = mutations(&family, name, before).await?;
        assert_eq!(mutations.first().map(String::as_str), Some("updateUser"), "{name}: INACTIVE first: {mutations:?}");
        let kept = family.scim.get(path).await?;
        if name.contains("delete") {
            assert_eq!(kept.status, 404, "{name}");
        } else {
            assert_eq!(kept.body["roles"].as_array().map(Vec::len), Some(2), "{name}: labels are remembered");
        }
    }
    Ok(())
}

/// R02. In a nested group too.
async fn who_leaves_a_group_loses_just_what_came_through_it(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let ann = hire(&family, "ann", &[CHICAGO]).await?;
    let bob = hire(&family, "bob", &[CHICAGO]).await?;
    // The first of the group's labels is held both ways.
    let pickers = group(&family, "pickers", &[CHICAGO, NEW_YORK], &[ann.id(), bob.id()]).await?;
    let around = group(&family, "around", &[LAKESIDE], &[pickers.id()]).await?;
    for name in ["ann", "bob"] {
        family.fluent.until_works(name, &[CHICAGO_GRANT, NEW_YORK_GRANT, LAKESIDE_GRANT]).await?;
    }
    let before = family.fluent.log_head().await?;
    change(&family, &format!("/Groups/{}", pickers.id()), &leave(ann.id())).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    assert_eq!(mutations(&family, "ann", before).await?, ["removeUserRolesFromUser"], "nothing is given or closed");
    assert!(family.fluent.account("bob").await?.context("bob")?.grants.len() == 3, "who stays keeps everything");
    // The inner group leaves the outer one, and takes nobody's but the outer one's.
    change(&family, &format!("/Groups/{}", around.id()), &leave(pickers.id())).await?;
    family.fluent.until_works("bob", &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    Ok(())
}

/// R03. What each has of its own stays, and so does what another group gives. Most are held and have no account yet: they
/// would hold the group's roles all the same.
async fn a_large_group_is_deleted_and_all_its_members_lose_just_what_it_gave(shape: Shape) -> Result<()> {
    const MEMBERS: usize = 1_000;
    const ACCOUNTS: usize = 60;
    let family = Family::start_with(shape, Dial::settings(&["--guardrail", "hold"])).await?;
    let hired = |n: usize| {
        let own = n.is_multiple_of(2).then_some(CHICAGO).into_iter().chain((n >= ACCOUNTS).then_some(UNKNOWN));
        let data = json!({"userName": format!("m{n}"), "active": true, "roles": labels(&own.collect::<Vec<_>>())});
        json!({"method": "POST", "path": "/Users", "bulkId": format!("m{n}"), "data": data})
    };
    let hired: Vec<_> = (0..MEMBERS).map(hired).collect();
    // In parts, some at a time: one request has its time.
    let parts = hired.chunks(MEMBERS / 20).map(|some| bulk(&family, some));
    let made: Vec<_> = stream::iter(parts).buffered(4).try_concat().await?;
    let id = |operation: &Value| operation["location"].as_str()?.rsplit('/').next().map(str::to_owned);
    let ids = made.iter().map(id).collect::<Option<Vec<_>>>().context("everybody has a place")?;
    let members: Vec<_> = ids.iter().map(String::as_str).collect();
    let all = group(&family, "all", &[NEW_YORK], &members).await?;
    let few = group(&family, "few", &[LAKESIDE], &members[..10]).await?;
    // What the one at this place holds.
    let wanted = |n: usize, in_all: bool| {
        let own = n.is_multiple_of(2).then_some(CHICAGO_GRANT);
        let given = in_all.then_some(NEW_YORK_GRANT);
        let wanted = own.into_iter().chain(given).chain((n < 10).then_some(LAKESIDE_GRANT));
        wanted.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let mut resolver = Resolver::of(&family).await?;
    let mut settled = async |in_all: bool, token: &str| {
        for (n, held) in everybodys(&mut resolver, &ids, token).await?.into_iter().enumerate() {
            ensure!(held == wanted(n, in_all), "m{n} holds {held:?}");
        }
        eventually(format!("all are as they should be, in the group: {in_all}"), async || {
            let accounts = family.fluent.accounts().await.ok()?;
            let is = |n: usize| {
                let wanted = wanted(n, in_all);
                let status = if wanted.is_empty() { "INACTIVE" } else { "ACTIVE" };
                let account = accounts.get(&format!("m{n}"));
                account.is_some_and(|account| account.grants == wanted && account.status == status)
            };
            (0..ACCOUNTS).all(is).then_some(())
        })
        .await
    };
    settled(true, few.header("rolecall-revision")).await?;
    let deleted = family.scim.delete(&format!("/Groups/{}", all.id())).await?;
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    settled(false, deleted.header("rolecall-revision")).await?;
    Ok(())
}

/// What each of some people holds, as of a token or later.
async fn everybodys(resolver: &mut Resolver, ids: &[String], token: &str) -> Result<Vec<BTreeSet<String>>> {
    let user = |id: &String| pb::UserRef { r#ref: Some(pb::user_ref::Ref::Id(id.clone())) };
    let request = resolver.request(pb::BatchGetEffectiveRolesRequest {
        users: ids.iter().map(user).collect(),
        consistency: Some(Consistency { requirement: Some(Requirement::AtLeastAsFresh(token.to_owned())) }),
        ..Default::default()
    })?;
    let results = resolver.client.batch_get_effective_roles(request).await?.into_inner().results;
    let text = |grant: &Grant| {
        let kind = grant.context_type().as_str_name().trim_start_matches("CONTEXT_TYPE_").to_owned();
        format!("{} in {kind} {}", grant.role, grant.context_id)
    };
    let held = |set: pb::EffectiveSet| set.grants.iter().flat_map(|given| &given.grant).map(text).collect();
    Ok(results.into_iter().map(|result| result.effective.map(held).unwrap_or_default()).collect())
}

/// R04. Where a rule has a target that Fluent no longer knows, its label gives nothing, not what is left of it.
async fn a_label_a_rule_or_a_role_that_goes_takes_just_what_it_gave(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let manager = "AGENT_CHIC-01_MANAGER";
    put_rules(&family, &[("MANAGER", &["STORE", "WAREHOUSE_SHIFT_LEAD"])])?;
    family.fluent.put_role("FORKLIFT").await?;
    let forklift = "AGENT_NYC-05_FORKLIFT";
    let ann = hire(&family, "ann", &[CHICAGO]).await?;
    let team = group(&family, "team", &[manager, NEW_YORK, forklift], &[ann.id()]).await?;
    let [store, lead] = ["STORE in AGENT 1023434", "WAREHOUSE_SHIFT_LEAD in AGENT 1023434"];
    let driver = "FORKLIFT in AGENT 1023436";
    family.fluent.until_works("ann", &[CHICAGO_GRANT, NEW_YORK_GRANT, store, lead, driver]).await?;

    let team_path = format!("/Groups/{}", team.id());
    change(&family, &team_path, &relabel(&[manager, forklift])).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT, store, lead, driver]).await?;
    put_rules(&family, &[("MANAGER", &["STORE"])])?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT, store, driver]).await?;
    // Fluent fails while it is told: what was taken goes when it answers again, and is not kept for the failure.
    let fault = json!({"kind": "status", "status": 503, "times": 2, "match": {"operation": "removeUserRolesFromUser"}});
    family.fluent.fault(&fault).await?;
    put_rules(&family, &[("MANAGER", &["FORKLIFT"])])?;
    family.fluent.until("ann", "the rule's old role went", |ann| !ann.grants.contains(store)).await?;
    put_rules(&family, &[("MANAGER", &["STORE", "FORKLIFT"])])?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT, store, "FORKLIFT in AGENT 1023434", driver]).await?;
    family.fluent.remove_role("FORKLIFT").await?;
    // A label that nobody knows has Fluent read again.
    assert_eq!(family.scim.hire("nobody", &[UNKNOWN]).await?.status, 400);
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    let held = until_state(&family, ann.id(), "held").await?;
    let reasons = held.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"].to_string();
    assert!(reasons.contains("UNKNOWN_ROLE") && reasons.contains("RULE_TARGET_UNKNOWN"), "{reasons}");
    Ok(())
}

/// What Fluent was asked after a point of its log that gives an account something: to be made or active, or to hold roles.
async fn given(family: &Family, name: &str, after: u64) -> Result<Vec<Value>> {
    let gives = |field: &Value| {
        let input = &field["arguments"]["input"];
        let takes_roles =
            field["name"] == "removeUserRolesFromUser" || input["roles"].as_array().is_none_or(Vec::is_empty);
        let is_hers = field["username"] == json!(name) || input["username"] == json!(name);
        is_hers && (field["name"] == "createUser" || input["status"] == "ACTIVE" || !takes_roles)
    };
    let entries = family.fluent.log(after).await?;
    let fields = entries.iter().flat_map(|entry| entry["fields"].as_array().cloned().unwrap_or_default());
    Ok(fields.filter(gives).collect())
}

/// Somebody else's push comes and goes after whatever was due for others.
async fn pass_time(family: &Family, name: &str) -> Result<()> {
    hire(family, name, &[CHICAGO]).await?;
    family.fluent.until_works(name, &[CHICAGO_GRANT]).await?;
    Ok(())
}

/// R06.
async fn who_was_dismissed_is_revived_by_nothing_but_a_newer_word_with_roles_that_are_known(
    shape: Shape,
) -> Result<()> {
    let family = Family::start(shape).await?;
    let ann = hire(&family, "ann", &[CHICAGO]).await?;
    let team = group(&family, "team", &[LAKESIDE], &[ann.id()]).await?;
    let (path, team_path) = (path(&ann), format!("/Groups/{}", team.id()));
    family.fluent.until_works("ann", &[CHICAGO_GRANT, LAKESIDE_GRANT]).await?;
    until_state(&family, ann.id(), "provisioned").await?;
    let active = family.scim.get(&path).await?;
    change(&family, &path, &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    family.fluent.until_gone("ann").await?;
    until_state(&family, ann.id(), "inactive").await?;
    let before = family.fluent.log_head().await?;

    // Late: changes that say nothing of her being active, and such as were judged by what stood before the dismissal.
    let activate = json!([{"op": "replace", "path": "active", "value": true}]);
    let message = |operations: &Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    for late in [
        json!([{"op": "replace", "path": "title", "value": "Associate"}]),
        json!([{"op": "add", "path": "roles", "value": labels(&[NEW_YORK])}]),
        relabel(&[CHICAGO, NEW_YORK]),
    ] {
        change(&family, &path, &late).await?;
    }
    change(&family, &team_path, &join(&[ann.id()])).await?;
    change(&family, &team_path, &relabel(&[NEW_YORK, CHICAGO])).await?;
    let old = [("If-Match", active.header("etag"))];
    let late = family.scim.send(reqwest::Method::PATCH, &path, &old, Some(&message(&activate))).await?;
    assert_eq!(late.status, 412, "what was judged by an older state: {}", late.body);
    let late = family.scim.send(reqwest::Method::PUT, &path, &old, Some(&active.body)).await?;
    assert_eq!(late.status, 412, "{}", late.body);
    // A request that was lost on the way is sent again.
    assert_eq!(family.scim.hire("ann", &[CHICAGO]).await?.status, 409, "she is there");
    let mut silent = active.body.clone();
    silent.as_object_mut().context("a user")?.remove("active");
    let put = family.scim.put(&path, &silent).await?;
    assert_eq!((put.status, &put.body["active"]), (200, &json!(false)), "silence gives nothing: {}", put.body);
    pass_time(&family, "later").await?;
    assert_eq!(given(&family, "ann", before).await?, [Value::Null; 0]);

    // A newer word, but with a label that is not known, or none: nothing is given.
    change(&family, &path, &relabel(&[UNKNOWN])).await?;
    change(&family, &path, &activate).await?;
    until_state(&family, ann.id(), "held").await?;
    // Out of the group first: without the label that holds her she'd rightly have what the group gives.
    change(&family, &team_path, &leave(ann.id())).await?;
    change(&family, &path, &relabel(&[])).await?;
    pass_time(&family, "later-still").await?;
    assert!(family.fluent.account("ann").await?.is_some_and(|ann| ann.is_gone()));
    assert_eq!(given(&family, "ann", before).await?, [Value::Null; 0]);
    // The same with labels that are.
    change(&family, &path, &relabel(&[NEW_YORK])).await?;
    family.fluent.until_works("ann", &[NEW_YORK_GRANT]).await?;

    // She is deleted. Whatever was meant for her finds nobody, and her name begins with nothing.
    delete(&family, &path).await?;
    family.fluent.until_gone("ann").await?;
    let before = family.fluent.log_head().await?;
    assert_eq!(family.scim.patch(&path, &activate).await?.status, 404);
    assert_eq!(family.scim.put(&path, &active.body).await?.status, 404);
    assert_eq!(family.scim.hire("ann", &[UNKNOWN]).await?.status, 400);
    let again = hire(&family, "ann", &[]).await?;
    until_state(&family, again.id(), "held").await?;
    let late = family.scim.patch(&team_path, &join(&[ann.id()])).await?;
    assert!(late.status < 500, "{}", late.body);
    pass_time(&family, "last").await?;
    assert_eq!(given(&family, "ann", before).await?, [Value::Null; 0]);
    change(&family, &self::path(&again), &relabel(&[LAKESIDE])).await?;
    family.fluent.until_works("ann", &[LAKESIDE_GRANT]).await?;
    assert!(!given(&family, "ann", before).await?.is_empty(), "what is given shows");
    Ok(())
}

/// R06: an entry of the work list from before the dismissal stands there again, with a ledger and a place in the feed of
/// then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_entry_of_the_work_list_revives_nobody() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    let ann = hire(&family, "ann", &[CHICAGO]).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    until_state(&family, ann.id(), "provisioned").await?;
    let before = family.fluent.log_head().await?;
    let fault =
        json!({"kind": "errors", "code": "S0001E", "message": "later", "times": null, "match": {"username": "ann"}});
    family.fluent.fault(&fault).await?;
    change(&family, &path(&ann), &relabel(&[CHICAGO, NEW_YORK])).await?;
    let about_ann = async |family: &Family, after: u64| {
        let entries = family.fluent.log(after).await.ok()?;
        entries.iter().any(|entry| entry["username"] == json!("ann")).then_some(())
    };
    eventually("ann's entry is due", async || about_ann(&family, before).await).await?;
    family.kill(Part::FluentPusher)?;
    let old = family.back_up(Part::FluentPusher).await?;
    family.fluent.clear_faults().await?;
    family.run(Part::FluentPusher).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT, NEW_YORK_GRANT]).await?;
    change(&family, &path(&ann), &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    family.fluent.until_gone("ann").await?;

    family.kill(Part::FluentPusher)?;
    family.put_back(Part::FluentPusher, &old).await?;
    let replayed = family.fluent.log_head().await?;
    family.run(Part::FluentPusher).await?;
    eventually("the old entry is worked on", async || about_ann(&family, replayed).await).await?;
    pass_time(&family, "later").await?;
    family.fluent.until_gone("ann").await?;
    assert_eq!(given(&family, "ann", replayed).await?, [Value::Null; 0]);
    Ok(())
}

/// R07.
async fn whichever_way_somebody_goes_the_end_in_fluent_is_the_same(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    family.fluent.put_role("FORKLIFT").await?;
    let dialects = dialects();
    let others = ["put", "delete", "bulk", "last-label", "left-group", "group-deleted", "group-label", "role-gone"];
    let ways: Vec<_> = dialects.keys().chain(&others).copied().collect();
    let name = |way: &str| format!("way-{way}");
    let (mut paths, mut groups) = (BTreeMap::new(), BTreeMap::new());
    for way in &ways {
        let through_group = ["left-group", "group-deleted", "group-label"].contains(way);
        let label = if *way == "role-gone" { "AGENT_CHIC-01_FORKLIFT" } else { CHICAGO };
        let hired = hire(&family, &name(way), if through_group { &[] } else { std::slice::from_ref(&label) }).await?;
        if through_group {
            let made = group(&family, way, &[CHICAGO], &[hired.id()]).await?;
            groups.insert(*way, format!("/Groups/{}", made.id()));
        }
        paths.insert(*way, path(&hired));
    }
    for way in &ways {
        let works = |account: &Account| account.status == "ACTIVE" && account.grants.len() == 1;
        family.fluent.until(&name(way), "it works", works).await?;
    }
    for (way, path) in &paths {
        match *way {
            "put" => drop(put_inactive(&family, path).await?),
            "delete" => delete(&family, path).await?,
            "bulk" => drop(bulk(&family, &[json!({"method": "DELETE", "path": path})]).await?),
            "last-label" => drop(change(&family, path, &json!([{"op": "remove", "path": "roles"}])).await?),
            "left-group" => {
                let id = path.rsplit('/').next().unwrap_or_default();
                change(&family, &groups[way], &leave(id)).await?;
            }
            "group-deleted" => delete(&family, &groups[way]).await?,
            "group-label" => drop(change(&family, &groups[way], &relabel(&[])).await?),
            "role-gone" => {
                family.fluent.remove_role("FORKLIFT").await?;
                assert_eq!(family.scim.hire("nobody", &[UNKNOWN]).await?.status, 400);
            }
            dialect => drop(change(&family, path, &dialects[dialect]).await?),
        }
    }
    let mut ends: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for way in &ways {
        let mut end = family.fluent.until_gone(&name(way)).await?.raw;
        let account = end.as_object_mut().context("an account")?;
        // Fluent's own marks of when and as what number it was made.
        account.retain(|key, _| !["id", "createdOn", "updatedOn"].contains(&key.as_str()));
        ends.entry(end.to_string().replace(&name(way), "NAME")).or_default().push(way);
    }
    assert_eq!(ends.len(), 1, "{ends:#?}");
    Ok(())
}
