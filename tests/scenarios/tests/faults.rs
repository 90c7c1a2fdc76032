//! Fluent misbehaves in every way it may; the end is the same.

use anyhow::Result;
use harness::{Dial, Family, Shape};
use scenarios::{mutations, stories, until_state};
use serde_json::{Value, json};

stories!(
    whatever_fluent_answers_the_end_is_the_same,
    whatever_fluent_leaves_open_the_end_is_the_same,
    a_lost_answer_makes_no_second_account,
    a_permanent_failure_is_visible_with_fluents_own_words,
    a_failure_of_one_does_not_block_another,
);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";

/// A family that tries again soon.
async fn start(shape: Shape) -> Result<Family> {
    let quick = [("INITIAL", "20ms"), ("MAXIMUM", "200ms")];
    let name = |key| match key {
        "INITIAL" => "ROLECALL_FLUENT_PUSHER__PUSHING__BACKOFF__FIRST",
        _ => "ROLECALL_FLUENT_PUSHER__PUSHING__BACKOFF__MAX",
    };
    let environment = quick.iter().map(|(key, value)| (name(*key), (*value).to_owned())).collect();
    Family::start_with(shape, Dial { environment, ..Dial::default() }).await
}

/// Hired, moved and dismissed.
async fn a_career(family: &Family, name: &str) -> Result<()> {
    let hired = family.scim.hire(name, &[CHICAGO]).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    let path = format!("/Users/{}", hired.id());
    family.fluent.until_works(name, &[CHICAGO_GRANT]).await?;
    let moved = json!([{"op": "replace", "path": "roles", "value": [{"value": "AGENT_NYC-05_STORE"}]}]);
    assert_eq!(family.scim.patch(&path, &moved).await?.status, 200);
    family.fluent.until_works(name, &["STORE in AGENT 1023436"]).await?;
    let dismissed = json!([{"op": "replace", "path": "active", "value": false}]);
    assert_eq!(family.scim.patch(&path, &dismissed).await?.status, 200);
    family.fluent.until_gone(name).await?;
    Ok(())
}

async fn whatever_fluent_answers_the_end_is_the_same(shape: Shape) -> Result<()> {
    let family = start(shape).await?;
    // A token that is refused is fetched anew, but no more than three times a minute: one such fault, at one call.
    family.fluent.fault(&json!({"kind": "status", "status": 401, "match": {"operation": "createUser"}})).await?;
    a_career(&family, "status-401").await?;
    let faults: [(&str, Value); 9] = [
        ("status-429", json!({"kind": "status", "status": 429, "retry_after": "0"})),
        ("status-503", json!({"kind": "status", "status": 503})),
        ("status-500-after-write", json!({"kind": "status", "status": 500, "after_write": true})),
        ("server-errors", json!({"kind": "errors", "code": "S0001E", "message": "try later"})),
        ("partial", json!({"kind": "partial_errors", "code": "S0001E", "message": "half"})),
        ("lost", json!({"kind": "lose_answer_after_write"})),
        ("truncated", json!({"kind": "truncated"})),
        ("html", json!({"kind": "html", "status": 200})),
        ("wrong-user", json!({"kind": "wrong_user"})),
    ];
    for (name, fault) in faults {
        for operation in ["user", "createUser", "updateUser", "removeUserRolesFromUser"] {
            let mut fault = fault.clone();
            fault["match"] = json!({"operation": operation});
            fault["times"] = json!(2);
            family.fluent.fault(&fault).await?;
        }
        a_career(&family, name).await?;
        family.fluent.clear_faults().await?;
    }
    Ok(())
}

async fn whatever_fluent_leaves_open_the_end_is_the_same(shape: Shape) -> Result<()> {
    let family = start(shape).await?;
    let open = [
        ("created", json!({"created_status": "CREATED"})),
        ("replace", json!({"contexts": "replace"})),
        ("emptied", json!({"keep_emptied_roles": true})),
        ("refresh", json!({"refresh_tokens": true, "token_seconds": 1})),
        ("not-found", json!({"missing_user": "error"})),
        ("codes", json!({"error_code": "message"})),
        ("nulls", json!({"null_clears": false})),
    ];
    for (name, behaviour) in open {
        family.fluent.behave(&behaviour).await?;
        a_career(&family, name).await?;
    }
    Ok(())
}

async fn a_lost_answer_makes_no_second_account(shape: Shape) -> Result<()> {
    let family = start(shape).await?;
    let before = family.fluent.log_head().await?;
    family.fluent.fault(&json!({"kind": "lose_answer_after_write", "match": {"operation": "createUser"}})).await?;
    let hired = family.scim.hire("ann", &[CHICAGO]).await?;
    until_state(&family, hired.id(), "provisioned").await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    let creations = mutations(&family, "ann", before).await?.into_iter().filter(|name| name == "createUser").count();
    assert_eq!(creations, 1, "the account that stands there is read back, not made again");
    Ok(())
}

async fn a_permanent_failure_is_visible_with_fluents_own_words(shape: Shape) -> Result<()> {
    let family = start(shape).await?;
    let fault = json!({"kind": "errors", "code": "C0020E", "message": "lacks USER_CREATE", "times": null,
                       "match": {"operation": "createUser"}});
    family.fluent.fault(&fault).await?;
    let hired = family.scim.hire("bob", &[CHICAGO]).await?;
    let failed = until_state(&family, hired.id(), "failed").await?;
    let reasons = failed.body["urn:ietf:params:scim:schemas:extension:fluent:2.0:User"]["reasons"].to_string();
    assert!(reasons.contains("lacks USER_CREATE"), "{reasons}");
    // The next change of the user tries again.
    family.fluent.clear_faults().await?;
    let touched = json!([{"op": "replace", "path": "title", "value": "Associate"}]);
    assert_eq!(family.scim.patch(&format!("/Users/{}", hired.id()), &touched).await?.status, 200);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    Ok(())
}

async fn a_failure_of_one_does_not_block_another(shape: Shape) -> Result<()> {
    let family = start(shape).await?;
    let fault =
        json!({"kind": "errors", "code": "C0001E", "message": "no", "times": null, "match": {"username": "cal"}});
    family.fluent.fault(&fault).await?;
    family.scim.hire("cal", &[CHICAGO]).await?;
    family.scim.hire("dot", &[CHICAGO]).await?;
    family.fluent.until_works("dot", &[CHICAGO_GRANT]).await?;
    Ok(())
}
