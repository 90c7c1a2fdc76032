//! The whole push, from the feed to the simulated Fluent: what each rule promises, and that it holds whatever fails on
//! the way.

mod adoption;
mod failures;
mod feed;
mod held_back;
mod names;
mod strangers;

use fluent_sim::{Contexts, User, UserRole};
use proto::identity::v1::State;

use crate::testing::{Seen, Setup, agents};

const STORE: (&str, &str) = ("STORE", "1");
const CLERK: (&str, &str) = ("STORE_ASSISTANT", "1");

const CLOSED: Seen = Seen::Closed(Vec::new());

fn open(grants: &[&str]) -> Seen {
    Seen::Open(grants.iter().map(|&grant| grant.to_owned()).collect())
}

fn standing(name: &str, roles: Vec<UserRole>) -> User {
    User { username: name.to_owned(), status: Some("ACTIVE".to_owned()), roles, ..User::default() }
}

#[tokio::test]
async fn a_hired_user_gets_an_account_with_exactly_its_grants() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada@acme.example", &[STORE, CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("ada@acme.example"), open(&["STORE@AGENT:1", "STORE_ASSISTANT@AGENT:1"]));
    let outcome = setup.outcome(ada);
    assert_eq!(outcome.state(), State::Provisioned);
    assert_eq!((outcome.effective_roles.len(), outcome.revision), (2, 1));
    let made = setup.fluent.sim.user("ada@acme.example").unwrap();
    assert_eq!(outcome.fluent_user_id, made.id.0.to_string());
    assert_eq!((made.kind.as_str(), made.timezone.as_deref()), ("LOCATION", Some("UTC")));

    let before = setup.fluent.sim.last_logged();
    setup.change(ada, |_| {});
    setup.settle().await;
    assert_eq!(setup.sent(before), ["userById"], "what is as it should be is read and left alone");
}

#[tokio::test]
async fn what_goes_is_sent_before_what_comes_however_fluent_combines_contexts() {
    for contexts in [Contexts::Merge, Contexts::Replace] {
        let setup = Setup::start().await;
        setup.fluent.sim.behave(|behaviour| behaviour.contexts = contexts);
        let ada = setup.hire("ada", &[("STORE", "1"), ("STORE", "2"), CLERK]);
        setup.settle().await;
        let before = setup.fluent.sim.last_logged();
        setup.change(ada, |user| user.grants = agents(&[("STORE", "2"), ("STORE", "3")]));
        setup.settle().await;
        assert_eq!(setup.account("ada"), open(&["STORE@AGENT:2", "STORE@AGENT:3"]));
        assert_eq!(setup.sent(before), ["userById", "removeUserRolesFromUser", "updateUser"]);
    }
}

#[tokio::test]
async fn a_dismissed_user_is_closed_first_by_id_then_emptied_without_the_resolver() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.fakes.change(|world| world.resolver_down = true);
    let before = setup.fluent.sim.last_logged();
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    assert_eq!(setup.sent(before), ["updateUser", "removeUserRolesFromUser", "userById"]);
    assert_eq!(setup.outcome(ada).state(), State::Inactive);

    setup.fakes.change(|world| world.resolver_down = false);
    setup.change(ada, |user| user.active = true);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}

#[tokio::test]
async fn a_deleted_user_is_closed_and_one_hired_again_takes_the_account_over() {
    let setup = Setup::start().await;
    let first = setup.hire("ada", &[STORE]);
    setup.settle().await;
    let id = setup.outcome(first).fluent_user_id;
    setup.change(first, |user| user.deleted = true);
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);
    // Deleted and hired again before anything was pushed, or after: the account is the new user's.
    let second = setup.hire("ada", &[CLERK]);
    setup.settle().await;
    setup.change(second, |user| user.deleted = true);
    let third = setup.hire("Ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.outcome(third).fluent_user_id, id);
}

#[tokio::test]
async fn a_new_inactive_user_gets_no_account() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE]);
    setup.change(ada, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("ada"), Seen::Absent);
    assert_eq!(setup.outcome(ada).state(), State::Inactive);
}

#[tokio::test]
async fn one_who_is_held_gets_nothing_new_and_loses_what_the_matched_labels_do_not_give() {
    let setup = Setup::start().await;
    let ada = setup.hire("ada", &[STORE, CLERK]);
    setup.settle().await;
    setup.change(ada, |user| {
        user.grants = agents(&[STORE, ("STORE", "9")]);
        user.unmatched = vec!["AGENT_1_TYPO".to_owned()];
        user.document = serde_json::json!({ "title": "Boss" });
    });
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.fluent.sim.user("ada").unwrap().title, None, "no profile is written");
    let outcome = setup.outcome(ada);
    assert_eq!((outcome.state(), outcome.reasons), (State::Held, vec!["UNKNOWN_ROLE: AGENT_1_TYPO".to_owned()]));

    setup.change(ada, |user| user.grants.clear());
    setup.settle().await;
    assert_eq!(setup.account("ada"), CLOSED);

    let new = setup.hire("new", &[]);
    setup.settle().await;
    assert_eq!((setup.account("new"), setup.outcome(new).reasons), (Seen::Absent, vec!["NO_LABELS".to_owned()]));
}

#[tokio::test]
async fn a_new_inactive_user_with_the_name_of_a_deleted_one_is_shown_as_inactive() {
    let setup = Setup::start().await;
    let first = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(first, |user| user.deleted = true);
    setup.settle().await;
    let second = domain::id::UserId::new();
    setup.change(second, |user| user.name = "ada".to_owned());
    setup.settle().await;
    assert_eq!((setup.outcome(second).state(), setup.account("ada")), (State::Inactive, CLOSED));
}

#[tokio::test]
async fn an_account_that_fluent_makes_in_another_state_is_opened() {
    let setup = Setup::start().await;
    setup.fluent.sim.behave(|behaviour| behaviour.created_status = "CREATED".to_owned());
    setup.hire("ada", &[STORE]);
    setup.settle().await;
    assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]));
}
