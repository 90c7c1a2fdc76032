//! Asks a replica everything, and compares each answer with what the rules say of the state it claims to be of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::revision::RevisionKey;
use futures_util::TryStreamExt as _;
use proto::common::v1 as common;
use proto::common::v1::consistency::Requirement;
use proto::roles::v1 as roles;
use proto::roles::v1::label_service_client::LabelServiceClient;
use proto::roles::v1::role_service_client::RoleServiceClient;
use proto::roles::v1::user_ref::Ref;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use runtime::error::{Error, Reason};
use runtime::grpc::Transport;
use tokio::sync::watch;
use tonic::Status;

use crate::company::{Company, User};
use crate::family::Replica;
use crate::rules::{Grant, Set};
use crate::step;
use crate::tenant::{Past, Tenant};
use crate::ways::Ways;

/// One who asks one replica about one tenant.
pub(crate) struct Asker {
    pub(crate) how: &'static str,
    within: Duration,
    roles: RoleServiceClient<Transport>,
    pub(crate) labels: LabelServiceClient<Transport>,
    pub(crate) tenant: String,
    key: RevisionKey,
    past: watch::Receiver<Past>,
    pub(crate) random: StdRng,
}

/// How a question is put: how fresh the answer must be, and the revision that follows from it.
#[derive(Clone, Debug)]
struct Wish {
    consistency: Option<common::Consistency>,
    not_before: u64,
}

impl Asker {
    pub(crate) fn new(replica: &Replica, tenant: &Tenant, key: &RevisionKey, seed: u64) -> Self {
        Self {
            how: replica.how,
            within: replica.within,
            roles: replica.roles(),
            labels: replica.labels(),
            tenant: tenant.name.clone(),
            key: key.clone(),
            past: tenant.past.subscribe(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Asks everything once, with the newest token or without one.
    pub(crate) async fn ask(&mut self) {
        let wish = self.wish();
        self.batch(&wish).await;
        let wish = self.wish();
        self.checks(&wish).await;
        self.match_labels().await;
        self.list_labels().await;
        for _ in 0..2 {
            let wish = self.wish();
            self.one(&wish).await;
            let wish = self.wish();
            self.explain(&wish).await;
            let wish = self.wish();
            self.list_holders(&wish).await;
        }
    }

    /// Asks for all users at once, as one who presents the newest token.
    pub(crate) async fn ask_briefly(&mut self) {
        let wish = self.with_token();
        self.batch(&wish).await;
    }

    fn with_token(&self) -> Wish {
        let token = self.past.borrow().token.clone();
        let not_before = self.revision(&token);
        Wish { consistency: Some(consistency(Requirement::AtLeastAsFresh(token))), not_before }
    }

    fn wish(&mut self) -> Wish {
        let requirement = match self.random.random_range(0..6) {
            0..3 => return self.with_token(),
            3 => Requirement::FullyConsistent(true),
            4 => Requirement::MinimizeLatency(true),
            _ => return Wish { consistency: None, not_before: self.past.borrow().settled(self.within) },
        };
        let past = self.past.borrow();
        // Where nobody says how fresh, a state that was replaced too long ago will not do either.
        let is_sure = requirement == Requirement::FullyConsistent(true);
        let not_before = if is_sure { past.newest().0 } else { past.settled(self.within) };
        Wish { consistency: Some(consistency(requirement)), not_before }
    }

    /// Where the tenant stands, once the writer has noted it.
    pub(crate) async fn head(&mut self) -> u64 {
        let request = roles::BatchGetEffectiveRolesRequest {
            tenant: self.tenant.clone(),
            users: Vec::new(),
            consistency: Some(consistency(Requirement::FullyConsistent(true))),
        };
        let answer = self.roles.batch_get_effective_roles(request).await.unwrap().into_inner();
        let head = self.revision(&answer.revision_token);
        self.at(head).await;
        head
    }

    fn revision(&self, token: &str) -> u64 {
        self.key.open(&self.tenant.parse().unwrap(), token).unwrap().revision.0
    }

    /// The lists as they were at a revision. It may be told to readers a moment before the writer has noted it.
    pub(crate) async fn at(&mut self, revision: u64) -> Arc<Company> {
        let past = self.past.wait_for(|past| past.newest().0 >= revision).await.unwrap();
        Arc::clone(past.at(revision))
    }

    /// The lists that an answer must agree with.
    async fn answered(&mut self, wish: &Wish, token: &str) -> Arc<Company> {
        let revision = self.revision(token);
        assert!(revision >= wish.not_before, "{}: {revision} for {wish:?}", self.how);
        self.at(revision).await
    }

    pub(crate) fn newest(&self) -> Arc<Company> {
        Arc::clone(self.past.borrow().newest().1)
    }

    /// The lists as they were at some time.
    fn sometime(&mut self) -> Arc<Company> {
        let past = self.past.borrow();
        let at = self.random.random_range(0..past.states.len());
        past.states.values().nth(at).map(Arc::clone).unwrap()
    }

    /// A user, in one of the ways to name one; sometimes nobody.
    fn name(&mut self, user: &User) -> roles::UserRef {
        let named = match (self.random.random_range(0..3), &user.external_id) {
            (0, Some(id)) => Ref::ExternalId(id.clone()),
            (1, _) => Ref::UserName(if self.random.random() { user.name.to_uppercase() } else { user.name.clone() }),
            _ => Ref::Id(user.id.clone()),
        };
        roles::UserRef { r#ref: Some(named) }
    }

    /// Somebody who is there, or was once: who is deleted or bears another name by now, and whose name may be another's.
    fn anybody(&mut self) -> roles::UserRef {
        let company = if self.random.random_bool(0.7) { self.newest() } else { self.sometime() };
        match company.users.choose(&mut self.random) {
            Some(user) if self.random.random_bool(0.95) => self.name(user),
            _ => roles::UserRef { r#ref: Some(Ref::UserName("nobody".to_owned())) },
        }
    }

    fn everybody(&mut self) -> Vec<roles::UserRef> {
        let company = self.newest();
        let mut all: Vec<_> = company.users.iter().map(|user| self.name(user)).collect();
        all.extend([self.anybody(), self.anybody()]);
        all
    }

    async fn one(&mut self, wish: &Wish) {
        let user = self.anybody();
        let consistency = wish.consistency.clone();
        let request = roles::GetEffectiveRolesRequest {
            tenant: self.tenant.clone(),
            user: Some(user.clone()),
            consistency: consistency.clone(),
        };
        let answer = self.roles.get_effective_roles(request).await;
        let Some(answer) = self.unless_missing(answer, &user, wish).await else { return };
        let company = self.answered(wish, &answer.revision_token).await;
        assert_eq!(answer.position.unwrap().revision, self.revision(&answer.revision_token));
        self.same(&company, &user, answer.effective.as_ref());

        let grant = step::grants().choose(&mut self.random).cloned().unwrap();
        let request = roles::CheckRoleRequest {
            tenant: self.tenant.clone(),
            user: Some(user.clone()),
            grant: Some(sent(&grant)),
            consistency,
        };
        let answer = self.roles.check_role(request).await;
        let Some(answer) = self.unless_missing(answer, &user, wish).await else { return };
        let company = self.answered(wish, &answer.revision_token).await;
        let set = company.effective(found(&company, &user).unwrap());
        assert_eq!(
            (answer.allowed, answer.held),
            (set.grants.contains_key(&grant), set.held),
            "{}: {user:?}",
            self.how
        );
    }

    /// An answer, unless there is no such user: then there must be none.
    async fn unless_missing<T>(
        &mut self,
        answer: Result<tonic::Response<T>, Status>,
        user: &roles::UserRef,
        wish: &Wish,
    ) -> Option<T> {
        let error = match answer {
            Ok(answer) => return Some(answer.into_inner()),
            Err(refused) => Error::from(refused),
        };
        assert_eq!(error.reason(), Reason::USER_NOT_FOUND, "{}: {error}", self.how);
        // It is not told of which state: it must be of one that is fresh enough.
        self.head().await;
        let past = self.past.borrow();
        let mut since = [past.at(wish.not_before.max(1))]
            .into_iter()
            .chain(past.states.range(wish.not_before..).map(|(_, state)| state));
        assert!(since.any(|company| found(company, user).is_none()), "{}: {user:?} is there", self.how);
        None
    }

    async fn batch(&mut self, wish: &Wish) {
        let users = self.everybody();
        let (tenant, consistency) = (self.tenant.clone(), wish.consistency.clone());
        let request = roles::BatchGetEffectiveRolesRequest { tenant, users: users.clone(), consistency };
        let answer = self.roles.batch_get_effective_roles(request).await.unwrap().into_inner();
        let company = self.answered(wish, &answer.revision_token).await;
        assert_eq!(answer.results.len(), users.len());
        for (user, result) in users.iter().zip(&answer.results) {
            self.same(&company, user, result.effective.as_ref());
        }
    }

    async fn checks(&mut self, wish: &Wish) {
        let grants = step::grants();
        let asked: Vec<_> =
            self.everybody().into_iter().map(|user| (user, grants.choose(&mut self.random).unwrap())).collect();
        let check = |(user, grant): &(roles::UserRef, &Grant)| roles::RoleCheck {
            user: Some(user.clone()),
            grant: Some(sent(grant)),
        };
        let (tenant, consistency) = (self.tenant.clone(), wish.consistency.clone());
        let request = roles::BatchCheckRoleRequest { tenant, checks: asked.iter().map(check).collect(), consistency };
        let answer = self.roles.batch_check_role(request).await.unwrap().into_inner();
        let company = self.answered(wish, &answer.revision_token).await;
        assert_eq!(answer.results.len(), asked.len());
        for ((user, grant), result) in asked.iter().zip(answer.results) {
            let set = found(&company, user).map(|user| company.effective(user));
            let expected = set.map_or_else(roles::RoleCheckResult::default, |set| roles::RoleCheckResult {
                found: true,
                allowed: set.grants.contains_key(grant),
                held: set.held,
            });
            assert_eq!(result, expected, "{}: {user:?}, {grant:?}", self.how);
        }
    }

    async fn explain(&mut self, wish: &Wish) {
        let user = self.anybody();
        let (tenant, consistency) = (self.tenant.clone(), wish.consistency.clone());
        let request = roles::ExplainRolesRequest { tenant, user: Some(user.clone()), consistency };
        let answer = self.roles.explain_roles(request).await;
        let Some(answer) = self.unless_missing(answer, &user, wish).await else { return };
        let company = self.answered(wish, &answer.revision_token).await;
        let sourced = answer.grants.iter().map(|explained| roles::SourcedGrant {
            grant: explained.grant.clone(),
            labels: explained.causes.iter().map(|cause| cause.label.clone()).collect(),
        });
        // It is the effective set, and says the same of it.
        let set = roles::EffectiveSet {
            user_id: answer.user_id.clone(),
            active: answer.active,
            held: answer.held,
            grants: sourced.collect(),
            unmatched: answer.unmatched.iter().map(|explained| explained.label.clone().unwrap()).collect(),
            has_labels: answer.has_labels,
        };
        self.same(&company, &user, Some(&set));
        let user = found(&company, &user).unwrap();
        for cause in answer.grants.iter().flat_map(|grant| &grant.causes) {
            assert_eq!(cause.rule, company.meaning(&cause.label).unwrap().rule);
            self.leads(&company.ways(user, &cause.label), cause.ways.as_ref(), &cause.label);
        }
        for explained in &answer.unmatched {
            let label = &explained.label.as_ref().unwrap().label;
            self.leads(&company.ways(user, label), explained.ways.as_ref(), label);
        }
    }

    /// Every way is told, each once and as short as it can be.
    fn leads(&self, ways: &Ways, told: Option<&roles::LabelWays>, label: &str) {
        let told = told.unwrap();
        assert_eq!((told.direct, told.more), (ways.direct, 0), "{}: {label}", self.how);
        assert_eq!(told.through.len(), ways.through.len(), "{}: {label}: {told:?} for {ways:?}", self.how);
        for way in &told.through {
            let ends = (way.group_ids.first().cloned().unwrap(), way.group_ids.last().cloned().unwrap());
            let known = ways.through.get(&ends).is_some_and(|ways| ways.contains(&way.group_ids));
            assert!(known, "{}: {label}: {way:?} is none of {ways:?}", self.how);
        }
    }

    async fn list_holders(&mut self, wish: &Wish) {
        let grant = step::grants().choose(&mut self.random).cloned().unwrap();
        let begun = self.past.borrow().newest().0;
        let request = roles::ListRoleHoldersRequest {
            tenant: self.tenant.clone(),
            grant: Some(sent(&grant)),
            consistency: wish.consistency.clone(),
            after_user_id: String::new(),
        };
        let pages = self.roles.list_role_holders(request).await.unwrap().into_inner();
        let pages: Vec<_> = pages.try_collect().await.unwrap();
        let mut listed = BTreeSet::new();
        let mut last = String::new();
        for page in &pages {
            let company = self.answered(wish, &page.revision_token).await;
            for holder in &page.holders {
                assert!(holder.user_id > last && holder.user_id <= page.last_user_id, "they come in order, each once");
                last.clone_from(&holder.user_id);
                let user = company.users.iter().find(|user| user.id == holder.user_id).unwrap();
                let set = company.effective(user);
                let labels = once(&holder.labels).expect("each label once");
                assert_eq!(Some(&labels), set.grants.get(&grant), "{}: {user:?}", self.how);
                assert_eq!(holder.held, set.held);
                listed.insert(holder.user_id.clone());
            }
        }
        // Who held it throughout is there: from the oldest state that answered, or was the newest when it was asked for, on.
        self.head().await;
        let oldest = pages.iter().map(|page| self.revision(&page.revision_token)).fold(begun, u64::min);
        let past = self.past.borrow();
        let states = [past.at(oldest)].into_iter().chain(past.states.range(oldest..).map(|(_, state)| state));
        let holders = states.map(|company| company.holders(&grant).into_iter().map(str::to_owned).collect());
        let throughout: BTreeSet<String> = holders.reduce(|a, b: BTreeSet<_>| &a & &b).unwrap_or_default();
        assert!(throughout.is_subset(&listed), "{}: {grant:?}: {throughout:?}, listed {listed:?}", self.how);
    }

    /// An effective set is what the rules say, and there is none of nobody.
    fn same(&self, company: &Company, user: &roles::UserRef, answer: Option<&roles::EffectiveSet>) {
        if let Err(difference) = compare(found(company, user).map(|user| (company, user)), answer) {
            panic!("{}: {user:?}: {difference}", self.how);
        }
    }
}

/// Compares an answer with what the rules say of a user, if there is one.
pub(crate) fn compare(user: Option<(&Company, &User)>, answer: Option<&roles::EffectiveSet>) -> Result<(), String> {
    let (company, user, answer) = match (user, answer) {
        (None, None) => return Ok(()),
        (Some((company, user)), Some(answer)) => (company, user, answer),
        (user, answer) => return Err(format!("{answer:?} for {:?}", user.map(|(_, user)| user))),
    };
    let Set { active, held, has_labels, grants, unmatched } = company.effective(user);
    let told = answer.grants.iter().map(|sourced| (received(sourced.grant.as_ref().unwrap()), once(&sourced.labels)));
    let told: BTreeMap<_, Option<BTreeSet<_>>> = told.collect();
    let is_once = told.len() == answer.grants.len();
    let told: Option<BTreeMap<_, _>> = told.into_iter().map(|(grant, labels)| Some((grant, labels?))).collect();
    let refused: BTreeSet<_> = answer.unmatched.iter().map(|told| &told.label).collect();
    let reasonable =
        |told: &common::UnmatchedLabel| unmatched.get(&told.label).is_some_and(|reasons| fits(company, told, reasons));
    let right = (&answer.user_id, answer.active, answer.held, answer.has_labels)
        == (&user.id, active, held, has_labels)
        && is_once
        && told.as_ref() == Some(&grants)
        && answer.unmatched.len() == unmatched.len()
        && refused.len() == unmatched.len()
        && answer.unmatched.iter().all(reasonable);
    if right { Ok(()) } else { Err(format!("{answer:?} for {user:?}, who has {:?}", company.effective(user))) }
}

/// Texts as a set; `None` if one comes twice.
fn once(texts: &[String]) -> Option<BTreeSet<String>> {
    let all: BTreeSet<_> = texts.iter().cloned().collect();
    (all.len() == texts.len()).then_some(all)
}

/// Whether what is told of an unmatched label is one of the reasons there are, and what is suggested would be better.
pub(crate) fn fits(company: &Company, told: &common::UnmatchedLabel, reasons: &BTreeSet<&'static str>) -> bool {
    let reason = told.reason().as_str_name().trim_start_matches("UNMATCHED_REASON_");
    reasons.contains(reason) && (told.suggestion.is_empty() || company.meaning(&told.suggestion).is_ok())
}

fn found<'a>(company: &'a Company, user: &roles::UserRef) -> Option<&'a User> {
    match user.r#ref.as_ref()? {
        Ref::Id(id) => company.users.iter().find(|user| user.id == *id),
        Ref::UserName(name) => company.by_name(name),
        Ref::ExternalId(id) => company.by_external_id(id),
    }
}

pub(crate) fn received(grant: &common::Grant) -> Grant {
    let context_type = grant.context_type().as_str_name().trim_start_matches("CONTEXT_TYPE_").to_owned();
    Grant { role: grant.role.clone(), context_type, context_id: grant.context_id.clone() }
}

pub(crate) fn consistency(requirement: Requirement) -> common::Consistency {
    common::Consistency { requirement: Some(requirement) }
}

fn sent(grant: &Grant) -> common::Grant {
    let Grant { role, context_type, context_id } = grant.clone();
    let kind = common::ContextType::from_str_name(&format!("CONTEXT_TYPE_{context_type}")).unwrap();
    common::Grant { role, context_type: kind.into(), context_id }
}
