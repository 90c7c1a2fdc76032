//! C08, the new enemy: somebody is taken out of a group, and then the group gets a role. Nobody is ever told that the one who
//! left has the role, whatever was kept of the state before.
//!
//! Ten thousand times on each database: in many tenants at once, ten members a group.

use std::sync::Arc;

use proto::common::v1::consistency::Requirement;
use proto::roles::v1::user_ref::Ref;
use proto::roles::v1::{BatchGetEffectiveRolesRequest, UserRef};
use tokio::task::JoinSet;

use crate::asker::consistency;
use crate::company::Catalogue;
use crate::family::{Engine, Family, Replica};
use crate::histories::runtime;
use crate::step::Step;
use crate::tenant::Tenant;

const TENANTS: usize = 20;
const MEMBERS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const ROUNDS: usize = 10_000 / TENANTS / MEMBERS.len();
/// All of them.
const ALL: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// How many grants some of the members have, as one is told who presents the newest token.
async fn grants(replica: &Replica, tenant: &Tenant, some: usize) -> usize {
    let users = tenant.company.users.iter().take(some).map(|user| UserRef { r#ref: Some(Ref::Id(user.id.clone())) });
    let token = tenant.past.borrow().token.clone();
    let request = BatchGetEffectiveRolesRequest {
        tenant: tenant.name.clone(),
        users: users.collect(),
        consistency: Some(consistency(Requirement::AtLeastAsFresh(token))),
    };
    let answer = replica.roles().batch_get_effective_roles(request).await.unwrap().into_inner();
    answer.results.into_iter().map(|result| result.effective.unwrap().grants.len()).sum()
}

/// One tenant's rounds.
async fn rounds(family: Arc<Family>) {
    let catalogue = Catalogue { roles: vec!["ADMIN".to_owned()], ..Catalogue::default() };
    let mut tenant = Tenant::new(family.store(), family.key.clone(), catalogue).await;
    for name in MEMBERS {
        tenant.take(&Step::Hire { name, external_id: None, active: true, labels: vec![] }).await;
    }
    tenant.take(&Step::Found { name: "Staff", external_id: None, labels: vec![], members: vec![] }).await;
    for round in 0..ROUNDS {
        tenant.take(&Step::Join(0, ALL.to_vec())).await;
        // Of each replica: nothing is kept of them, of half of them, or of all.
        for (at, replica) in family.replicas.iter().enumerate() {
            assert_eq!(grants(replica, &tenant, (round + at) % 3 * MEMBERS.len() / 2).await, 0);
        }
        tenant.take(&Step::Leave(0, ALL.to_vec())).await;
        tenant.take(&Step::RelabelGroup(0, vec!["ACCOUNT_0_ADMIN"])).await;
        for replica in &family.replicas {
            assert_eq!(grants(replica, &tenant, MEMBERS.len()).await, 0, "{}: round {round}", replica.how);
        }
        tenant.take(&Step::RelabelGroup(0, vec![])).await;
    }
}

fn never(engine: Engine) {
    runtime().block_on(async {
        let family = Arc::new(Family::start(engine, None).await);
        let mut tenants = JoinSet::new();
        for _ in 0..TENANTS {
            tenants.spawn(rounds(Arc::clone(&family)));
        }
        while let Some(done) = tenants.join_next().await {
            done.unwrap();
        }
    });
}

#[test]
fn on_sqlite_one_who_left_a_group_never_gets_what_it_gets_later() {
    never(Engine::Sqlite);
}

#[test]
fn on_postgresql_one_who_left_a_group_never_gets_what_it_gets_later() {
    never(Engine::Postgres);
}
