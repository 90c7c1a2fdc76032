use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Group, Label, Reason, Refusal, Ruling, Settings, Standing, Unmatched, User, Verdict, settle};
use domain::settings::{Guardrail, Rename, WithoutLabels};

fn labels(texts: &[&str]) -> BTreeSet<Label> {
    texts.iter().map(|text| Label::new(text)).collect()
}

fn standing(active: bool, texts: &[&str]) -> Standing {
    Standing { active, labels: labels(texts), user_name: "alice".into() }
}

fn judge(before: Option<&Standing>, after: &Standing) -> Verdict {
    User { before, after, has_account: true }.judge(&Settings::default())
}

fn unmatched(reasons: &[Reason]) -> Vec<(Label, Unmatched)> {
    reasons.iter().map(|reason| (Label::new("L"), Unmatched { reason: *reason, suggestion: None })).collect()
}

#[test]
fn a_new_active_user_depends_on_all_its_labels() {
    let verdict = judge(None, &standing(true, &["A", "B"]));
    assert_eq!(verdict, Verdict::DependsOn(vec![Label::new("A"), Label::new("B")]));
}

#[test]
fn a_new_active_user_without_labels_is_the_tenants_choice() {
    let after = standing(true, &[]);
    let new = User { before: None, after: &after, has_account: false };
    assert_eq!(new.judge(&Settings::default()), Verdict::Accept);
    let strict = Settings { without_labels: WithoutLabels::Reject, ..Settings::default() };
    assert_eq!(new.judge(&strict), Verdict::Refuse(Refusal::WithoutLabels));
}

#[test]
fn a_new_inactive_user_is_accepted_whatever_its_labels() {
    assert_eq!(judge(None, &standing(false, &["A"])), Verdict::Accept);
}

#[test]
fn a_change_depends_on_the_labels_it_adds_alone() {
    let before = standing(true, &["A"]);
    assert_eq!(judge(Some(&before), &standing(true, &["A", "B"])), Verdict::DependsOn(vec![Label::new("B")]));
    assert_eq!(judge(Some(&before), &before), Verdict::Accept, "stored labels are not judged again");
}

#[test]
fn whoever_takes_a_label_away_or_deactivates_is_accepted() {
    let before = standing(true, &["A", "B"]);
    assert_eq!(judge(Some(&before), &standing(true, &["A", "C"])), Verdict::Accept);
    assert_eq!(judge(Some(&before), &standing(true, &[])), Verdict::Accept);
    assert_eq!(judge(Some(&before), &standing(false, &["A", "B", "C"])), Verdict::Accept);
}

#[test]
fn reactivation_brings_back_remembered_labels_unjudged_and_new_ones_judged() {
    let before = standing(false, &["A"]);
    assert_eq!(judge(Some(&before), &standing(true, &["A"])), Verdict::Accept);
    assert_eq!(judge(Some(&before), &standing(true, &[])), Verdict::Accept);
    assert_eq!(judge(Some(&before), &standing(true, &["A", "B"])), Verdict::DependsOn(vec![Label::new("B")]));
}

#[test]
fn a_rename_is_refused_only_where_it_matters() {
    let refuse = Settings { rename: Rename::Refuse, ..Settings::default() };
    let before = standing(true, &["A"]);
    let renamed = |to: &str, active, texts: &[&str]| Standing { user_name: to.into(), ..standing(active, texts) };
    let judge = |after: &Standing, has_account, settings: &Settings| {
        User { before: Some(&before), after, has_account }.judge(settings)
    };
    assert_eq!(judge(&renamed("bob", true, &["A"]), true, &refuse), Verdict::Refuse(Refusal::Rename));
    assert_eq!(judge(&renamed("bob", true, &["A", "B"]), true, &refuse), Verdict::Refuse(Refusal::Rename));
    assert_eq!(judge(&renamed("bob", true, &["A"]), false, &refuse), Verdict::Accept, "no account");
    assert_eq!(judge(&renamed("ALICE", true, &["A"]), true, &refuse), Verdict::Accept, "case alone");
    assert_eq!(judge(&renamed("bob", false, &["A"]), true, &refuse), Verdict::Accept, "deactivates");
    assert_eq!(judge(&renamed("bob", true, &["B"]), true, &refuse), Verdict::Accept, "takes away");
    assert_eq!(judge(&renamed("bob", true, &["A"]), true, &Settings::default()), Verdict::Accept);
}

#[test]
fn a_group_depends_on_the_labels_it_gains_unless_it_loses_something() {
    let (before, after) = (labels(&["A"]), labels(&["A", "B"]));
    let group = Group { before: &before, after: &after, loses_members: false };
    assert_eq!(group.judge(), Verdict::DependsOn(vec![Label::new("B")]));
    assert_eq!(Group { loses_members: true, ..group }.judge(), Verdict::Accept);
    assert_eq!(Group { after: &labels(&["B"]), ..group }.judge(), Verdict::Accept);
    assert_eq!(Group { after: &before, ..group }.judge(), Verdict::Accept);
}

#[test]
fn matched_labels_pass_and_hold_lets_all_pass() {
    assert_eq!(settle(Vec::new(), Guardrail::Reject, false), Ruling::Accept);
    for reason in Reason::ALL {
        assert_eq!(settle(unmatched(&[reason]), Guardrail::Hold, false), Ruling::Accept);
        let refused = unmatched(&[reason]);
        assert_eq!(settle(refused.clone(), Guardrail::Reject, true), Ruling::Refuse(Refusal::Unmatched(refused)));
    }
}

#[test]
fn fluent_is_read_again_only_if_that_could_mend_all() {
    let names = [Reason::UnknownContext, Reason::UnknownRole, Reason::RuleTargetUnknown];
    assert_eq!(settle(unmatched(&names), Guardrail::Reject, false), Ruling::ReadAgain);
    for fixed in [Reason::Malformed, Reason::UnknownContextType, Reason::Ambiguous] {
        let both = unmatched(&[Reason::UnknownRole, fixed]);
        assert_eq!(settle(both.clone(), Guardrail::Reject, false), Ruling::Refuse(Refusal::Unmatched(both)));
    }
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let texts = prop::collection::btree_set(prop::sample::select(vec!["A", "B", "C", "D"]), 0..4);
    (any::<bool>(), texts, prop::sample::select(vec!["alice", "ALICE", "bob"])).prop_map(|(active, texts, name)| {
        Standing { active, labels: texts.into_iter().map(Label::new).collect(), user_name: name.into() }
    })
}

proptest! {
    #[test]
    fn taking_away_is_never_refused_and_never_asks(
        before in any_standing(),
        after in any_standing(),
        has_account in any::<bool>(),
        refuse in any::<bool>(),
    ) {
        let rename = if refuse { Rename::Refuse } else { Rename::Hold };
        let settings = Settings { rename, without_labels: WithoutLabels::Reject, ..Settings::default() };
        let verdict = User { before: Some(&before), after: &after, has_account }.judge(&settings);
        let takes = !after.active || before.labels.iter().any(|label| !after.labels.contains(label));
        if takes {
            prop_assert_eq!(&verdict, &Verdict::Accept);
        }
        if let Verdict::DependsOn(added) = verdict {
            prop_assert!(!added.is_empty());
            prop_assert!(added.iter().all(|label| after.labels.contains(label) && !before.labels.contains(label)));
        }
    }
}
