//! Users: what is written is read, names are unique, races have one winner, and a write that does nothing leaves nothing.

use proto::identity::v1::{Outcome, State, UpdateGroupRequest};
use runtime::error::Reason;

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;
use crate::together::{at_once, many_at_once};

/// What is created, replaced and read back is what was sent, under the version of its last change.
pub async fn a_user_reads_back_as_written(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let first = user("ann").email("ann@example.com").labels(&["ACCOUNT_0_STORE"]);
    let created = tenant.add_user(&first).await.unwrap().user.unwrap();
    assert!(first.is(&created.document));
    assert_eq!(tenant.head().await.revision, created.version);
    assert_eq!(tenant.get_user(&created.id).await.unwrap(), created);

    let second = user("ann").external_id("7");
    let replaced = tenant.replace_user(&created.id, created.version, &second).await.unwrap();
    assert!(replaced.changed);
    let replaced = replaced.user.unwrap();
    assert!(second.is(&replaced.document));
    assert!(replaced.version > created.version);
    assert_eq!(replaced.created_at_us, created.created_at_us);
    assert!(replaced.modified_at_us >= created.modified_at_us);
    assert_eq!(tenant.get_user(&created.id).await.unwrap(), replaced);
}

/// A deleted user is found by nothing, can't be written, and its name can be given again, to one with another id.
pub async fn a_deleted_user_is_gone_and_its_name_is_free(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let first = tenant.user(&user("ann").external_id("7")).await;
    tenant.delete_user(&first, 0).await.unwrap();
    assert_eq!(tenant.get_user(&first).await.unwrap_err().reason(), Reason::USER_NOT_FOUND);
    assert_eq!(tenant.delete_user(&first, 0).await.unwrap_err().reason(), Reason::USER_NOT_FOUND);
    let written = tenant.replace_user(&first, 0, &user("ann")).await;
    assert_eq!(written.unwrap_err().reason(), Reason::USER_NOT_FOUND);
    assert!(!tenant.holding(&first).await.found);
    assert_eq!(tenant.list_users("", 1, 10).await.unwrap().total_results, 0);
    let second = tenant.user(&user("ann").external_id("7")).await;
    assert_ne!(first, second);
}

/// Of two creations of one name at once, in two spellings, one is made and one is refused, a thousand times. `C06`
pub async fn one_name_is_given_to_one_user(backend: &Backend) {
    const PAIRS: usize = 1_000;
    let tenant = Tenant::new(backend).await;
    let spellings = (0..PAIRS).flat_map(|n| [format!("User-{n}@Example.com"), format!("uSER-{n}@example.COM")]);
    let answers = many_at_once(spellings.map(|name| {
        let tenant = tenant.clone();
        async move { tenant.add_user(&user(&name)).await.map_err(|error| error.reason()) }
    }))
    .await;
    for pair in answers.chunks(2) {
        assert_eq!(pair.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(pair.iter().any(|answer| answer.as_ref().is_err_and(|reason| *reason == Reason::UNIQUENESS)));
    }
    assert_eq!(tenant.list_users("", 1, 0).await.unwrap().total_results, PAIRS as u64);
    assert_eq!(tenant.entries().await.len(), PAIRS, "one entry of the feed for each user made");
}

/// Every store gives the same verdict on which names are one. `C09`
pub async fn names_that_differ_in_case_or_composition_are_one_name(backend: &Backend) {
    const ONE_NAME: [(&str, &str); 6] = [
        ("Élodie", "e\u{301}LODIE"),
        ("straße", "STRASSE"),
        ("ẞ", "ß"),
        ("\u{212A}elvin", "kelvin"),
        ("\u{130}pek", "i\u{307}PEK"),
        ("ΌΣΟΣ", "όσος"),
    ];
    const TWO_NAMES: [(&str, &str); 4] = [("rene", "rené"), ("ılgaz", "ilgaz"), ("a b", "ab"), ("x%", "xy")];
    let tenant = Tenant::new(backend).await;
    for (first, second) in ONE_NAME {
        tenant.user(&user(first)).await;
        tenant.group(&group(first), &[]).await;
        let taken = tenant.add_user(&user(second)).await;
        assert_eq!(taken.unwrap_err().reason(), Reason::UNIQUENESS, "{first} {second}");
        let taken = tenant.add_group(&group(second), &[]).await;
        assert_eq!(taken.unwrap_err().reason(), Reason::UNIQUENESS, "{first} {second}");
    }
    for (first, second) in TWO_NAMES {
        tenant.user(&user(first)).await;
        tenant.user(&user(second)).await;
    }
}

/// The check of a name and its use are one step: no two renames both find it free.
pub async fn two_users_renamed_to_one_name_at_once_do_not_both_get_it(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    for round in 0..20 {
        let ids = [tenant.user(&user(&format!("a{round}"))).await, tenant.user(&user(&format!("b{round}"))).await];
        let answers =
            at_once(
                ids.map(|id| {
                    let tenant = tenant.clone();
                    async move {
                        tenant.replace_user(&id, 0, &user(&format!("C{round}"))).await.map_err(|error| error.reason())
                    }
                }),
            )
            .await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(answers.iter().any(|answer| answer.as_ref().is_err_and(|reason| *reason == Reason::UNIQUENESS)));
    }
}

/// Thirty-two clients that know the same version: one replaces it, the others are told that it has changed. `C05`
pub async fn of_many_replaces_of_one_version_one_wins(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let created = tenant.add_user(&user("ann")).await.unwrap().user.unwrap();
    let mut version = created.version;
    for round in 0..5 {
        let answers = at_once((0..32).map(|client| {
            let (tenant, id) = (tenant.clone(), created.id.clone());
            let document = user("ann").title(&format!("{round}.{client}"));
            async move { (tenant.replace_user(&id, version, &document).await, document) }
        }))
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(answer, _)| answer.is_ok());
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|(answer, _)| answer.as_ref().unwrap_err().reason() == Reason::VERSION_MISMATCH));
        let now = tenant.get_user(&created.id).await.unwrap();
        assert!(won[0].1.is(&now.document));
        version = now.version;
    }
}

/// Every kind of refusal leaves revision, feed and audit as they were. `C04`
pub async fn a_write_that_is_refused_leaves_no_trace(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.user(&user("ann")).await;
    let bob = tenant.user(&user("bob")).await;
    let inner = tenant.group(&group("inner"), &[]).await;
    let outer = tenant.group(&group("outer"), std::slice::from_ref(&inner)).await;
    let nobody = uuid::Uuid::new_v4().to_string();
    let before = tenant.trace(backend).await;
    let refusals = [
        (tenant.add_user(&user("ANN")).await.map(drop), Reason::UNIQUENESS),
        (tenant.replace_user(&bob, 0, &user("ann")).await.map(drop), Reason::UNIQUENESS),
        (tenant.replace_user(&ann, 1 << 40, &user("ann").inactive()).await.map(drop), Reason::VERSION_MISMATCH),
        (tenant.delete_user(&ann, 1 << 40).await.map(drop), Reason::VERSION_MISMATCH),
        (tenant.delete_user(&nobody, 0).await.map(drop), Reason::USER_NOT_FOUND),
        (tenant.add_group(&group("Inner"), &[]).await.map(drop), Reason::UNIQUENESS),
        (tenant.add_group(&group("new"), std::slice::from_ref(&nobody)).await.map(drop), Reason::MEMBER_NOT_FOUND),
        (tenant.add_members(&inner, &[ann.clone(), nobody.clone()]).await.map(drop), Reason::MEMBER_NOT_FOUND),
        (tenant.add_members(&inner, &[ann.clone(), outer.clone()]).await.map(drop), Reason::NESTING_CYCLE),
        (tenant.put_group(&inner, &group("OUTER")).await.map(drop), Reason::UNIQUENESS),
        (tenant.delete_group(&nobody).await.map(drop), Reason::GROUP_NOT_FOUND),
    ];
    for (number, (answer, reason)) in refusals.into_iter().enumerate() {
        assert_eq!(answer.unwrap_err().reason(), reason, "refusal {number}");
    }
    assert_eq!(tenant.trace(backend).await, before);
    assert!(tenant.members(&inner).await.is_empty(), "what was right in a refused write is not done either");
}

/// Refused writes share commits with good ones, a thousand of each. They take nothing with them, nor a revision from them:
/// neither those that are wrong as a whole nor those of which one part of many is. `C04`
pub async fn refused_writes_among_others_leave_no_trace(backend: &Backend) {
    const EACH: usize = 1_000;
    let tenant = Tenant::new(backend).await;
    let mut members = vec![tenant.user(&user("taken")).await];
    for n in 1..9 {
        members.push(tenant.user(&user(&format!("member-{n}"))).await);
    }
    // Nine members could be added and the group could be renamed; the seventh of ten is nobody.
    members.insert(6, uuid::Uuid::new_v4().to_string());
    let staff = tenant.group(&group("staff"), &[]).await;
    let before = tenant.head().await;
    let audited = backend.insider.audit_entries(&tenant.name).await;
    let answers = many_at_once((0..2 * EACH).map(|n| {
        let (tenant, staff, members) = (tenant.clone(), staff.clone(), members.clone());
        async move {
            match n % 4 {
                0 | 2 => tenant.add_user(&user(&format!("user-{n}"))).await.map(|made| made.user.unwrap().version),
                1 => tenant.add_user(&user("Taken")).await.map(|_| 0),
                _ => {
                    let document = Some(group(&format!("staff {n}")).bytes());
                    let update = UpdateGroupRequest { document, add_member_ids: members, ..Default::default() };
                    tenant.update_group(&staff, update).await.map(|_| 0)
                }
            }
        }
    }))
    .await;
    let mut versions = Vec::new();
    for (n, answer) in answers.into_iter().enumerate() {
        match (n % 4, answer) {
            (0 | 2, answer) => versions.push(answer.unwrap()),
            (1, answer) => assert_eq!(answer.unwrap_err().reason(), Reason::UNIQUENESS),
            (_, answer) => assert_eq!(answer.unwrap_err().reason(), Reason::MEMBER_NOT_FOUND),
        }
    }
    versions.sort_unstable();
    assert_eq!(versions, (before.revision + 1..=before.revision + EACH as u64).collect::<Vec<_>>());
    assert_eq!(tenant.head().await.revision, before.revision + EACH as u64);
    assert_eq!(tenant.entries_after(before).await.len(), EACH);
    assert_eq!(backend.insider.audit_entries(&tenant.name).await - audited, EACH as u64);
    assert!(group("staff").is(&tenant.get_group(&staff).await.unwrap().document));
    assert!(tenant.members(&staff).await.is_empty());
}

/// A write that asks for what is so already commits nothing, says so, and answers with the head.
pub async fn a_write_that_changes_nothing_leaves_no_trace(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let document = user("ann").labels(&["ACCOUNT_0_STORE"]);
    let ann = tenant.user(&document).await;
    let bob = tenant.user(&user("bob")).await;
    let staff = tenant.group(&group("staff"), std::slice::from_ref(&ann)).await;
    let last = tenant.add_user(&user("last")).await.unwrap();
    let before = tenant.trace(backend).await;
    let stored = tenant.get_group(&staff).await.unwrap();

    let replaced = tenant.replace_user(&ann, 0, &document).await.unwrap();
    assert!(!replaced.changed);
    assert_eq!(replaced.revision_token, last.revision_token);
    for update in [
        tenant.add_members(&staff, std::slice::from_ref(&ann)).await.unwrap(),
        tenant.remove_members(&staff, std::slice::from_ref(&bob)).await.unwrap(),
        tenant.put_group(&staff, &group("staff")).await.unwrap(),
    ] {
        assert!(!update.changed);
        assert_eq!(update.revision_token, last.revision_token);
        assert_eq!(update.group.unwrap(), stored);
    }
    tenant.put_settings(proto::common::v1::Settings::default()).await.unwrap();
    assert_eq!(tenant.trace(backend).await, before);
}

/// What became of a user in Fluent is kept beside it, outside version, revision and feed, and the newest report stays.
pub async fn an_outcome_moves_neither_version_nor_revision(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let ann = tenant.add_user(&user("ann")).await.unwrap().user.unwrap();
    assert_eq!(ann.outcome, None);
    let epoch = tenant.head().await.epoch;
    let before = tenant.trace(backend).await;
    let report =
        |revision, state: State| Outcome { state: state.into(), revision, pushed_at_us: 5, ..Outcome::default() };
    let newest = report(ann.version, State::Provisioned);
    tenant.report(&epoch, &ann.id, newest.clone()).await.unwrap();
    tenant.report(&epoch, &ann.id, report(ann.version - 1, State::Failed)).await.unwrap();
    tenant.report(&[7; 16], &ann.id, report(ann.version + 1, State::Failed)).await.unwrap();
    let nobody = uuid::Uuid::new_v4().to_string();
    tenant.report(&epoch, &nobody, report(ann.version, State::Failed)).await.unwrap();
    let now = tenant.get_user(&ann.id).await.unwrap();
    assert_eq!(now.outcome, Some(newest));
    assert_eq!((now.version, now.modified_at_us), (ann.version, ann.modified_at_us));
    assert_eq!(tenant.trace(backend).await, before);
}

/// Many outcomes in one report: each user's newest stays, whatever their order.
pub async fn of_the_outcomes_in_one_report_each_users_newest_stays(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(tenant.user(&user(&format!("u{n}"))).await);
    }
    let epoch = tenant.head().await.epoch;
    let said = |revision, words: &str| Outcome {
        state: State::Failed.into(),
        reasons: vec![words.to_owned()],
        fluent_user_id: "7".to_owned(),
        revision,
        ..Outcome::default()
    };
    let words = ["it \"failed\"", "back\\slash", "line\nbreak", "ünï \u{1f600}", "{}"];
    let mut reports: Vec<_> = ids.iter().zip(words).map(|(id, words)| (id.clone(), said(9, words))).collect();
    reports.push((ids[0].clone(), said(8, "older")));
    reports.push((ids[1].clone(), said(9, "as new, and later")));
    reports.push((uuid::Uuid::new_v4().to_string(), said(9, "nobody")));
    tenant.report_all(&epoch, reports).await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        let kept = tenant.get_user(id).await.unwrap().outcome;
        let expected = if number == 1 { "as new, and later" } else { words[number] };
        assert_eq!(kept, Some(said(9, expected)));
    }
}

/// A name that is taken and labels beyond all bounds don't keep anyone active, or a label on anyone.
pub async fn a_user_is_deactivated_whatever_else_is_asked(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    tenant.user(&user("taken")).await;
    let ann = tenant.user(&user("ann").labels(&["A", "B"])).await;
    let long = "AGENT_1_".to_owned() + &"R".repeat(3_000);
    let labels = ["A", "B", &long];
    let refused = tenant.replace_user(&ann, 0, &user("TAKEN").labels(&labels)).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::UNIQUENESS);
    let answer = tenant.replace_user(&ann, 0, &user("TAKEN").labels(&labels).inactive()).await.unwrap();
    assert!(user("ann").labels(&labels).inactive().is(&answer.user.unwrap().document), "the name stays");
    let holding = tenant.holding(&ann).await;
    assert!(!holding.active && holding.labels.len() == 3);

    let bob = tenant.user(&user("bob").labels(&["A", "B"])).await;
    tenant.replace_user(&bob, 0, &user("TAKEN").labels(&["A"])).await.unwrap();
    assert_eq!(tenant.labels(&bob).await, ["A"]);
}
