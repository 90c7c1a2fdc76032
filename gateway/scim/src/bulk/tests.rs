use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Done, Job, Task, Verb};
use crate::error::Error;
use crate::leniency::Mode;
use crate::schema::Schemas;

/// A store that keeps bodies as they come, and refuses what it is told to.
#[derive(Default)]
struct World {
    made: usize,
    resources: BTreeMap<String, Map<String, Value>>,
    log: Vec<String>,
    /// Nothing of this name can be made.
    refused: &'static str,
    /// Nobody can be patched.
    no_patch: bool,
}

impl World {
    fn perform(&mut self, task: Task) -> Result<Done, Error> {
        let Task { kind, verb, id, version, data } = task;
        self.log.push(format!("{verb:?} {} {id}", kind.name).trim_end().to_owned());
        if version.as_deref().is_some_and(|version| version != "W/\"1\"") {
            return Err(Error::precondition_failed());
        }
        match verb {
            Verb::Create => {
                let data = data.unwrap();
                let name = data.get("userName").or_else(|| data.get("displayName")).and_then(Value::as_str).unwrap();
                if self.refused == name {
                    return Err(Error::uniqueness("userName"));
                }
                self.made += 1;
                let id = format!("id{}", self.made);
                self.resources.insert(id.clone(), data);
                Ok(Done { status: 201, id, version: Some("W/\"1\"".into()) })
            }
            Verb::Patch if self.no_patch => Err(Error::unavailable("not now")),
            Verb::Replace | Verb::Patch => {
                let stored = self.resources.get_mut(&id).ok_or_else(|| Error::not_found("resource"))?;
                stored.extend(data.unwrap());
                Ok(Done { status: 200, id, version: Some("W/\"2\"".into()) })
            }
            Verb::Delete => {
                self.resources.remove(&id).ok_or_else(|| Error::not_found("resource"))?;
                Ok(Done { status: 204, id, version: None })
            }
        }
    }

    fn run(&mut self, body: Value) -> Vec<Value> {
        let mut job = plan(body).unwrap();
        while let Some(task) = job.next_task() {
            let result = self.perform(task);
            job.finish(result);
        }
        let mut answer = job.response("http://h/v2");
        assert_eq!(answer["schemas"], json!([super::RESPONSE_URN]));
        let Value::Array(operations) = answer["Operations"].take() else { panic!("a list") };
        operations
    }
}

fn plan(body: Value) -> Result<Job, Error> {
    let Value::Object(body) = body else { panic!("an object") };
    Job::plan(body, Schemas::BUILT_IN, Mode::Lenient)
}

fn post(path: &str, bulk_id: &str, data: &Value) -> Value {
    json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data})
}

fn user(bulk_id: &str) -> Value {
    post("/Users", bulk_id, &json!({"userName": bulk_id}))
}

fn managed(bulk_id: &str, manager: &str) -> Value {
    post("/Users", bulk_id, &json!({"userName": bulk_id, "manager": manager}))
}

fn group(bulk_id: &str, members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
    post("/Groups", bulk_id, &json!({"displayName": bulk_id, "members": members}))
}

fn statuses(answers: &[Value]) -> Vec<&str> {
    answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect()
}

/// B06: order, and references forwards and backwards.
#[test]
fn operations_run_as_sent_and_what_makes_runs_before_what_refers_to_it() {
    let mut world = World::default();
    let answers = world.run(json!({"Operations": [
        user("a"),
        group("g", &["bulkId:a", "bulkId:b", "other"]),
        {"method": "patch", "path": "/Groups/bulkId:g", "data": {"Operations": [
            {"op": "add", "path": "members", "value": [{"value": "bulkId:c"}]},
            {"op": "remove", "path": "members[value eq \"bulkId:a\"]"},
            {"op": "add", "value": {"members": "bulkId:b", "displayName": "bulkId:c"}}]}},
        user("b"),
        user("c"),
        {"method": "DELETE", "path": "/Users/bulkId:c", "version": "W/\"1\""},
    ]}));
    let order = ["Create User", "Create User", "Create Group", "Create User", "Patch Group id3", "Delete User id4"];
    assert_eq!(world.log, order);
    assert_eq!(statuses(&answers), ["201", "201", "200", "201", "201", "204"]);
    let group = &world.resources["id3"];
    assert_eq!(group["members"], json!([{"value": "id1"}, {"value": "id2"}, {"value": "other"}]));
    assert_eq!(
        group["Operations"],
        json!([
            {"op": "add", "path": "members", "value": [{"value": "id4"}]},
            {"op": "remove", "path": "members[value eq \"id1\"]"},
            {"op": "add", "value": {"members": "id2", "displayName": "bulkId:c"}}])
    );
    assert_eq!(
        answers[1],
        json!({"method": "POST", "bulkId": "g", "location": "http://h/v2/Groups/id3", "version": "W/\"1\"",
            "status": "201"})
    );
    assert_eq!(answers[5]["location"], "http://h/v2/Users/id4");
}

#[test]
fn users_who_are_each_others_managers_get_them_once_they_are_there() {
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let whole = |name: &str, manager: &str| {
        post("/Users", name, &json!({"userName": name, ENTERPRISE: {"department": "D", "manager": {"value": manager}}}))
    };
    let operations = json!([
        whole("a", "bulkId:b"),
        whole("b", "bulkId:a"),
        managed("own", "bulkId:own"),
        group("g", &["bulkId:a"])
    ]);
    let mut world = World::default();
    let answers = world.run(json!({ "Operations": operations }));
    assert_eq!(statuses(&answers), ["201"; 4]);
    assert_eq!(answers[1]["version"], "W/\"2\"", "the version after it got its manager");
    let (b, a) = (&world.resources["id1"], &world.resources["id2"]);
    assert_eq!((&b["userName"], &a["userName"]), (&json!("b"), &json!("a")));
    assert_eq!(b[ENTERPRISE], json!({"department": "D"}));
    assert_eq!(b["Operations"], json!([{"op": "add", "value": {ENTERPRISE: {"manager": {"value": "id2"}}}}]));
    assert_eq!(a[ENTERPRISE]["manager"]["value"], "id1");
    assert_eq!(world.resources["id3"]["Operations"][0]["value"], json!({"manager": "id3"}));
    assert_eq!(world.resources["id4"]["members"], json!([{"value": "id2"}]));

    let mut world = World { refused: "a", ..World::default() };
    let answers = world.run(json!({ "Operations": operations }));
    assert_eq!(statuses(&answers), ["409", "409", "201", "409"]);
    assert_eq!(answers[0]["response"]["scimType"], "uniqueness");
    assert!(answers[1].get("location").is_none(), "{}", answers[1]);
    assert_eq!(world.resources.len(), 1, "who did not get its manager is unmade again: {:?}", world.log);

    let mut world = World { no_patch: true, ..World::default() };
    let answers = world.run(json!({ "Operations": operations }));
    assert_eq!(statuses(&answers), ["201", "503", "503", "201"]);
}

/// B06: circular references.
#[test]
fn groups_that_contain_each_other_are_refused_and_others_are_made() {
    let mut world = World::default();
    let answers = world.run(json!({"Operations": [
        group("a", &["bulkId:b"]), group("b", &["bulkId:a"]), group("self", &["bulkId:self"]),
        group("above", &["bulkId:a"]), group("inner", &[]), group("outer", &["bulkId:inner", "bulkId:u"]), user("u")]}));
    assert_eq!(statuses(&answers), ["409", "409", "409", "409", "201", "201", "201"]);
    assert_eq!(world.resources.len(), 3);
}

#[test]
fn what_names_nothing_made_here_is_409_for_that_operation_alone() {
    let mut world = World { refused: "taken", ..World::default() };
    let answers = world.run(json!({"Operations": [
        group("g", &["bulkId:nobody"]), user("taken"), group("h", &["bulkId:taken"]), group("i", &[]),
        {"method": "DELETE", "path": "/Users/bulkId:i"},
        {"method": "DELETE", "path": "/Users/bulkId:h", "bulkId": "x"},
        {"method": "PUT", "path": "/Groups/bulkId:i", "data": {"members": [{"value": "bulkId:x"}]}},
        managed("m", "bulkId:i"),
        post("/Users", "t", &json!({"userName": "t", "title": "bulkId:nobody", "groups": [{"value": "bulkId:z"}]}))]}));
    assert_eq!(statuses(&answers), ["409", "409", "409", "201", "409", "409", "409", "409", "201"]);
    assert_eq!(answers[5]["location"], "http://h/v2/Users/bulkId:h");
    assert!(answers[0].get("location").is_none());
}

#[test]
fn what_is_wrong_with_one_operation_is_its_result() {
    let mut world = World::default();
    let bad = [
        (json!("x"), "400"),
        (json!({}), "400"),
        (json!({"method": "GET", "path": "/Users/1"}), "400"),
        (json!({"method": "POST", "path": "/Users", "data": {}}), "400"),
        (json!({"method": "POST", "path": "/Users", "bulkId": "x"}), "400"),
        (json!({"method": "POST", "path": "/Users", "bulkId": 7, "data": {}}), "400"),
        (json!({"method": "PATCH", "path": "/Users/1", "data": []}), "400"),
        (json!({"method": "DELETE", "path": "/Users/1", "METHOD": "PUT"}), "400"),
        (json!({"method": "DELETE", "path": 7}), "400"),
        (json!({"method": "POST", "path": "/Users/1", "bulkId": "x", "data": {}}), "405"),
        (json!({"method": "DELETE", "path": "/Users"}), "405"),
        (json!({"method": "DELETE", "path": "/Bulk"}), "404"),
        (json!({"method": "DELETE", "path": "/Usersx/1"}), "404"),
        (json!({"method": "DELETE", "path": "/Users/1/2"}), "404"),
        (json!({"method": "DELETE", "path": "/Users/1?x"}), "404"),
        (json!({"method": "DELETE", "path": "http://h/Users/1"}), "404"),
        (json!({"method": "DELETE", "path": "/Users/1"}), "404"),
    ];
    let operations: Vec<_> = bad.iter().map(|(operation, _)| operation.clone()).chain([user("a")]).collect();
    let answers = world.run(json!({ "Operations": operations }));
    for ((operation, status), answer) in bad.iter().zip(&answers) {
        assert_eq!(answer["status"], *status, "{operation}");
        assert_eq!(answer["response"]["status"], *status);
    }
    assert_eq!(answers.len(), bad.len() + 1);
    assert_eq!(world.log, ["Delete User 1", "Create User"]);
}

/// B06: `failOnErrors`.
#[test]
fn enough_failures_end_it_and_nothing_is_left_half_made() {
    let gone = |id: &str| json!({"method": "DELETE", "path": format!("/Users/{id}")});
    let operations = json!([user("a"), gone("x"), user("b"), gone("y"), user("c")]);
    let run = |fail_on_errors: Value| {
        let mut world = World::default();
        let answers = world.run(json!({"failOnErrors": fail_on_errors, "Operations": operations}));
        (statuses(&answers).join(" "), world.resources.len())
    };
    assert_eq!(run(json!(null)), ("201 404 201 404 201".into(), 3));
    assert_eq!(run(json!(3)), ("201 404 201 404 201".into(), 3));
    assert_eq!(run(json!(2)), ("201 404 201 404".into(), 2));
    assert_eq!(run(json!(1)), ("201 404".into(), 1));
    assert_eq!(run(json!(0)), ("201 404".into(), 1));

    let mut world = World { refused: "a", ..World::default() };
    let circle = json!([managed("a", "bulkId:b"), managed("b", "bulkId:a"), user("c")]);
    let answers = world.run(json!({"failOnErrors": 1, "Operations": circle}));
    assert_eq!(statuses(&answers), ["409", "409"]);
    assert!(world.resources.is_empty(), "{:?}", world.log);
}

#[test]
fn what_is_no_bulk_request_is_refused_whole() {
    let refused = |body: Value| plan(body).map(drop).unwrap_err();
    for bad in [
        json!({}),
        json!({"Operations": {}}),
        json!({"Operations": [], "failOnErrors": "1"}),
        json!({"Operations": [], "failOnErrors": -1}),
        json!({"Operations": [user("a"), user("a")]}),
        json!({"Operations": [], "operations": []}),
    ] {
        assert_eq!(refused(bad.clone()).status, 400, "{bad}");
    }
    let many = json!({"Operations": vec![Value::Null; super::MAX_OPERATIONS as usize + 1]});
    assert_eq!(refused(many).status, 413);
    assert_eq!(World::default().run(json!({"Operations": []})), Vec::<Value>::new());
    let body = Map::from_iter([("Operations".to_owned(), json!([]))]);
    assert_eq!(Job::plan(body, Schemas::BUILT_IN, Mode::Strict).unwrap_err().status, 400);
}

#[test]
fn a_long_chain_of_references_is_followed_on_a_small_stack() {
    let count = super::MAX_OPERATIONS as usize;
    let chain = (0..count).map(|n| {
        let inner = format!("bulkId:g{}", n + 1);
        group(&format!("g{n}"), &[inner.as_str()][..usize::from(n + 1 < count)])
    });
    let body = json!({"Operations": chain.collect::<Vec<_>>()});
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let answers = small.spawn(move || World::default().run(body)).unwrap().join().unwrap();
    assert!(answers.iter().all(|answer| answer["status"] == "201"));
}

fn any_operation() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let reference = || name().prop_map(|name| format!("bulkId:{name}"));
    prop_oneof![
        (name(), reference()).prop_map(|(name, manager)| managed(name, &manager)),
        name().prop_map(user),
        (name(), prop::collection::vec(reference(), 0..3))
            .prop_map(|(name, members)| group(name, &members.iter().map(String::as_str).collect::<Vec<_>>())),
        (reference(), reference()).prop_map(|(group, member)| {
            let add = json!({"op": "add", "path": "members", "value": [{"value": member}]});
            json!({"method": "PATCH", "path": format!("/Groups/{group}"), "data": {"Operations": [add]}})
        }),
        reference().prop_map(|id| json!({"method": "DELETE", "path": format!("/Users/{id}")})),
    ]
}

proptest! {
    #[test]
    fn every_operation_has_one_result_and_no_reference_is_left(
        mut operations in prop::collection::vec(any_operation(), 0..8), refuse: bool,
    ) {
        let mut seen = BTreeSet::new();
        operations.retain(|it| it.get("bulkId").and_then(Value::as_str).is_none_or(|id| seen.insert(id.to_owned())));
        let mut world = World { refused: if refuse { "a" } else { "" }, ..World::default() };
        let answers = world.run(json!({ "Operations": operations }));
        prop_assert_eq!(answers.len(), operations.len());
        for (operation, answer) in operations.iter().zip(&answers) {
            prop_assert_eq!(operation.get("bulkId"), answer.get("bulkId"));
            let status = answer["status"].as_str().unwrap();
            prop_assert!(["200", "201", "204", "404", "409"].contains(&status), "{}", answer);
        }
        let stored = json!(world.resources.values().collect::<Vec<_>>()).to_string();
        prop_assert!(!stored.contains("bulkId:"), "{}", stored);
        // What failed is not there; what did not, is, unless it was deleted.
        let count = |status: &str| answers.iter().filter(|answer| answer["status"] == status).count();
        prop_assert_eq!(world.resources.len(), count("201") - count("204"));
    }
}
