//! Get queries, searches and pages.

use fluent_sim::{MissingUser, User};
use serde_json::{Value, json};

use crate::client::Client;

async fn with_users(names: &[&str]) -> Client {
    let client = Client::new().await;
    for name in names {
        client.sim().change(|world| world.put_user(User { username: (*name).into(), ..User::default() }));
    }
    client
}

fn nodes(connection: &Value, field: &str) -> Vec<String> {
    let edges = connection["edges"].as_array().unwrap();
    edges.iter().map(|edge| edge["node"][field].as_str().unwrap().to_owned()).collect()
}

const USERS: &str = "query($u: [String!], $first: Int, $last: Int, $after: String, $before: String) {
    users(username: $u, first: $first, last: $last, after: $after, before: $before) {
        edges { node { username } cursor } pageInfo { hasNextPage hasPreviousPage }
    }
}";

#[tokio::test]
async fn a_get_query_matches_exactly_and_a_missing_user_is_null_or_an_error() {
    let client = with_users(&["ann_lee", "annXlee"]).await;
    let query = "query($name: String) { user(username: $name) { username } }";
    assert_eq!(client.data(query, json!({"name": "ann_lee"})).await["user"]["username"], "ann_lee");
    assert_eq!(client.data(query, json!({"name": "ann%"})).await["user"], Value::Null);
    client.sim().behave(|behaviour| behaviour.missing_user = MissingUser::Error);
    assert_eq!(client.refusal(query, json!({"name": "ann%"})).await, "C0120E");
}

#[tokio::test]
async fn searches_take_wildcards() {
    let client = with_users(&["ann_lee", "annXlee", "bob"]).await;
    let found = async |pattern: Value| nodes(&client.data(USERS, json!({"u": pattern})).await["users"], "username");
    assert_eq!(found(json!("ann%")).await, ["ann_lee", "annXlee"]);
    assert_eq!(found(json!(["ann_lee", "b%"])).await, ["ann_lee", "bob"]);
    client.sim().behave(|behaviour| behaviour.underscore_wildcard = true);
    assert_eq!(found(json!("ann_lee")).await, ["ann_lee", "annXlee"]);
}

#[tokio::test]
async fn searches_combine_their_arguments() {
    let client = with_users(&["ann", "bob"]).await;
    client.update("bob", json!({"status": "INACTIVE", "promotionOptIn": true})).await;
    let query = "query($from: DateTime) {
        a: users(status: \"INACTIVE\", promotionOptIn: true) { edges { node { username } } }
        b: users(status: \"INACTIVE\", username: \"ann\") { edges { node { username } } }
        c: users(createdOn: {from: $from}) { edges { node { username } } }
    }";
    let data = client.data(query, json!({"from": "2099-01-01T00:00:00Z"})).await;
    assert_eq!(nodes(&data["a"], "username"), ["bob"]);
    assert_eq!(nodes(&data["b"], "username"), [""; 0]);
    assert_eq!(nodes(&data["c"], "username"), [""; 0]);
    assert_eq!(
        client.refusal("{ users(createdOn: {from: \"soon\"}) { edges { cursor } } }", json!({})).await,
        "C0100E"
    );
    assert_eq!(client.refusal("{ users(createdOn: {}) { edges { cursor } } }", json!({})).await, "C0102E");
}

#[tokio::test]
async fn pages_hold_ten_by_default_and_cursors_lead_through_all() {
    let names: Vec<String> = (0..24).map(|number| format!("user{number:02}")).collect();
    let client = with_users(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = client.data(USERS, json!({"u": "user%", "after": after})).await["users"].take();
        seen.extend(nodes(&page, "username"));
        after = page["edges"].as_array().unwrap().last().unwrap()["cursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        assert_eq!(page["edges"].as_array().unwrap().len(), 10);
    }
    assert_eq!(seen, names);

    let last = client.data(USERS, json!({"u": "user%", "last": 2, "before": after})).await["users"].take();
    assert_eq!(nodes(&last, "username"), ["user21", "user22"]);
    assert_eq!(last["pageInfo"], json!({"hasPreviousPage": true, "hasNextPage": true}));
}

#[tokio::test]
async fn the_page_size_is_at_least_one_and_at_most_five_thousand() {
    let client = Client::new().await;
    client.sim().change(|world| {
        for number in 0..5_010 {
            world.put_user(User { username: format!("u{number}"), ..User::default() });
        }
    });
    let page = client.data(USERS, json!({"first": 9_999})).await["users"].take();
    assert_eq!(page["edges"].as_array().unwrap().len(), 5_000);
    let code = client.sim().behaviour().invalid_input_code;
    assert_eq!(client.refusal(USERS, json!({"first": 0})).await, code);
    assert_eq!(client.refusal(USERS, json!({"after": "made-up"})).await, code);
}

#[tokio::test]
async fn the_catalogue_can_be_read_and_changes_under_the_readers_feet() {
    let client = Client::new().await;
    let query = "{
        roles(first: 1000) { edges { node { name permissions { name } } } }
        one: role(name: \"Fulfillment_Associate\") { name }
        retailers { edges { node { id ref tradingName status } } }
        locations(ref: \"CHIC-%\") { edges { node { id ref type retailer { ref } } } }
        location(ref: \"5000299_SYD\") { id }
        none: location(ref: \"5000299%\") { id }
        permissions(name: \"USER_%\") { edges { node { name } } }
    }";
    let data = client.data(query, json!({})).await;
    assert!(nodes(&data["roles"], "name").contains(&"WAREHOUSE_ASSOCIATE".to_owned()));
    assert_eq!(data["one"]["name"], "Fulfillment_Associate");
    assert_eq!(nodes(&data["retailers"], "id"), ["134", "271"]);
    assert_eq!(nodes(&data["locations"], "ref"), ["CHIC-01", "CHIC-02"]);
    assert_eq!(data["locations"]["edges"][0]["node"]["retailer"]["ref"], "LAKESIDE");
    assert_eq!((&data["location"]["id"], &data["none"]), (&json!("5000236"), &Value::Null));
    assert_eq!(nodes(&data["permissions"], "name"), ["USER_CREATE", "USER_UPDATE", "USER_VIEW"]);

    client.sim().change(|world| world.remove_role("Fulfillment_Associate"));
    assert_eq!(client.data("{ role(name: \"Fulfillment_Associate\") { id } }", json!({})).await["role"], Value::Null);
}

#[tokio::test]
async fn settings_are_created_once_per_context_and_changed() {
    let client = Client::new().await;
    let create = "mutation($v: Json) { createSetting(input: {name: \"rules\", valueType: \"JSON\", lobValue: $v,
        context: \"ACCOUNT\", contextId: 0}) { id lobValue } }";
    let created = client.data(create, json!({"v": {"rules": [1]}})).await["createSetting"].take();
    assert_eq!(created["lobValue"], json!({"rules": [1]}));
    assert_eq!(client.refusal(create, json!({"v": 1})).await, client.sim().behaviour().duplicate_code);
    let update = "mutation($id: ID!) { updateSetting(input: {id: $id, valueType: \"STRING\", value: \"x\",
        context: \"ACCOUNT\", contextId: 0}) { name value valueType } }";
    let updated = client.data(update, json!({"id": created["id"]})).await["updateSetting"].take();
    assert_eq!(updated, json!({"name": "rules", "value": "x", "valueType": "STRING"}));
    let query = "{ settings(name: \"rules\", contextId: 0) { edges { node { id value } } } }";
    assert_eq!(nodes(&client.data(query, json!({})).await["settings"], "value"), ["x"]);
}

#[tokio::test]
async fn roles_gain_permissions_by_update_and_lose_them_by_removal_only() {
    let client = Client::new().await;
    let query = "mutation {
        createRole(input: {name: \"AUDITOR\", permissions: [{name: \"USER_VIEW\"}]}) { permissions { name } }
        updateRole(input: {name: \"AUDITOR\", permissions: [{name: \"ROLE_VIEW\"}]}) { permissions { name } }
        removePermissionsFromRole(input: {role: {name: \"AUDITOR\"}, permissions: [{name: \"USER_VIEW\"}]}) { status }
    }";
    let data = client.data(query, json!({})).await;
    assert_eq!(data["updateRole"]["permissions"], json!([{"name": "USER_VIEW"}, {"name": "ROLE_VIEW"}]));
    assert_eq!(data["removePermissionsFromRole"]["status"], "SUCCESS");
    client.sim().read(|world| assert_eq!(world.roles()["AUDITOR"].permissions, ["ROLE_VIEW"]));
}
