//! Accounts that are not who the ledger takes them for: in another Fluent, under an id that is another's by now, or with
//! what they said of the user they had before.

use fluent_sim::{User, UserRole};

use super::{CLERK, CLOSED, STORE, open, standing};
use crate::testing::{Seen, Setup, agents, sim};

/// Somebody with power, under the id that another has elsewhere.
fn stranger(id: fluent_sim::Id) -> User {
    User { id, ..standing("stranger", vec![UserRole::new("STORE", &[("ACCOUNT", "0")])]) }
}

#[tokio::test]
async fn in_another_fluent_nobody_is_taken_for_whoever_has_the_id_elsewhere() {
    for dismissed in [true, false] {
        let mut setup = Setup::start().await;
        let ada = setup.hire("ada", &[STORE]);
        setup.settle().await;
        let id = setup.fluent.sim.user("ada").unwrap().id;
        let other = sim().await;
        other.sim.change(|world| world.put_user(stranger(id)));
        let before = other.sim.user("stranger").unwrap();
        setup.move_to(other);
        setup.change(ada, |user| if dismissed { user.deleted = true } else { user.grants = agents(&[CLERK]) });
        setup.settle().await;
        assert_eq!(setup.fluent.sim.user("stranger").unwrap(), before);
        let expected = if dismissed { Seen::Absent } else { open(&["STORE_ASSISTANT@AGENT:1"]) };
        assert_eq!(setup.account("ada"), expected);
    }
}

#[tokio::test]
async fn the_same_accounts_at_another_address_stay_ours() {
    let mut setup = Setup::start().await;
    let (ada, bob) = (setup.hire("ada", &[STORE]), setup.hire("bob", &[STORE]));
    setup.settle().await;
    let other = sim().await;
    for name in ["ada", "bob"] {
        let account = setup.fluent.sim.user(name).unwrap();
        other.sim.change(|world| world.put_user(account));
    }
    // With power that an adoption would shrink from.
    let privileged = vec![UserRole::new("STORE", &[("ACCOUNT", "0")])];
    let bobs = User { roles: privileged, ..other.sim.user("bob").unwrap() };
    other.sim.change(|world| world.put_user(bobs));
    setup.move_to(other);
    setup.change(ada, |user| user.active = false);
    setup.change(bob, |user| user.deleted = true);
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("bob")), (CLOSED, CLOSED));
    let before = setup.fluent.sim.last_logged();
    setup.change(ada, |user| user.active = true);
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.sent(before)[0], "updateUser", "it is known there by now, and closed before anything is read");
}

#[tokio::test]
async fn an_id_that_is_anothers_by_now_is_given_up_with_an_alert() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let id = setup.fluent.sim.user("ada").unwrap().id;
    setup.fluent.sim.change(|world| {
        world.remove_user("ada");
        world.put_user(stranger(id));
    });
    let before = setup.fluent.sim.user("stranger").unwrap();
    setup.change(ada, |user| user.grants = agents(&[CLERK]));
    setup.settle().await;
    assert_eq!(setup.fluent.sim.user("stranger").unwrap(), before);
    assert_eq!(setup.account("ada"), open(&["STORE_ASSISTANT@AGENT:1"]), "made anew under its own name");
    assert_eq!(setup.alerts("STRANGER"), 1);
}

#[tokio::test]
async fn a_new_bearer_of_a_name_keeps_nothing_that_the_account_said_of_the_old_one() {
    let setup = Setup::start().await;
    let told = |given: &str| {
        serde_json::json!({
            "userName": "ada", "title": "Boss", "name": {"givenName": given, "familyName": "Person"},
            "emails": [{"value": "old@private.example"}], "phoneNumbers": [{"value": "+15551234"}],
            "preferredLanguage": "en",
        })
    };
    let first = setup.hire("ada", &[STORE]);
    setup.change(first, |user| user.document = told("Old"));
    setup.settle().await;
    let account = setup.fluent.sim.user("ada").unwrap();
    assert_eq!(account.primary_email.as_deref(), Some("old@private.example"));
    // What its own user no longer says may be managed in Fluent: it stays.
    setup.change(first, |user| user.document = serde_json::json!({"userName": "ada"}));
    setup.settle().await;
    assert_eq!(setup.fluent.sim.user("ada").unwrap().title.as_deref(), Some("Boss"));

    setup.change(first, |user| user.deleted = true);
    let second = setup.hire("ada", &[CLERK]);
    setup.settle().await;
    let now = setup.fluent.sim.user("ada").unwrap();
    assert_eq!((now.id, setup.account("ada")), (account.id, open(&["STORE_ASSISTANT@AGENT:1"])));
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    assert_eq!([&now.title, &now.last_name, &now.primary_phone].map(text), ["", "", ""]);
    assert_eq!([&now.first_name, &now.primary_email].map(text), ["Ada", "ada"]);
    // From now on it is the new one's own.
    setup.change(second, |user| user.document = told("New"));
    setup.settle().await;
    setup.change(second, |user| user.document = serde_json::json!({"userName": "ada"}));
    setup.settle().await;
    assert_eq!(setup.fluent.sim.user("ada").unwrap().title.as_deref(), Some("Boss"));
}
