//! The schema file against the resolvers: every field it declares is read by something.

use std::fmt::Write as _;

use apollo_compiler::schema::ExtendedType;

use super::*;
use crate::config::SimConfig;
use crate::model::{Attribute, Id, Language, Setting};
use crate::sim::Sim;

/// A selection of every field of a type, three levels of objects deep.
fn everything(schema: &Schema, ty: &str, depth: u32) -> String {
    let ExtendedType::Object(object) = &schema.types[ty] else { return String::new() };
    let fields = object.fields.values().filter_map(|field| {
        let inner = field.ty.inner_named_type();
        match &schema.types[inner] {
            ExtendedType::Object(_) if depth == 0 => None,
            ExtendedType::Object(_) => Some(format!("{} {{ {} }}", field.name, everything(schema, inner, depth - 1))),
            _ => Some(field.name.to_string()),
        }
    });
    fields.chain(["__typename".to_owned()]).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_field_of_the_schema_is_read() {
    let mut config = SimConfig::dev();
    config.settings.push(Setting { id: Id(7), name: "s".into(), context: "ACCOUNT".into(), ..Setting::default() });
    config.users[0].language = Some(Language { value: "en".into(), label: None });
    config.users[0].attributes = vec![Attribute { name: "a".into(), kind: "STRING".into(), value: Value::from("v") }];
    config.users[0].primary_location = Some(config.locations[0].id);
    config.behaviour.complexity_limit = u64::MAX;
    let sim = Sim::new(config);
    let endpoint = &sim.shared.graphql;
    let ExtendedType::Object(query) = &endpoint.schema.types["Query"] else { panic!("Query is an object type") };
    let arguments = |name: &str| match name {
        "user" | "userById" => "(id: 1)",
        "role" => "(name: \"ADMIN\")",
        "permission" => "(name: \"USER_VIEW\")",
        "setting" => "(id: 7)",
        "retailerById" => "(id: 134)",
        "location" | "locationById" => "(id: 1023434)",
        _ => "",
    };
    for field in query.fields.values() {
        let selection = everything(&endpoint.schema, field.ty.inner_named_type(), 5);
        let document = format!("{{ {}{} {{ {selection} }} }}", field.name, arguments(&field.name));
        let prepared = endpoint.prepare(json!({"query": document}).to_string().as_bytes()).unwrap();
        let answer = sim.with(|state| {
            let caller = state.world.user("rolecall").unwrap().clone();
            endpoint.execute(&prepared, &mut state.world, &state.behaviour, caller, false)
        });
        assert_eq!(answer.errors, [Value::Null; 0], "{}", field.name);
        let value = answer.data.unwrap().get(field.name.as_str()).cloned().unwrap();
        assert!(
            value.get("edges").map_or(!value.is_null(), |edges| !edges.as_array().unwrap().is_empty()),
            "{value:?}"
        );
    }
}

#[test]
fn every_mutation_of_the_schema_is_carried_out_or_refused_for_its_input() {
    let sim = Sim::new(SimConfig::dev());
    let endpoint = &sim.shared.graphql;
    let ExtendedType::Object(mutation) = &endpoint.schema.types["Mutation"] else { panic!("an object type") };
    for field in mutation.fields.values() {
        let document = format!("mutation {{ {} {{ __typename }} }}", field.name);
        let prepared = endpoint.prepare(json!({"query": document}).to_string().as_bytes()).unwrap();
        let answer = sim.with(|state| {
            let caller = state.world.user("rolecall").unwrap().clone();
            endpoint.execute(&prepared, &mut state.world, &state.behaviour, caller, false)
        });
        assert_eq!(answer.codes(), ["C0111E"], "{}", field.name);
    }
}

#[test]
fn fragments_that_multiply_are_not_counted_for_ever() {
    let sim = Sim::new(SimConfig::dev());
    let mut document = String::from("{ me { ...F0 } } fragment F24 on User { id }");
    for level in 0..24 {
        let next = level + 1;
        write!(document, " fragment F{level} on User {{ primaryRetailer {{ id }} ...F{next} ...F{next} }}").unwrap();
    }
    let prepared = sim.shared.graphql.prepare(json!({"query": document}).to_string().as_bytes()).unwrap();
    assert_eq!(prepared.complexity, u64::MAX);
}
