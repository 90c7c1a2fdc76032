//! One who watches a tenant through a history, and compares what it was told with what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::revision::RevisionKey;
use proto::roles::v1::{WatchRolesRequest, WatchRolesResponse};
use tokio::task::JoinHandle;
use tonic::Streaming;

use crate::asker::compare;
use crate::company::Company;
use crate::family::Replica;
use crate::tenant::Tenant;

/// The watch. It is taken as fast as it comes.
pub(crate) struct Watcher {
    how: &'static str,
    key: RevisionKey,
    from: u64,
    told: tokio::sync::watch::Receiver<Vec<WatchRolesResponse>>,
    listening: JoinHandle<()>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Watcher {
    /// Begins at the tenant's newest token.
    pub(crate) async fn begin(replica: &Replica, tenant: &Tenant, key: &RevisionKey) -> Self {
        let (after, from) = {
            let past = tenant.past.borrow();
            (past.token.clone(), past.newest().0)
        };
        let request = WatchRolesRequest { tenant: tenant.name.clone(), after };
        let mut stream: Streaming<_> = replica.roles().watch_roles(request).await.unwrap().into_inner();
        let (tell, told) = tokio::sync::watch::channel(Vec::new());
        let listening = tokio::spawn(async move {
            while let Some(message) = stream.message().await.unwrap() {
                tell.send_modify(|told: &mut Vec<_>| told.push(message));
            }
        });
        Self { how: replica.how, key: key.clone(), from, told, listening }
    }

    /// Waits until everything has been told. Each user whose set has changed was told of with the set it has in the end;
    /// and no set was told that never was.
    pub(crate) async fn end(mut self, tenant: &Tenant) {
        let head = tenant.past.borrow().newest().0;
        let name = tenant.name.parse().unwrap();
        let key = self.key.clone();
        let through = |told: &Vec<WatchRolesResponse>| {
            let last = told.iter().rev().find(|message| !message.revision_token.is_empty());
            last.is_some_and(|message| key.open(&name, &message.revision_token).unwrap().revision.0 >= head)
        };
        let patience = tokio::time::timeout(Duration::from_mins(1), self.told.wait_for(through));
        let told = patience.await.expect("the watch never came to the end").unwrap().clone();
        let past = tenant.past.borrow();
        let states: Vec<&Arc<Company>> = past.states.range(self.from..).map(|(_, state)| state).collect();
        let user = |company: &Arc<Company>, id: &str| company.users.iter().find(|user| user.id == id).cloned();
        let mut last = BTreeMap::new();
        for message in &told {
            let Some(position) = &message.position else {
                assert!(message.users.is_empty(), "{}: sets of no state", self.how);
                continue;
            };
            let company = past.at(position.revision);
            for watched in &message.users {
                let user = user(company, &watched.user_id);
                let right = compare(user.as_ref().map(|user| (&**company, user)), watched.effective.as_ref());
                assert!(right.is_ok(), "{}: at {}: {}", self.how, position.revision, right.unwrap_err());
                last.insert(&watched.user_id, watched.effective.as_ref());
            }
        }
        let everybody: BTreeSet<_> = states.iter().flat_map(|state| &state.users).map(|user| &user.id).collect();
        for id in everybody {
            let sets = states.iter().map(|state| user(state, id).map(|user| state.effective(&user)));
            let sets: Vec<_> = sets.collect();
            if sets.windows(2).all(|pair| pair[0] == pair[1]) {
                continue;
            }
            let told = last.get(id).unwrap_or_else(|| panic!("{}: nothing was told of {id}: {sets:?}", self.how));
            let newest = states[states.len() - 1];
            let user = user(newest, id);
            // What is suggested instead of a label is no part of what somebody may do: it is not told anew.
            let mut told = told.cloned();
            told.iter_mut().flat_map(|told| &mut told.unmatched).for_each(|label| label.suggestion.clear());
            if let Err(difference) = compare(user.as_ref().map(|user| (&**newest, user)), told.as_ref()) {
                panic!("{}: the last that was told of {id}: {difference}", self.how);
            }
        }
    }
}
