//! The list of labels to pick from.

use proto::common::v1 as common;
use runtime::error::Reason;
use serde_json::json;

use super::{Answer, Face};

const OKTA: &str = "urn:okta:scim:schemas:core:1.0:Role";
const DRAFT: &str = "urn:ietf:params:scim:schemas:core:2.0:Role";

fn ids(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let resources = answer.body["Resources"].as_array().unwrap();
    assert_eq!(answer.body["itemsPerPage"], resources.len());
    resources.iter().map(|role| role["id"].as_str().unwrap()).collect()
}

fn face() -> Face {
    let face = Face::new();
    face.world.knows(&["ACCOUNT_0_A", "ACCOUNT_0_B", "RETAILER_1_A", "AGENT_1_A", "AGENT_1_B", "AGENT_2 3_A", "odd"]);
    face
}

#[tokio::test]
async fn labels_are_listed_and_those_of_locations_where_they_are_asked_for() {
    let face = face();
    assert_eq!(ids(&face.get("/Roles").await), ["ACCOUNT_0_A", "ACCOUNT_0_B", "RETAILER_1_A", "odd"]);
    assert_eq!(ids(&face.get("/Roles?filter=value+sw+%22AGENT_1%22").await), ["AGENT_1_A", "AGENT_1_B"]);
    let page = face.get("/Roles?filter=displayName+sw+%22A%22&startIndex=2&count=2").await;
    assert_eq!(ids(&page), ["ACCOUNT_0_B", "AGENT_1_A"]);
    assert_eq!((&page.body["totalResults"], &page.body["startIndex"]), (&json!(5), &json!(2)));
    assert_eq!(ids(&face.get("/Roles?filter=type+eq+%22retailer%22").await), ["RETAILER_1_A"]);
    let search = json!({ "filter": "id eq \"AGENT_1_B\"", "attributes": ["displayName"], "sortBy": "value" });
    let found = face.call("POST", "/Roles/.search", &search).await;
    assert_eq!(ids(&found), ["AGENT_1_B"]);
    assert!(found.body["Resources"][0].get("description").is_none());
    let asked = face.world.lock().labels_asked.last().unwrap().clone();
    assert_eq!((&*asked.sort_by, asked.all_locations), (&*format!("{DRAFT}:value"), false));
    face.world.lock().settings.set_role_locations(common::RoleLocations::Listed);
    let other = Face { token: face.world.token("other", &["scim"]), ..face };
    assert_eq!(ids(&other.get("/Roles").await).len(), 7);
}

#[tokio::test]
async fn a_role_is_found_by_its_label() {
    let face = face();
    let role = face.get("/Roles/AGENT_2%203_A").await.body;
    assert_eq!(role["schemas"], json!([OKTA, DRAFT]));
    assert_eq!((&role["id"], &role["displayName"]), (&json!("AGENT_2 3_A"), &role[DRAFT]["value"]));
    assert_eq!((&role[DRAFT]["type"], &role[DRAFT]["supported"]), (&json!("AGENT"), &json!(true)));
    let location = role["meta"]["location"].as_str().unwrap();
    assert_eq!(location, "http://scim.test/scim/v2/Roles/AGENT_2%203_A");
    assert_eq!(face.get(location.split_once("/v2").unwrap().1).await.body, role);
    assert_eq!(
        face.get("/Roles/odd").await.body[DRAFT],
        json!({ "value": "odd", "display": "odd", "supported": false })
    );
    let brief = face.get("/Roles/AGENT_1_A?attributes=displayName").await.body;
    assert_eq!((&brief["displayName"], brief.get(DRAFT)), (&json!("AGENT_1_A"), None));
    face.get("/Roles/nobody").await.is_error(404, None);
    face.get("/Roles/%22%20or%20id%20pr").await.is_error(404, None);
}

#[tokio::test]
async fn okta_and_who_reads_the_draft_find_roles_in_discovery() {
    let face = face();
    let kind = face.get("/ResourceTypes/Role").await.body;
    assert_eq!((&kind["endpoint"], &kind["schema"]), (&json!("/Roles"), &json!(OKTA)));
    assert_eq!(kind["schemaExtensions"], json!([{ "schema": DRAFT, "required": false }]));
    assert!(face.get("/ResourceTypes").await.body["Resources"].as_array().unwrap().contains(&kind));
    let all = face.get("/Schemas").await.body;
    for urn in [OKTA, DRAFT] {
        let schema = face.get(&format!("/Schemas/{urn}")).await;
        assert_eq!((schema.status.as_u16(), &schema.body["id"]), (200, &json!(urn)));
        assert!(all["Resources"].as_array().unwrap().contains(&schema.body));
        let attributes = schema.body["attributes"].as_array().unwrap();
        assert!(attributes.iter().all(|attribute| attribute["mutability"] == "readOnly"));
    }
}

#[tokio::test]
async fn nobody_writes_roles() {
    let face = face();
    for (method, path) in [("POST", "/Roles"), ("PUT", "/Roles/x"), ("PATCH", "/Roles/x"), ("DELETE", "/Roles/x")] {
        let refused = face.call(method, path, &json!({})).await;
        refused.is_error(405, None);
        assert!(refused.header("allow").contains("GET"));
    }
}

#[tokio::test]
async fn what_makes_no_sense_of_roles_is_refused() {
    let face = face();
    for filter in ["userName+eq+%22A%22", "supported+eq+%22A%22", "x", "value+sw"] {
        face.get(&format!("/Roles?filter={filter}")).await.is_error(400, Some("invalidFilter"));
    }
    face.get("/Roles?sortBy=userName").await.is_error(400, Some("invalidValue"));
    assert_eq!(face.world.count("ListLabels"), 0);
    face.world.lock().ailing.insert("ListLabels", Reason::TOO_MANY);
    face.get("/Roles?filter=value+co+%22A%22").await.is_error(400, Some("tooMany"));
    face.world.lock().ailing.insert("ListLabels", Reason::CATALOGUE_MISSING);
    let later = face.get("/Roles").await;
    later.is_error(503, None);
    assert!(!later.header("retry-after").is_empty());
}

#[tokio::test]
async fn who_wants_the_letter_of_the_rfcs_meets_no_roles() {
    let face = face();
    face.world.lock().settings.set_protocol(common::Protocol::Strict);
    let all = face.get("/ResourceTypes").await.body;
    assert!(all["Resources"].as_array().unwrap().iter().all(|kind| kind["name"] != "Role"));
    for path in ["/ResourceTypes/Role", &format!("/Schemas/{OKTA}"), "/Roles", "/Roles/ACCOUNT_0_A"] {
        face.get(path).await.is_error(404, None);
    }
    face.call("POST", "/Roles/.search", &json!({})).await.is_error(404, None);
}
