//! What one reading of Fluent hands to identity-store: the catalogue and the rules.

use std::time::Duration;

use fluent_sim::{Effect, Fault, Id, Setting};
use proto::identity::v1::rules_read::Read;
use serde_json::{Value, json};

use super::{Reader, Why};
use crate::testing::Setup;

const NAME: &str = "fc.connect.scim-connector.provisioning.pipeline.config";

#[tokio::test]
async fn the_catalogue_is_read_whole_or_not_at_all_by_one_replica_at_a_time() {
    let setup = Setup::start().await;
    assert!(setup.reader.read(&setup.tenant, 1, Why::Asked).await.unwrap());
    let first = setup.fakes.change(|world| world.catalogue.clone().unwrap());
    let (roles, locations) = setup.fluent.sim.read(|world| (world.roles().len(), world.locations().len()));
    assert_eq!((first.roles.len(), first.locations.len()), (roles, locations));

    setup.fluent.sim.change(|world| world.remove_role("STORE"));
    setup.reader.read(&setup.tenant, 1, Why::Asked).await.unwrap();
    let second = setup.fakes.change(|world| world.catalogue.clone().unwrap());
    assert_eq!(second.roles.len(), roles - 1);

    let refused = Effect::Errors { code: "S0001E".to_owned(), message: String::new() };
    setup.fluent.sim.fault(Fault::once(refused).on("locations"));
    assert!(setup.reader.read(&setup.tenant, 1, Why::Asked).await.is_err());
    assert_eq!(setup.fakes.change(|world| world.catalogue.clone().unwrap()), second, "half a read is none");

    let other = Reader { store: setup.reader.store.of_instance("two"), ..setup.reader.clone() };
    assert!(!other.read(&setup.tenant, 1, Why::Asked).await.unwrap(), "one replica reads at a time");
    setup.clock.advance(Duration::from_mins(1));
    assert!(other.read(&setup.tenant, 1, Why::Asked).await.unwrap());
    setup.clock.advance(Duration::from_mins(1));
    assert!(!setup.reader.read(&setup.tenant, 1, Why::Refresh).await.unwrap(), "the other's read will do");
    setup.clock.advance(Duration::from_mins(5));
    assert!(setup.reader.read(&setup.tenant, 1, Why::Refresh).await.unwrap());
}

#[tokio::test]
async fn what_a_list_leaves_out_stays_until_its_own_query_misses_it_too() {
    let setup = Setup::start().await;
    setup.fluent.sim.change(|world| world.put_setting(rules(json!("unread"))));
    setup.fluent.sim.change(|world| world.put_setting(rules(set("STORE"))));
    let whole = read(&setup).await;
    let (store, chicago) = ("STORE".to_owned(), "CHIC-01".to_owned());
    assert!(whole.0.roles.contains(&store) && whole.0.locations.iter().any(|place| place.r#ref == chicago));
    let retailer = whole.0.retailers[0].id.clone();

    let unlisted = vec![store.clone(), chicago, retailer, NAME.to_owned()];
    setup.fluent.sim.behave(|behaviour| behaviour.unlisted = unlisted);
    let (mut catalogue, rules) = read(&setup).await;
    catalogue.locations.sort_by(|a, b| a.id.cmp(&b.id));
    let mut before = whole.0.clone();
    before.locations.sort_by(|a, b| a.id.cmp(&b.id));
    before.retailers.sort_by(|a, b| a.id.cmp(&b.id));
    catalogue.retailers.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!((catalogue, &rules), (before, &whole.1), "only the lists miss them");

    setup.fluent.sim.change(|world| {
        world.remove_role(&store);
        world.remove_setting(Id(900));
    });
    let (catalogue, rules) = read(&setup).await;
    assert!(!catalogue.roles.contains(&store));
    assert_eq!(rules, Some(Read::Absent(true)));
}

/// One reading, and what was handed over.
async fn read(setup: &Setup) -> (proto::identity::v1::Catalogue, Option<Read>) {
    setup.clock.advance(Duration::from_mins(1));
    assert!(setup.reader.read(&setup.tenant, 1, Why::Asked).await.unwrap());
    setup.fakes.change(|world| (world.catalogue.clone().unwrap(), world.rules.clone()))
}

fn set(target: &str) -> Value {
    json!({"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": "Colleague"},
        "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": "Colleague", "targetRoles": [target]}}]})
}

/// The setting with this value in `lobValue`.
fn rules(value: Value) -> Setting {
    Setting {
        id: Id(900),
        name: NAME.to_owned(),
        value_type: Some("JSON".to_owned()),
        lob_value: Some(value),
        value: None,
        context: "ACCOUNT".to_owned(),
        context_id: 0,
    }
}

#[tokio::test]
async fn rules_are_handed_over_with_the_catalogue_and_their_faults_too() {
    let setup = Setup::start().await;
    assert_eq!(read(&setup).await.1, Some(Read::Absent(true)));
    let put = |setting| setup.fluent.sim.change(|world| world.put_setting(setting));

    put(rules(set("STORE")));
    let Some(Read::Found(found)) = read(&setup).await.1 else { panic!("there is a set") };
    assert_eq!((found.setting_id.as_str(), found.rules[0].logical_role.as_str()), ("900", "Colleague"));
    assert_eq!(found.rules[0].target_roles, ["STORE"]);
    put(Setting { lob_value: None, value: Some(set("STORE").to_string()), ..rules(Value::Null) });
    assert_eq!(read(&setup).await.1, Some(Read::Found(found)), "the same in the other place");

    put(rules(json!({"rules": [{}]})));
    let Some(Read::Fault(fault)) = read(&setup).await.1 else { panic!("it is malformed") };
    assert!(fault.starts_with("lobValue: rule 1, the rule"), "{fault}");

    // Elsewhere there may be settings of the same name.
    put(Setting { context: "RETAILER".to_owned(), context_id: 1, ..rules(set("STORE")) });
    assert_eq!(read(&setup).await.1, Some(Read::Absent(true)));
}

#[tokio::test]
async fn a_fluent_that_does_not_show_settings_still_gives_its_catalogue() {
    let setup = Setup::start().await;
    let refused = |code: &str| Effect::Errors { code: code.to_owned(), message: "no".to_owned() };
    setup.fluent.sim.fault(Fault::once(refused("C0020E")).on("settings"));
    let (catalogue, rules) = read(&setup).await;
    let Some(Read::Fault(fault)) = rules else { panic!("it is not shown") };
    assert!(!catalogue.roles.is_empty() && fault.contains("C0020E"), "{fault}");

    setup.fluent.sim.fault(Fault::once(refused("S0001E")).on("settings"));
    setup.clock.advance(Duration::from_mins(1));
    assert!(setup.reader.read(&setup.tenant, 1, Why::Asked).await.is_err(), "what may pass is tried again");
}
