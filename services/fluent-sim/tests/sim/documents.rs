//! Any valid GraphQL document is executed, and no invalid one.

use serde_json::{Value, json};

use crate::client::{Client, json_of, new_user};

#[tokio::test]
async fn fragments_aliases_variables_and_directives_work() {
    let client = Client::new().await;
    let query = "
        query Mixed($name: String!, $with: Boolean = false, $without: Boolean!) {
            one: user(username: $name) { ...Who ... on Node { id } __typename }
            two: user(id: 1) { ...Who status @include(if: $with) type @skip(if: $without) }
        }
        fragment Who on User { username r: roles { ...Held } }
        fragment Held on UserRole { role { name } contexts { contextType contextId } }";
    let data = client.data(query, json!({"name": "rolecall", "without": true})).await;
    let held = json!([{"role": {"name": "ADMIN"}, "contexts": [{"contextType": "ACCOUNT", "contextId": "0"}]}]);
    let wanted = json!({
        "one": {"username": "rolecall", "r": held, "id": "1", "__typename": "User"},
        "two": {"username": "rolecall", "r": held},
    });
    assert_eq!(data, wanted);
}

#[tokio::test]
async fn mutations_run_in_the_order_of_the_document() {
    let client = Client::new().await;
    client.create("ann", json!({})).await;
    let id = client.sim().user("ann").unwrap().id;
    let query = "mutation($id: ID!) {
        c: updateUser(input: {id: $id, title: \"first\"}) { title }
        a: updateUser(input: {id: $id, title: \"second\"}) { title }
        ...Rest
    }
    fragment Rest on Mutation { b: updateUser(input: {id: $id, lastName: \"Lee\"}) { title lastName } }";
    let data = client.data(query, json!({"id": id.0})).await;
    let wanted =
        json!({"c": {"title": "first"}, "a": {"title": "second"}, "b": {"title": "second", "lastName": "Lee"}});
    assert_eq!(data, wanted);
    let keys: Vec<_> = data.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn a_request_fails_as_a_whole_when_one_mutation_fails() {
    let client = Client::new().await;
    let before = client.sim().changes();
    let query = "mutation($ann: CreateUserInput, $bob: CreateUserInput) {
        a: createUser(input: $ann) { id }
        x: updateUser(input: {id: 424242, title: \"Dr\"}) { id }
        b: createUser(input: $bob) { id }
    }";
    let variables = json!({"ann": new_user("ann", json!({})), "bob": new_user("bob", json!({}))});
    let answer = client.ask(query, variables).await;
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["x"]));
    assert_eq!(answer["errors"][0]["locations"][0]["line"], 3);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "C0120E");
    assert_eq!((client.sim().user("ann"), client.sim().user("bob")), (None, None));
    assert_eq!(client.sim().changes(), before);
}

#[tokio::test]
async fn invalid_documents_and_variables_are_refused() {
    let client = Client::new().await;
    let documents = [
        "{ me { id }",
        "{ me }",
        "{ me { nickname } }",
        "{ account { id } }",
        "{ user(login: \"x\") { id } }",
        "{ users { pageInfo { endCursor } } }",
        "query($a: Int) { me { id } }",
        "{ ...Gone }",
        "fragment A on User { ...A } { me { ...A } }",
        "mutation { createUser(input: {username: \"x\"}) { id } }",
        "mutation { deleteUser(id: 1) { id } }",
        "subscription { me { id } }",
        "query A { me { id } } query B { me { id } }",
        "",
    ];
    for document in documents {
        let answer = client.ask(document, json!({})).await;
        assert!(answer["errors"][0]["message"].is_string(), "{document}: {answer}");
        assert_eq!(answer["data"], Value::Null, "{document}");
    }
    let query = "query($name: String!) { user(username: $name) { id } }";
    for variables in [json!({}), json!({"name": null}), json!({"name": ["x", "y"]})] {
        assert!(client.ask(query, variables).await["errors"].is_array());
    }
    let unknown_field = json!({"input": new_user("ann", json!({"status": "ACTIVE"}))});
    let create = "mutation($input: CreateUserInput) { createUser(input: $input) { id } }";
    assert!(client.ask(create, unknown_field).await["errors"].is_array());
}

#[tokio::test]
async fn the_operation_name_chooses_among_operations() {
    let client = Client::new().await;
    let body = json!({"query": "query A { me { id } } query B { me { username } }", "operationName": "B"});
    let request = client.http.post(client.url("/graphql")).bearer_auth(&client.token).json(&body);
    let answer = json_of(request.send().await.unwrap()).await;
    assert_eq!(answer, json!({"data": {"me": {"username": "rolecall"}}}));
}

#[tokio::test]
async fn a_body_that_is_no_graphql_request_is_a_bad_request() {
    let client = Client::new().await;
    for body in ["", "[]", "{\"variables\": {}}", "query"] {
        let request = client.http.post(client.url("/graphql")).bearer_auth(&client.token).body(body);
        assert_eq!(request.send().await.unwrap().status(), 400, "{body}");
    }
}

#[tokio::test]
async fn introspection_describes_the_schema() {
    let client = Client::new().await;
    let query = "{ __schema { queryType { name } mutationType { name } types { name kind } directives { name } }
        update: __type(name: \"UpdateUserInput\") { inputFields { name type { kind ofType { name } } } } }";
    let data = client.data(query, json!({})).await;
    assert_eq!(data["__schema"]["mutationType"]["name"], "Mutation");
    let fields = data["update"]["inputFields"].as_array().unwrap();
    assert_eq!(fields[0], json!({"name": "id", "type": {"kind": "NON_NULL", "ofType": {"name": "ID"}}}));
    assert!(fields.iter().all(|field| field["name"] != "username"));

    let nested =
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    assert!(client.ask(nested, json!({})).await["errors"].is_array());

    client.sim().behave(|behaviour| behaviour.introspection = false);
    assert!(client.ask(query, json!({})).await["errors"].is_array());
}

#[tokio::test]
async fn a_request_above_the_limit_is_too_large() {
    let client = Client::new().await;
    let query = format!("{{ me {{ id }} }} # {}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(client.request(&query, json!({})).send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_query_that_would_read_too_much_is_refused() {
    let client = Client::new().await;
    let shallow = "query($n: Int) { users(first: $n) { edges { node { id username status } } } }";
    client.data(shallow, json!({"n": 5000})).await;
    let deep = "query($n: Int) { users(first: $n) { edges { node { roles { role { permissions { name } } } } } } }";
    client.data(deep, json!({"n": 100})).await;
    assert_eq!(client.refusal(deep, json!({"n": 5000})).await, "C0001E");
}
