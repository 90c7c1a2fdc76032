//! What two vendors try before they let a server into their catalogue: Okta's SPEC test and Microsoft's SCIM validator,
//! told in our own words from what is known of them.

use anyhow::Result;
use harness::{Answer, Dial, Family, Scim, Shape};

use reqwest::Method;
use scenarios::stories;
use serde_json::{Value, json};

stories!(okta_finds_what_its_spec_test_wants, microsofts_validator_passes_all_it_requires);

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

fn filter(attribute: &str, value: &str) -> String {
    format!("filter={attribute}%20eq%20%22{value}%22")
}

/// An error as both vendors want every one.
fn assert_error(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
    assert_eq!(answer.body["status"], status.to_string());
    assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", answer.body);
    assert!(answer.header("content-type").starts_with("application/scim+json"));
}

/// The only resource of a list.
fn only(list: &Answer) -> &Value {
    assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(1)), "{}", list.body);
    &list.body["Resources"][0]
}

fn assert_empty(list: &Answer) {
    assert_eq!((list.status, &list.body["schemas"]), (200, &json!([LIST])), "{}", list.body);
    assert_eq!(list.body["totalResults"], 0);
    assert!(list.body.get("Resources").is_none_or(|all| all == &json!([])));
}

async fn okta_finds_what_its_spec_test_wants(shape: Shape) -> Result<()> {
    let family = Family::start(shape).await?;
    let scim = &family.scim;
    let okta = [("User-Agent", "OKTA SCIM Integration"), ("Content-Type", "application/json")];
    let get = async |path: String| scim.send(Method::GET, &path, &okta[..1], None).await;
    // The test wants somebody to be there.
    scim.hire("standing", &[]).await?;

    let first = get("/Users?count=1&startIndex=1".into()).await?;
    assert_eq!((first.status, &first.body["schemas"]), (200, &json!([LIST])));
    for number in ["itemsPerPage", "startIndex", "totalResults"] {
        assert_eq!(first.body[number], 1, "{}", first.body);
    }
    let user = &first.body["Resources"][0];
    assert!(user["active"].is_boolean());
    for text in [&user["id"], &user["userName"], &user["name"]["familyName"], &user["name"]["givenName"]] {
        assert!(text.is_string(), "{user}");
    }
    assert!(user["emails"][0]["value"].is_string());
    let id = user["id"].as_str().unwrap_or_default();
    let same = get(format!("/Users/{id}")).await?;
    assert_eq!((same.status, &same.body["userName"]), (200, &user["userName"]));

    assert_empty(&get(format!("/Users?{}", filter("userName", "nobody@okta.example"))).await?);
    assert_error(&get("/Users/010101001010101011001010101011".into()).await?, 404);

    let runscope = json!({
        "schemas": [USER], "userName": "Runscope300Ab@okta.example", "active": true,
        "name": {"givenName": "Runscope", "familyName": "Person"}, "password": "1mz050nq", "groups": [],
        "emails": [{"primary": true, "value": "Runscope300Ab@okta.example", "type": "work"}],
    });
    let made = scim.send(Method::POST, "/Users", &okta, Some(&runscope)).await?;
    assert_eq!((made.status, &made.body["active"]), (201, &json!(true)), "{}", made.body);
    assert_eq!(made.body["userName"], runscope["userName"], "its case is kept");
    assert!(made.body["schemas"].as_array().is_some_and(|all| all.contains(&json!(USER))));
    let read = get(format!("/Users/{}", made.id())).await?;
    assert_eq!((read.status, &read.body["name"]), (200, &runscope["name"]));
    assert_error(&scim.send(Method::POST, "/Users", &okta, Some(&runscope)).await?, 409);
    assert_eq!(
        only(&get(format!("/Users?{}", filter("userName", "RUNSCOPE300AB@OKTA.EXAMPLE"))).await?)["id"],
        made.id()
    );

    let groups = get("/Groups".into()).await?;
    assert_eq!(groups.status, 200);
    assert!(groups.body["Resources"].is_array());
    let wrong = [("Authorization", "Bearer nobody's")];
    assert_error(&scim.send(Method::GET, "/Users?startIndex=1&count=1", &wrong, None).await?, 401);
    assert_error(&get("/Users/00919288221112222".into()).await?, 404);
    Ok(())
}

async fn microsofts_validator_passes_all_it_requires(shape: Shape) -> Result<()> {
    // The validator fills every attribute of /Schemas with random text, roles too.
    let family = Family::start_with(shape, Dial::settings(&["--guardrail", "hold"])).await?;
    validator_on_users(&family.scim).await?;
    validator_on_groups(&family.scim).await
}

fn body(name: &str) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE], "userName": name, "externalId": "d3c1a5f0", "active": true,
        "displayName": "PXQBUVDUJSNN", "title": "EPLLAAEXPFIT", "preferredLanguage": "fr-SN", "userType": "NOYFYTELQOQE",
        "name": {"formatted": "Aliyah", "familyName": "Kieran", "givenName": "Murray"},
        "emails": [{"type": "work", "value": "tania@conn.example", "primary": true}],
        "addresses": [{"type": "work", "formatted": "NBKWMNZFHKCG", "locality": "RFKGVXDQZXQE", "primary": true}],
        "phoneNumbers": [{"type": "mobile", "value": "47-984-5711", "primary": true}],
        "roles": [{"type": "UPWWVPYZNYKG", "value": "QRTVQSTJBRDM", "display": "FRVOPNHZEVHQ", "primary": true}],
        ENTERPRISE: {"employeeNumber": "TZWGQDLCGLWA", "department": "IFVHBKIGTQTV"},
    })
}

async fn validator_on_users(scim: &Scim) -> Result<()> {
    let sent = body("Carmelo_Uy@conn.example");
    let made = scim.post("/Users", &sent).await?;
    assert_eq!(made.status, 201, "{}", made.body);
    for (name, value) in sent.as_object().into_iter().flatten().filter(|(name, _)| *name != "schemas") {
        assert_eq!(&made.body[name], value, "{name}");
    }
    let path = format!("/Users/{}", made.id());
    assert_error(&scim.post("/Users", &sent).await?, 409);
    for spelling in ["Carmelo_Uy@conn.example", "CARMELO_uy@CONN.example"] {
        assert_eq!(only(&scim.get(&format!("/Users?{}", filter("userName", spelling))).await?)["id"], made.id());
    }
    assert_empty(&scim.get(&format!("/Users?{}", filter("userName", "non-existing"))).await?);

    // The verbose dialect: one operation for each attribute, each with a path.
    let replace = |path: &str, value: &str| json!({"op": "replace", "path": path, "value": value});
    let wanted = [
        ("displayName", "WMDUCUYQUJOS"),
        ("name.givenName", "Jaleel"),
        ("emails[type eq \"work\"].value", "cory@kub.example"),
        ("phoneNumbers[type eq \"mobile\"].value", "29-402-3166"),
        ("addresses[type eq \"work\"].locality", "UFGQLVPXBNVT"),
        (&format!("{ENTERPRISE}:department"), "YSFGKYHKHAXR"),
    ];
    let operations: Vec<_> = wanted.iter().map(|(path, value)| replace(path, value)).collect();
    let changed = scim.patch(&path, &operations.into()).await?;
    assert_eq!((changed.status, &changed.body["displayName"]), (200, &json!("WMDUCUYQUJOS")), "{}", changed.body);
    assert_eq!(changed.body["emails"][0]["value"], "cory@kub.example");
    assert_eq!(changed.body["addresses"][0]["formatted"], "NBKWMNZFHKCG", "what is not named stays");
    assert_eq!(changed.body[ENTERPRISE]["department"], "YSFGKYHKHAXR");

    let add = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let bare = scim.post("/Users", &json!({"schemas": [USER], "userName": "bare@conn.example"})).await?;
    let operations = json!([
        add("displayName", json!("BFRMRWHPSFFA")),
        add("emails[type eq \"work\"].value", json!("a@b.example")),
        add("emails[type eq \"work\"].primary", json!("True")),
        add("name.familyName", json!("Ruecker")),
        add("phoneNumbers[type eq \"fax\"].value", json!("1")),
        add(&format!("{ENTERPRISE}:costCenter"), json!("7")),
    ]);
    let added = scim.patch(&format!("/Users/{}", bare.id()), &operations).await?;
    assert_eq!(added.body["emails"], json!([{"type": "work", "value": "a@b.example", "primary": true}]));
    assert_eq!(
        (&added.body["phoneNumbers"][0]["type"], &added.body[ENTERPRISE]["costCenter"]),
        (&json!("fax"), &json!("7"))
    );

    let renamed = scim.patch(&path, &json!([replace("userName", "renamed@conn.example")])).await?;
    assert_eq!(renamed.body["userName"], "renamed@conn.example");
    let disabled = scim.patch(&path, &json!([replace("active", "False")])).await?;
    assert_eq!((disabled.status, &disabled.body["active"]), (200, &json!(false)));
    let listed = scim.get(&format!("/Users?{}", filter("userName", "renamed@conn.example"))).await?;
    assert_eq!((&scim.get(&path).await?.body["active"], &only(&listed)["active"]), (&json!(false), &json!(false)));

    // The manager is somebody who was never sent here.
    let manager = format!("{ENTERPRISE}:manager");
    for (operation, wanted) in [
        (add(&manager, json!("271")), Some("271")),
        (replace(&manager, "272"), Some("272")),
        (json!({"op": "replace", "path": manager, "value": {"value": ""}}), None),
        (add(&manager, json!([{"$ref": "http://h/scim/Users/273", "value": "273"}])), Some("273")),
        (json!({"op": "remove", "path": manager}), None),
    ] {
        let answer = scim.patch(&path, &json!([operation])).await?;
        assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
        let manager = answer.body[ENTERPRISE].get("manager");
        assert_eq!(manager.and_then(|manager| manager["value"].as_str()), wanted, "{operation}");
        assert_eq!(manager.is_some(), wanted.is_some(), "{operation}");
    }
    assert_eq!(scim.delete(&path).await?.status, 204);
    assert_error(&scim.get(&path).await?, 404);
    Ok(())
}

async fn validator_on_groups(scim: &Scim) -> Result<()> {
    let group = json!({"schemas": [GROUP], "displayName": "JVQBTVJDSZSP", "externalId": "c4c3", "members": []});
    let made = scim.post("/Groups", &group).await?;
    assert_eq!((made.status, &made.body["members"]), (201, &json!([])), "{}", made.body);
    let path = format!("/Groups/{}", made.id());
    assert_error(&scim.post("/Groups", &group).await?, 409);
    let lean = scim.get(&format!("{path}?excludedAttributes=members")).await?;
    assert_eq!((lean.status, lean.body.get("members")), (200, None));
    for spelling in ["JVQBTVJDSZSP", "jvqbtvjdszsp"] {
        let found =
            scim.get(&format!("/Groups?excludedAttributes=members&{}", filter("displayName", spelling))).await?;
        assert_eq!((&only(&found)["id"], only(&found).get("members")), (&json!(made.id()), None));
        let whole = scim.get(&format!("/Groups?{}", filter("displayName", spelling))).await?;
        assert_eq!(only(&whole)["members"], json!([]));
    }
    assert_empty(&scim.get(&format!("/Groups?{}", filter("displayName", "non-existing"))).await?);

    let send = async |operations: Value| {
        let body = json!({"schemas": [PATCH], "Operations": operations});
        scim.send(Method::PATCH, &path, &[], Some(&body)).await
    };
    let changed = send(json!([{"op": "replace", "value": {"externalId": "9d7c"}}])).await?;
    assert_eq!((changed.status, &changed.body["externalId"]), (200, &json!("9d7c")));
    let named = send(json!([{"op": "replace", "path": "displayName", "value": "ATNHSPPIQCVI"}])).await?;
    assert_eq!(named.body["displayName"], "ATNHSPPIQCVI");
    let member = scim.hire("member", &[]).await?;
    for op in ["add", "replace"] {
        let with =
            send(json!([{"op": op, "path": "members", "value": [{"$ref": null, "value": member.id()}]}])).await?;
        assert_eq!((with.status, &with.body["members"][0]["value"]), (200, &json!(member.id())), "{}", with.body);
    }
    let without = send(json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", member.id())}])).await?;
    assert_eq!((without.status, &without.body["members"]), (200, &json!([])), "{}", without.body);
    assert_eq!(scim.delete(&path).await?.status, 204);
    assert_error(&scim.get(&path).await?, 404);
    Ok(())
}
