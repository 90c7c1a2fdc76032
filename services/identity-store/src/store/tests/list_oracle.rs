//! B03: lists against a naive oracle: filters, orders and pages thrown together by dice give what a plain look at all
//! resources gives, on each engine.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::clock::Timestamp;
use scim::Mode;
use scim::filter::Query;
use scim::schema::{GROUPS, ResourceType, USERS};
use scim::sort::Sort;
use serde_json::{Map, Value as Json, json};

use super::fixture::{Fixture, each, wanted};
use crate::Failure;
use crate::model::{Actor, ListRequest, SortBy, Spot, Start};

const BASE: &str = "https://host/scim/v2";

/// Numbers that only seem to be random, so that whatever fails fails again (Marsaglia's xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> &'a str {
        &from[self.roll(from.len())]
    }

    /// A filter of such comparisons.
    fn filter(&mut self, atoms: &[String], depth: usize) -> String {
        match if depth == 0 { 0 } else { self.roll(5) } {
            0 | 1 => self.pick(atoms).to_owned(),
            2 => format!("({}) and ({})", self.filter(atoms, depth - 1), self.filter(atoms, depth - 1)),
            3 => format!("({}) or ({})", self.filter(atoms, depth - 1), self.filter(atoms, depth - 1)),
            _ => format!("not ({})", self.filter(atoms, depth - 1)),
        }
    }
}

/// Resources as clients see them, by id.
type Wholes = BTreeMap<String, Map<String, Json>>;

fn whole(
    kind: &ResourceType,
    document: &[u8],
    id: &str,
    at: [Timestamp; 2],
    version: u64,
    more: Json,
) -> Map<String, Json> {
    let mut whole: Map<String, Json> = serde_json::from_slice(document).unwrap();
    let Json::Object(more) = more else { panic!("an object") };
    whole.extend(more);
    whole.insert("id".into(), id.into());
    let meta = json!({
        "resourceType": kind.name, "created": at[0].rfc3339(), "lastModified": at[1].rfc3339(),
        "location": format!("{BASE}{}/{id}", kind.endpoint), "version": format!("W/\"{version}\""),
    });
    whole.insert("meta".into(), meta);
    whole
}

/// Users and groups, some of these in others; what a client sees of each.
async fn fill(f: &Fixture, dice: &mut Dice) -> (Wholes, Wholes) {
    let mut users = Vec::new();
    for n in 0..40 {
        f.clock.advance(Duration::from_secs(1));
        let title = ["Cook", "cook", "Chef", ""][dice.roll(4)];
        let name = ["Ann", "ann", "bob", "Ünï", "\u{10FFFF}z"][dice.roll(5)];
        let place = ["work", "home"][dice.roll(2)];
        let mut user = json!({
            "userName": format!("{name}{n}"),
            "active": dice.roll(3) > 0,
            "emails": [{"value": format!("E{}@x", dice.roll(6)), "type": place},
                {"value": format!("e{}@y", dice.roll(6)), "primary": true}],
            "roles": [{"value": format!("AGENT_{}_X", dice.roll(4))}, {"value": format!("R{}", dice.roll(9))}],
            "name": {"familyName": format!("F{}", dice.roll(5))},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": format!("D{}", dice.roll(3))},
        });
        if dice.roll(2) == 0 {
            user["externalId"] = format!("X{}", dice.roll(9)).into();
        }
        if !title.is_empty() {
            user["title"] = title.into();
        }
        users.push(f.create(&user.to_string()).await.unwrap().value);
    }
    let mut groups: Vec<(crate::model::Group, BTreeSet<String>)> = Vec::new();
    for n in 0..10 {
        f.clock.advance(Duration::from_secs(1));
        let mut members: BTreeSet<String> =
            (0..dice.roll(6)).map(|_| users[dice.roll(users.len())].id.to_string()).collect();
        if n > 3 && dice.roll(2) == 0 {
            members.insert(groups[dice.roll(groups.len())].0.id.to_string());
        }
        let named = json!({ "displayName": format!("{}{n}", ["Staff", "staff", "Night"][dice.roll(3)]) });
        let list: Vec<_> = members.iter().cloned().collect();
        let made = f.store.create_group(&f.tenant, Actor::default(), named.to_string().into(), &list, false);
        groups.push((made.await.unwrap().value, members));
    }
    let of_user = |id: &str| {
        let direct: BTreeSet<_> =
            groups.iter().filter(|(_, members)| members.contains(id)).map(|(g, _)| g.id).collect();
        let mut reached = direct.clone();
        while let Some((more, _)) = groups.iter().find(|(group, members)| {
            !reached.contains(&group.id) && reached.iter().any(|inner| members.contains(&inner.to_string()))
        }) {
            reached.insert(more.id);
        }
        let value = |(group, _): &(crate::model::Group, _)| {
            let name: Json = serde_json::from_slice(&group.document).unwrap();
            json!({"value": group.id.to_string(), "$ref": format!("{BASE}/Groups/{}", group.id),
                "display": name["displayName"], "type": if direct.contains(&group.id) { "direct" } else { "indirect" }})
        };
        groups.iter().filter(|(group, _)| reached.contains(&group.id)).map(value).collect::<Vec<_>>()
    };
    let whole_users = users.iter().map(|user| {
        let id = user.id.to_string();
        let mut more = json!({ "urn:ietf:params:scim:schemas:extension:fluent:2.0:User": {"state": "pending"} });
        let of_user = of_user(&id);
        if !of_user.is_empty() {
            more["groups"] = of_user.into();
        }
        let at = [user.created_at, user.modified_at];
        (id.clone(), whole(&USERS, &user.document, &id, at, user.version.0, more))
    });
    let whole_groups = groups.iter().map(|(group, members)| {
        let id = group.id.to_string();
        let value = |member: &String| {
            let kind = if users.iter().any(|user| user.id.to_string() == *member) { &USERS } else { &GROUPS };
            json!({"value": member, "$ref": format!("{BASE}{}/{member}", kind.endpoint), "type": kind.name})
        };
        let mut more = json!({});
        if !members.is_empty() {
            more["members"] = members.iter().map(value).collect::<Vec<_>>().into();
        }
        let at = [group.created_at, group.modified_at];
        (id.clone(), whole(&GROUPS, &group.document, &id, at, group.version.0, more))
    });
    (whole_users.collect(), whole_groups.collect())
}

/// What matches, in order.
fn expected(wholes: &Wholes, kind: &'static ResourceType, filter: &str, sort: Option<&SortBy>) -> Vec<String> {
    let query = (!filter.is_empty()).then(|| Query::parse(filter, kind, Mode::Lenient).unwrap());
    let met = |whole: &Map<String, Json>| query.as_ref().is_none_or(|query| query.matches(whole));
    let mut found: Vec<_> = wholes.iter().filter(|(_, whole)| met(whole)).collect();
    if let Some(SortBy { attribute, descending }) = sort {
        let sort = Sort::parse(attribute, kind, Mode::Lenient).unwrap();
        found.sort_by_key(|(id, whole)| (sort.key(whole), (*id).clone()));
        if *descending {
            found.reverse();
        }
    }
    found.into_iter().map(|(id, _)| id.clone()).collect()
}

/// Ids on a page, how many match, and where the next page begins.
type Found = (Vec<String>, Option<u64>, Option<Spot>);

async fn list(f: &Fixture, kind: &ResourceType, wanted: &ListRequest) -> Result<Found, Failure> {
    if kind.name == USERS.name {
        let page = f.store.list_users(&f.tenant, wanted, false).await?.value;
        Ok((page.items.iter().map(|item| item.id.to_string()).collect(), page.total, page.next))
    } else {
        let page = f.store.list_groups(&f.tenant, wanted).await?.value;
        Ok((page.items.iter().map(|item| item.id.to_string()).collect(), page.total, page.next))
    }
}

async fn compare(
    f: &Fixture,
    dice: &mut Dice,
    wholes: &Wholes,
    kind: &'static ResourceType,
    atoms: &[String],
    sorts: &[&str],
) {
    for _ in 0..120 {
        let filter = if dice.roll(10) == 0 { String::new() } else { dice.filter(atoms, 3) };
        let sort = (dice.roll(2) == 0)
            .then(|| SortBy { attribute: sorts[dice.roll(sorts.len())].into(), descending: dice.roll(2) == 0 });
        let expected = expected(wholes, kind, &filter, sort.as_ref());
        let (start, count) = (1 + dice.roll(9), 1 + dice.roll(9));
        let told = format!("{filter}\nby {sort:?} from {start}, {count}");
        let mut request = wanted(&filter, u32::try_from(start).unwrap(), u32::try_from(count).unwrap());
        request.sort = sort;
        let (ids, total, next) = list(f, kind, &request).await.unwrap();
        let page: Vec<_> = expected.iter().skip(start - 1).take(count).cloned().collect();
        assert_eq!((ids, total, next), (page, Some(expected.len() as u64), None), "{told}");
        request.start = Start::After(None);
        let mut walked = Vec::new();
        loop {
            let (ids, total, next) = list(f, kind, &request).await.unwrap();
            assert!(ids.len() <= count && total.is_none_or(|total| total == expected.len() as u64), "{told}");
            walked.extend(ids);
            let Some(next) = next else { break };
            request.start = Start::After(Some(next));
        }
        assert_eq!(walked, expected, "{told}");
    }
}

#[tokio::test]
async fn filters_orders_and_pages_are_what_a_look_at_everything_says() {
    each(async |f| {
        let dice = &mut Dice(0x5EED);
        let (users, groups) = fill(f, dice).await;
        let user = users.keys().nth(7).unwrap();
        let group = groups.keys().nth(2).unwrap();
        let later = users.values().nth(20).unwrap()["meta"]["created"].clone();
        let atoms: Vec<String> = [
            r#"userName eq "ANN3""#,
            r#"userName sw "an""#,
            r#"userName sw "Ü""#,
            "userName sw \"\u{10FFFF}\"",
            r#"userName ew "1""#,
            r#"userName co "nn""#,
            r#"userName gt "b""#,
            r#"userName lt "b""#,
            r#"userName ne "ann3""#,
            r#"externalId eq "X3""#,
            r#"externalId le "X4""#,
            "externalId pr",
            r#"emails.value eq "e3@X""#,
            r#"emails co "@y""#,
            r#"emails[type eq "work" and value eq "E2@x"]"#,
            r#"emails[not (type eq "work")]"#,
            "active eq true",
            "active eq false",
            "title pr",
            r#"title eq "COOK""#,
            r#"title ne "cook""#,
            r#"title co "oo""#,
            r#"name.familyName ge "f3""#,
            r#"roles.value eq "R3""#,
            r#"roles eq "AGENT_1_X""#,
            r#"roles.value eq "r3""#,
            r#"roles[value sw "AGENT"]"#,
            "groups pr",
            r#"groups[type eq "indirect"]"#,
            r#"groups.display sw "staff""#,
            r#"meta.resourceType eq "User""#,
            r#"meta.location co "/Users/""#,
            r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "d1""#,
            r#"urn:ietf:params:scim:schemas:extension:fluent:2.0:User:state eq "pending""#,
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!(r#"id eq "{user}""#),
            format!(r#"id gt "{user}""#),
            format!(r#"groups.value eq "{group}""#),
            format!(r#"groups eq "{group}" or userName sw "b""#),
            format!(r#"groups.$ref eq "{BASE}/Groups/{group}""#),
            format!(r#"not (groups[value eq "{group}"])"#),
            format!(r#"groups[value eq "{group}" and type eq "direct"]"#),
            format!("meta.created gt {later}"),
            format!("meta.lastModified le {later}"),
            format!(r#"meta.location eq "{BASE}/Users/{user}""#),
        ])
        .collect();
        let sorts = ["userName", "id", "title", "emails", "externalId", "active", "meta.created", "name.familyName"];
        compare(f, dice, &users, &USERS, &atoms, &sorts).await;
        let child = groups.values().filter_map(|group| group.get("members").and_then(Json::as_array)).flatten();
        let child = child.map(|member| member["value"].as_str().unwrap()).find(|id| groups.contains_key(*id)).unwrap();
        let atoms: Vec<String> = [
            r#"displayName eq "STAFF1""#,
            r#"displayName sw "st""#,
            r#"displayName co "t""#,
            "externalId pr",
            "members pr",
            r#"members.type eq "Group""#,
            r#"members[type eq "User"]"#,
            r#"members.value sw "0""#,
            r#"members.value eq "nobody""#,
            r#"members.$ref co "/Groups/""#,
            "members.display pr",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([
            format!(r#"members.value eq "{user}""#),
            format!(r#"members eq "{child}""#),
            format!(r#"members[value ne "{user}"]"#),
            format!(r#"members[value eq "{user}" and type eq "User"]"#),
            format!(r#"members.$ref eq "{BASE}/Users/{user}""#),
            format!(r#"id eq "{group}""#),
        ])
        .collect();
        compare(f, dice, &groups, &GROUPS, &atoms, &["displayName", "id", "meta.created", "externalId"]).await;
        for (kind, attribute) in [(&USERS, "groups.display"), (&GROUPS, "members")] {
            let sort = Some(SortBy { attribute: attribute.into(), descending: false });
            let refused = list(f, kind, &ListRequest { sort, ..wanted("", 1, 1) }).await;
            assert!(matches!(refused, Err(Failure::Invalid { field: "sort", .. })), "{attribute}");
        }
    })
    .await;
}
