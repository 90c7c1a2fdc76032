//! What user mutations do to the world, switch by switch.

use serde_json::{Value, json};

use super::*;
use crate::model::Role;

fn world() -> World {
    let mut world = World::new();
    for name in ["STORE", "Returns_Manager"] {
        world.put_role(Role { name: name.into(), ..Role::default() });
    }
    let roles = vec![UserRole::new("STORE", &[("AGENT", "1")])];
    world.put_user(User { id: Id(7), username: "ann".into(), roles, ..User::default() });
    world
}

fn update(world: &mut World, behaviour: &Behaviour, fields: &Value) -> Result<Arc<User>, Refusal> {
    let mut input = json!({"id": "7"});
    input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    world.update_user(serde_json::from_value(input).unwrap(), behaviour)
}

fn granted(role: &str, id: &str) -> Value {
    json!({"roles": [{"role": {"name": role}, "contexts": [{"contextType": "AGENT", "contextId": id}]}]})
}

fn remove(world: &mut World, behaviour: &Behaviour, role: &str, ids: &[&str]) -> Vec<UserRole> {
    let contexts: Vec<_> = ids.iter().map(|id| json!({"contextType": "AGENT", "contextId": id})).collect();
    let input = json!({"user": {"username": "ann"}, "roles": [{"role": {"name": role}, "contexts": contexts}]});
    world.remove_user_roles(serde_json::from_value(input).unwrap(), behaviour).unwrap().roles.clone()
}

#[test]
fn updates_add_roles_and_merge_contexts() {
    let (mut world, behaviour) = (world(), Behaviour::default());
    update(&mut world, &behaviour, &granted("STORE", "2")).unwrap();
    let user = update(&mut world, &behaviour, &granted("Returns_Manager", "1")).unwrap();
    let wanted = [
        UserRole::new("STORE", &[("AGENT", "1"), ("AGENT", "2")]),
        UserRole::new("Returns_Manager", &[("AGENT", "1")]),
    ];
    assert_eq!(user.roles, wanted);
}

#[test]
fn replaced_contexts_touch_the_named_role_only() {
    let (mut world, mut behaviour) = (world(), Behaviour::default());
    update(&mut world, &behaviour, &granted("Returns_Manager", "1")).unwrap();
    behaviour.contexts = Contexts::Replace;
    let user = update(&mut world, &behaviour, &granted("STORE", "2")).unwrap();
    let grants: Vec<_> = user.grants().into_iter().map(|(role, context)| (role, context.context_id)).collect();
    assert_eq!(grants, [("Returns_Manager".to_owned(), "1".to_owned()), ("STORE".to_owned(), "2".to_owned())]);
}

#[test]
fn only_named_contexts_are_removed_and_an_emptied_role_goes() {
    let (mut world, behaviour) = (world(), Behaviour::default());
    update(&mut world, &behaviour, &granted("STORE", "2")).unwrap();
    assert_eq!(remove(&mut world, &behaviour, "STORE", &["1", "9"]), [UserRole::new("STORE", &[("AGENT", "2")])]);
    assert_eq!(remove(&mut world, &behaviour, "STORE", &[]).len(), 1);
    assert_eq!(remove(&mut world, &behaviour, "STORE", &["2"]), []);
}

#[test]
fn switches_decide_about_emptied_roles_and_missing_contexts() {
    let (mut world, mut behaviour) = (world(), Behaviour::default());
    behaviour.keep_emptied_roles = true;
    assert_eq!(remove(&mut world, &behaviour, "STORE", &["1"]), [UserRole::new("STORE", &[])]);
    behaviour = Behaviour { remove_without_contexts: RemoveWithoutContexts::WholeRole, ..Behaviour::default() };
    update(&mut world, &behaviour, &granted("STORE", "2")).unwrap();
    assert_eq!(remove(&mut world, &behaviour, "STORE", &[]), []);
}

#[test]
fn unknown_roles_are_refused_and_case_counts_unless_switched() {
    let (mut world, mut behaviour) = (world(), Behaviour::default());
    assert_eq!(update(&mut world, &behaviour, &granted("Store", "2")).unwrap_err().code, "C0120E");
    behaviour.ignore_role_case = true;
    let user = update(&mut world, &behaviour, &granted("Store", "2")).unwrap();
    assert_eq!(user.roles, [UserRole::new("STORE", &[("AGENT", "1"), ("AGENT", "2")])]);
}

#[test]
fn unknown_contexts_are_refused_by_switch() {
    let (mut world, mut behaviour) = (world(), Behaviour::default());
    assert!(update(&mut world, &behaviour, &granted("STORE", "404")).is_ok());
    behaviour.unknown_context = UnknownContext::Refuse;
    assert_eq!(update(&mut world, &behaviour, &granted("STORE", "405")).unwrap_err().code, "C0120E");
}

#[test]
fn null_clears_a_field_unless_switched() {
    let (mut world, mut behaviour) = (world(), Behaviour::default());
    update(&mut world, &behaviour, &json!({"title": "Dr", "status": "INACTIVE"})).unwrap();
    behaviour.null_clears = false;
    assert_eq!(update(&mut world, &behaviour, &json!({"title": null})).unwrap().title.as_deref(), Some("Dr"));
    behaviour.null_clears = true;
    let user = update(&mut world, &behaviour, &json!({"title": null, "status": null})).unwrap();
    assert_eq!((user.title.as_deref(), user.is_active()), (None, false));
}

#[test]
fn lengths_are_counted_in_characters() {
    let (mut world, behaviour) = (world(), Behaviour::default());
    assert!(update(&mut world, &behaviour, &json!({"title": "é".repeat(50)})).is_ok());
    let refusal = update(&mut world, &behaviour, &json!({"title": "e".repeat(51)})).unwrap_err();
    assert_eq!(refusal.code, behaviour.invalid_input_code);
    assert!(update(&mut world, &behaviour, &json!({"department": "d".repeat(256)})).is_err());
}

#[test]
fn attributes_are_changed_by_name() {
    let (mut world, behaviour) = (world(), Behaviour::default());
    let attribute = |name: &str, value: u32| json!({"name": name, "type": "INTEGER", "value": value});
    update(&mut world, &behaviour, &json!({"attributes": [attribute("a", 1), attribute("b", 2)]})).unwrap();
    let user = update(&mut world, &behaviour, &json!({"attributes": [attribute("b", 3)]})).unwrap();
    let values: Vec<_> = user.attributes.iter().map(|held| held.value.clone()).collect();
    assert_eq!(values, [json!(1), json!(3)]);
}
