//! More people than one page of anything holds, and more changes than are told at a time: every answer is compared as in
//! small histories.

use crate::asker::Asker;
use crate::company::{Catalogue, Rule};
use crate::family::{Engine, Family};
use crate::histories::runtime;
use crate::step::{OfRules, Step};
use crate::tenant::Tenant;
use crate::watcher::Watcher;

/// Holders are listed and changes are told by the five hundred.
const PEOPLE: usize = 700;
/// Changes are told by the hundred.
const CHANGES: u8 = 230;

async fn play(family: &Family) {
    let roles = ["STORE", "CLERK", "ADMIN"].map(str::to_owned).to_vec();
    let locations = vec![("77".to_owned(), "CHIC-01".to_owned())];
    let catalogue = Catalogue { roles, locations, retailers: Vec::new() };
    let mut tenant = Tenant::new(family.store(), family.key.clone(), catalogue.clone()).await;
    tenant.take_in(PEOPLE, &["AGENT_77_STORE"], &["AGENT_77_CLERK"]).await;
    let mut askers: Vec<_> =
        family.replicas.iter().map(|replica| Asker::new(replica, &tenant, &family.key, 7)).collect();
    let watcher = Watcher::begin(&family.replicas[1], &tenant, &family.key).await;
    let rule = Rule { logical: "CLERK".to_owned(), targets: vec!["STORE".to_owned(), "ADMIN".to_owned()] };
    let without_store = Catalogue { roles: vec!["CLERK".to_owned(), "ADMIN".to_owned()], ..catalogue };
    let steps = [
        Step::RelabelGroup(0, vec!["AGENT_CHIC-01_STORE", "ACCOUNT_0_ADMIN"]),
        Step::Leave(0, (0..250).collect()),
        Step::OwnRules(Some(vec![rule])),
        Step::RelabelGroup(0, vec!["AGENT_77_CLERK"]),
        Step::Read(without_store, OfRules::Nothing),
        Step::Dissolve(0),
    ];
    for step in &steps {
        tenant.take(step).await;
        for asker in &mut askers {
            asker.ask().await;
        }
    }
    for change in 0..CHANGES {
        let labels = if change % 2 == 0 { vec!["AGENT_77_CLERK"] } else { vec!["ACCOUNT_0_ADMIN"] };
        tenant.take(&Step::Relabel(change, labels)).await;
    }
    for asker in &mut askers {
        asker.ask().await;
    }
    watcher.end(&tenant).await;
}

fn run(engine: Engine) {
    runtime().block_on(async {
        let family = Family::start(engine, None).await;
        play(&family).await;
    });
}

#[test]
fn on_sqlite_every_answer_about_a_crowd_is_what_the_rules_say() {
    run(Engine::Sqlite);
}

#[test]
fn on_postgresql_every_answer_about_a_crowd_is_what_the_rules_say() {
    run(Engine::Postgres);
}
