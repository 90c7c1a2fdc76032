//! Renames: the account keeps its name, and who bears it may change.

use fluent_sim::UserRole;
use proto::common::v1 as common;

use super::{CLERK, CLOSED, STORE, open, standing};
use crate::store::Decision;
use crate::testing::{Seen, Setup, agents};

#[tokio::test]
async fn a_renamed_user_is_held_until_an_operator_decides() {
    for decision in [Decision::Keep, Decision::Replace] {
        let setup = Setup::start().await;
        let ada = setup.hire("ada", &[STORE, CLERK]);
        setup.settle().await;
        setup.change(ada, |user| {
            user.name = "lovelace".to_owned();
            user.grants = agents(&[STORE, ("STORE", "2")]);
        });
        setup.settle().await;
        assert_eq!(setup.account("ada"), open(&["STORE@AGENT:1"]), "it only shrinks");
        assert_eq!(setup.account("lovelace"), Seen::Absent);
        assert_eq!(setup.outcome(ada).reasons, ["RENAMED"]);
        assert!(setup.store.decide(&setup.tenant.id, ada, decision).await.unwrap());
        setup.settle().await;
        let all = open(&["STORE@AGENT:1", "STORE@AGENT:2"]);
        let expected = if decision == Decision::Keep { (all, Seen::Absent) } else { (CLOSED, all) };
        assert_eq!((setup.account("ada"), setup.account("lovelace")), expected);
        // Whichever it bears: dismissed, nothing stays open.
        setup.change(ada, |user| user.deleted = true);
        setup.settle().await;
        for name in ["ada", "lovelace"] {
            assert!(!matches!(setup.account(name), Seen::Open(_)));
        }
    }
}

#[tokio::test]
async fn a_renamed_user_whose_old_name_is_taken_still_waits_for_an_operator() {
    let setup = Setup::start().await;
    let first = setup.hire("bob", &[STORE]);
    setup.settle().await;
    setup.change(first, |user| user.name = "rob".to_owned());
    setup.settle().await;
    setup.hire("bob", &[CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("bob"), open(&["STORE_ASSISTANT@AGENT:1"]), "it is the new bearer's");
    assert_eq!((setup.account("rob"), setup.outcome(first).reasons), (Seen::Absent, vec!["RENAMED".to_owned()]));
    // Another name does not free it either.
    setup.change(first, |user| user.name = "robert".to_owned());
    setup.settle().await;
    assert_eq!((setup.account("robert"), setup.outcome(first).reasons), (Seen::Absent, vec!["RENAMED".to_owned()]));
    assert!(!setup.store.decide(&setup.tenant.id, first, Decision::Keep).await.unwrap(), "there is none to keep");
    assert!(setup.store.decide(&setup.tenant.id, first, Decision::Replace).await.unwrap());
    setup.settle().await;
    assert_eq!((setup.account("rob"), setup.account("robert")), (Seen::Absent, open(&["STORE@AGENT:1"])));
}

#[tokio::test]
async fn a_name_borne_only_before_there_was_an_account_is_left_alone() {
    let setup = Setup::start().await;
    setup.fluent.sim.change(|world| {
        world.put_user(standing("old", vec![UserRole::new("STORE", &[("AGENT", "5")])]));
    });
    let ada = setup.hire("old", &[]);
    setup.change(ada, |user| user.name = "new".to_owned());
    setup.change(ada, |user| user.deleted = true);
    setup.settle().await;
    assert_eq!(setup.account("old"), open(&["STORE@AGENT:5"]));
}

#[tokio::test]
async fn names_that_go_from_hand_to_hand_end_with_each_accounts_own_user() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let (ada, eve) = (setup.hire("ada", &[STORE]), setup.hire("eve", &[CLERK]));
    setup.settle().await;
    setup.change(eve, |user| user.name = "tmp".to_owned());
    setup.change(ada, |user| user.name = "eve".to_owned());
    setup.change(eve, |user| user.name = "ada".to_owned());
    setup.settle().await;
    assert_eq!(
        (setup.account("eve"), setup.account("ada")),
        (open(&["STORE@AGENT:1"]), open(&["STORE_ASSISTANT@AGENT:1"]))
    );
    for id in [ada, eve] {
        setup.change(id, |user| user.deleted = true);
    }
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("eve")), (CLOSED, CLOSED));
}

#[tokio::test]
async fn a_tenant_may_have_renamed_accounts_replaced_and_a_change_of_case_is_no_rename() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let ada = setup.hire("ada", &[STORE]);
    setup.settle().await;
    setup.change(ada, |user| user.name = "Ada".to_owned());
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("Ada")), (open(&["STORE@AGENT:1"]), Seen::Absent));
    setup.change(ada, |user| user.name = "lovelace".to_owned());
    // The old name is taken by somebody else at once.
    setup.hire("ada", &[CLERK]);
    setup.settle().await;
    assert_eq!(setup.account("lovelace"), open(&["STORE@AGENT:1"]));
    assert_eq!(setup.account("ada"), open(&["STORE_ASSISTANT@AGENT:1"]));
}

#[tokio::test]
async fn one_renamed_while_its_account_is_looked_up_ends_with_one_account() {
    let setup = Setup::start().await;
    let id = setup.hire("anna", &[STORE]);
    setup.follow().await;
    let rename = async {
        setup.change(id, |user| user.name = "zoe".to_owned());
        setup.follow().await;
    };
    setup.during("user", rename).await;
    setup.settle().await;
    assert_eq!((setup.account("anna"), setup.account("zoe")), (Seen::Absent, open(&["STORE@AGENT:1"])));
    setup.change(id, |user| user.active = false);
    setup.settle().await;
    assert_eq!(setup.account("zoe"), CLOSED);
}

#[tokio::test]
async fn an_account_made_for_one_who_lost_the_name_meanwhile_is_the_next_bearers() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let first = setup.hire("bob", &[STORE]);
    setup.follow().await;
    let renamed = async {
        setup.change(first, |user| user.name = "rob".to_owned());
        setup.hire("bob", &[CLERK]);
        setup.follow().await;
    };
    setup.during("createUser", renamed).await;
    setup.settle().await;
    let bob = open(&["STORE_ASSISTANT@AGENT:1"]);
    assert_eq!((setup.account("bob"), setup.account("rob")), (bob.clone(), open(&["STORE@AGENT:1"])));
    setup.change(first, |user| user.active = false);
    setup.settle().await;
    assert_eq!((setup.account("bob"), setup.account("rob")), (bob, CLOSED));
}

/// One who bore the name and is gone, of whom something is heard once more, is not in the way of who comes to bear it.
#[tokio::test]
async fn who_takes_a_name_gets_its_account_however_late_its_last_bearer_is_heard_of_again() {
    let setup = Setup::start().await;
    setup.fakes.change(|world| world.settings.rename = common::Rename::Replace.into());
    let (eve, ada) = (setup.hire("eve", &[STORE]), setup.hire("ada", &[]));
    setup.settle().await;
    setup.change(ada, |user| (user.deleted, user.held_back) = (true, true));
    setup.change(eve, |user| user.name = "ada".to_owned());
    setup.change(ada, |user| user.held_back = false);
    setup.settle().await;
    assert_eq!((setup.account("ada"), setup.account("eve")), (open(&["STORE@AGENT:1"]), CLOSED));
}
