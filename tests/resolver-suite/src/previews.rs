//! What a change would do to people is what the rules of access say of the lists with the change made, and nothing is made.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proto::roles::v1 as roles;
use proto::roles::v1::preview_change_request::Change;

use crate::asker::received;
use crate::company::{Catalogue, Company, Rule};
use crate::family::{Engine, Family};
use crate::histories::runtime;
use crate::rules::Grant;
use crate::step::{self, Step, catalogue, step};
use crate::tenant::{Tenant, written};

/// A change that somebody thinks of.
#[derive(Clone, Debug)]
enum Thought {
    Rules(Vec<Rule>),
    /// The labels of one of the groups.
    Labels(u8, Vec<&'static str>),
}

impl Thought {
    /// The change, and the lists with it made; `None` where there is no group.
    fn over(&self, company: &Company) -> Option<(Change, Company)> {
        let mut changed = company.clone();
        match self {
            Self::Rules(rules) => {
                changed.own_rules = Some(rules.clone());
                Some((Change::Rules(written(rules)), changed))
            }
            Self::Labels(group, labels) => {
                let at = usize::from(*group).checked_rem(company.groups.len())?;
                let labels: Vec<_> = labels.iter().map(ToString::to_string).collect();
                changed.groups[at].labels.clone_from(&labels);
                let group_id = changed.groups[at].id.clone();
                Some((Change::LabelsOfGroup(roles::LabelsOfGroup { group_id, labels }), changed))
            }
        }
    }
}

fn thought() -> impl Strategy<Value = Thought> {
    let labels = (any::<u8>(), step::labels()).prop_map(|(group, labels)| Thought::Labels(group, labels));
    prop_oneof![step::rules().prop_map(Thought::Rules), labels]
}

/// What is gained and lost, and whether one is held before and after.
type Difference = (BTreeSet<Grant>, BTreeSet<Grant>, (bool, bool));

/// For whom something differs, by id.
fn expected(before: &Company, after: &Company) -> BTreeMap<String, Difference> {
    let difference = |user| {
        let (old, new) = (before.effective(user), after.effective(user));
        let (had, has): (BTreeSet<_>, BTreeSet<_>) =
            (old.grants.into_keys().collect(), new.grants.into_keys().collect());
        (&has - &had, &had - &has, (old.held, new.held))
    };
    let all = before.users.iter().map(|user| (user.id.clone(), difference(user)));
    all.filter(|(_, (gained, lost, (was, is)))| !gained.is_empty() || !lost.is_empty() || was != is).collect()
}

async fn play(family: &Family, catalogue: Catalogue, steps: &[Step], thoughts: &[Thought]) {
    let mut tenant = Tenant::new(family.store(), family.key.clone(), catalogue).await;
    for step in steps {
        tenant.take(step).await;
    }
    for thought in thoughts {
        let Some((change, changed)) = thought.over(&tenant.company) else { continue };
        let expected = expected(&tenant.company, &changed);
        let request = roles::PreviewChangeRequest { tenant: tenant.name.clone(), change: Some(change) };
        let answers = family.replicas[0].roles().preview_change(request).await.unwrap().into_inner();
        let answers: Vec<_> = answers.try_collect().await.unwrap();
        let mut told = BTreeMap::new();
        for answer in answers {
            assert_eq!(
                tenant.opened(&answer.revision_token),
                tenant.opened(&tenant.past.borrow().token),
                "nothing is stored"
            );
            for user in answer.users {
                let was = expected.get(&user.user_id).is_some_and(|(_, _, (was, _))| *was);
                let held = match user.turn() {
                    roles::Turn::Unspecified => (was, was),
                    roles::Turn::Held => (false, true),
                    roles::Turn::Freed => (true, false),
                };
                let [gained, lost] = [user.gained, user.lost].map(|grants| grants.iter().map(received).collect());
                assert!(told.insert(user.user_id, (gained, lost, held)).is_none(), "each user comes once");
            }
        }
        assert_eq!(told, expected, "{thought:?}");
    }
}

fn run(engine: Engine, cases: u32) {
    let runtime = runtime();
    let family = runtime.block_on(Family::start(engine, None));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let parts = (catalogue(), prop::collection::vec(step(), 1..=30), prop::collection::vec(thought(), 1..=6));
    let told = TestRunner::new(config).run(&parts, |(catalogue, steps, thoughts)| {
        runtime.block_on(play(&family, catalogue, &steps, &thoughts));
        Ok(())
    });
    told.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn on_sqlite_a_preview_says_what_the_change_would_do() {
    run(Engine::Sqlite, 60);
}

#[test]
fn on_postgresql_a_preview_says_what_the_change_would_do() {
    run(Engine::Postgres, 30);
}
