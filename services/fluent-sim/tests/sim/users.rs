//! What the user mutations accept, refuse and do.

use fluent_sim::{ErrorCode, User, UserRole};
use serde_json::{Value, json};

use crate::client::{Client, new_user, role};

#[tokio::test]
async fn a_created_user_has_an_id_and_the_switched_status() {
    let client = Client::new().await;
    let answer =
        client.create("ann@example.com", json!({"firstName": "Ann", "roles": [role("STORE", "AGENT", &["1"])]})).await;
    assert_eq!(answer["data"]["createUser"]["status"], "ACTIVE");
    let ann = client.sim().user("ann@example.com").unwrap();
    assert_eq!(answer["data"]["createUser"]["id"], ann.id.to_string());
    assert_eq!((ann.first_name.as_deref(), ann.roles), (Some("Ann"), vec![UserRole::new("STORE", &[("AGENT", "1")])]));

    client.sim().behave(|behaviour| behaviour.created_status = "CREATED".into());
    assert_eq!(client.create("bob", json!({})).await["data"]["createUser"]["status"], "CREATED");
}

#[tokio::test]
async fn a_taken_name_is_refused_with_the_switched_code() {
    let client = Client::with(|behaviour| behaviour.duplicate_code = "S0042E".into()).await;
    client.create("ann", json!({})).await;
    let answer = client.create("ann", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "S0042E");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("ConstraintViolationException"));
}

#[tokio::test]
async fn the_code_is_in_the_message_alone_where_switched() {
    let client = Client::with(|behaviour| behaviour.error_code = ErrorCode::Message).await;
    let answer = client.create("ann", json!({"roles": [role("NO_SUCH_ROLE", "ACCOUNT", &["0"])]})).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().starts_with("C0120E: "), "{answer}");
    assert_eq!(answer["errors"][0].get("extensions"), None);
    assert_eq!(client.sim().log_since(0).last().unwrap().request.errors, ["C0120E"]);
}

#[tokio::test]
async fn roles_are_added_by_update_and_taken_by_removal_only() {
    let client = Client::new().await;
    client.create("ann", json!({"roles": [role("STORE", "AGENT", &["1"])]})).await;
    let answer = client.update("ann", json!({"roles": [role("STORE", "RETAILER", &["134"])]})).await;
    let both = json!([{"role": {"name": "STORE"}, "contexts": [
        {"contextType": "AGENT", "contextId": "1"}, {"contextType": "RETAILER", "contextId": "134"}]}]);
    assert_eq!(answer["data"]["updateUser"]["roles"], both);
    client.update("ann", json!({"roles": []})).await;
    assert_eq!(client.sim().user("ann").unwrap().grants().len(), 2);

    let remove = "mutation($roles: [UserRoleKey!]!) {
        removeUserRolesFromUser(input: {user: {username: \"ann\"}, roles: $roles}) { status } }";
    client.data(remove, json!({"roles": [role("STORE", "AGENT", &["1"])]})).await;
    assert_eq!(client.sim().user("ann").unwrap().roles, [UserRole::new("STORE", &[("RETAILER", "134")])]);
    client.data(remove, json!({"roles": role("STORE", "RETAILER", &["134"])})).await;
    assert_eq!(client.sim().user("ann").unwrap().roles, []);
}

#[tokio::test]
async fn values_which_are_too_long_blank_or_of_unknown_entities_are_refused() {
    let client = Client::new().await;
    let invalid = client.sim().behaviour().invalid_input_code;
    for (input, code) in [
        (json!({"username": "u".repeat(251)}), invalid.as_str()),
        (json!({"ref": "r".repeat(101)}), &invalid),
        (json!({"timezone": "t".repeat(33)}), &invalid),
        (json!({"department": "d".repeat(256)}), &invalid),
        (json!({"username": " "}), &invalid),
        (json!({"roles": [role("STORE", "AGENT", &[])]}), &invalid),
        (json!({"primaryRetailer": {"id": "404"}}), "C0120E"),
        (json!({"primaryLocation": {"id": 404}}), "C0120E"),
        (json!({"roles": [role("store", "AGENT", &["1"])]}), "C0120E"),
    ] {
        let answer = client.create("ann", input.clone()).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{input} {answer}");
    }
    let null = "mutation { createUser { id } }";
    assert_eq!(client.refusal(null, json!({})).await, invalid);
}

#[tokio::test]
async fn a_caller_without_the_permission_is_told_which_one_it_lacks() {
    let mut client = Client::new().await;
    let mut user = client.sim().user("rolecall").unwrap();
    user.roles = vec![UserRole::new("GRAPHQL", &[("ACCOUNT", "0")])];
    client.sim().change(|world| world.put_user(user));
    client.sign_in().await;
    let answer = client.create("ann", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "C0020E");
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("USER_CREATE"));
    client.data("{ user(username: \"ann\") { id } }", json!({})).await;

    client.sim().behave(|behaviour| behaviour.check_permissions = false);
    assert_eq!(client.create("ann", json!({})).await["data"]["createUser"]["username"], "ann");
}

#[tokio::test]
async fn a_grant_outlives_its_role_and_can_still_be_taken() {
    let client = Client::new().await;
    client.create("ann", json!({"roles": [role("STORE", "ACCOUNT", &["0"])]})).await;
    client.sim().change(|world| world.remove_role("STORE"));
    let query = "{ user(username: \"ann\") { roles { role { name permissions { name } } } } }";
    let held = json!([{"role": {"name": "STORE", "permissions": []}}]);
    assert_eq!(client.data(query, json!({})).await["user"]["roles"], held);
    let remove =
        "mutation { removeUserRolesFromUser(input: {user: {username: \"ann\"}, roles: [{role: {name: \"STORE\"},
        contexts: [{contextType: \"ACCOUNT\", contextId: 0}]}]}) { status } }";
    client.data(remove, json!({})).await;
    assert_eq!(client.sim().user("ann").unwrap().roles, []);
}

#[tokio::test]
async fn many_clients_at_once_each_see_their_own_user() {
    let client = Client::new().await;
    let query = "mutation($input: CreateUserInput) { createUser(input: $input) { username } }";
    let asked = (0..64).map(|number| {
        let name = format!("user{number}");
        let request = client.request(query, json!({"input": new_user(&name, json!({}))}));
        tokio::spawn(async move { (name, request.send().await.unwrap().json::<Value>().await.unwrap()) })
    });
    for task in asked.collect::<Vec<_>>() {
        let (name, answer) = task.await.unwrap();
        assert_eq!(answer["data"]["createUser"]["username"], name);
    }
    client.sim().read(|world| assert_eq!(world.users().len(), 65));
}

#[tokio::test]
async fn every_profile_field_is_stored_and_shown() {
    let client = Client::new().await;
    let input = new_user(
        "ann",
        json!({
            "title": "Dr", "firstName": "Ann", "lastName": "Lee", "primaryPhone": "1", "department": "Toys",
            "country": "US", "language": {"value": "en-US", "label": "English"}, "promotionOptIn": true,
            "primaryRetailer": {"id": "134"}, "primaryLocation": {"id": 1_023_434},
            "attributes": [{"name": "n", "type": "JSON", "value": {"deep": [1, null]}}],
        }),
    );
    let query = "mutation($input: CreateUserInput) { createUser(input: $input) {
        ref title firstName lastName primaryEmail primaryPhone type department country timezone promotionOptIn
        language { value label } attributes { name type value } primaryRetailer { id } primaryLocation { id }
        apps { id } createdOn
    } }";
    let mut shown = client.data(query, json!({"input": input})).await["createUser"].take();
    let created = shown.as_object_mut().unwrap().remove("createdOn").unwrap();
    assert!(created.as_str().unwrap().ends_with('Z'));
    let mut wanted = input;
    for hidden in ["username", "password"] {
        wanted.as_object_mut().unwrap().remove(hidden);
    }
    wanted["apps"] = json!([]);
    wanted["primaryLocation"]["id"] = json!("1023434");
    assert_eq!(shown, wanted);
    assert_eq!(client.sim().user("ann").map(|ann: User| ann.password).as_deref(), Some("secret-word"));
}
