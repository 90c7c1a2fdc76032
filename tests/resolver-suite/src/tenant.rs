//! A tenant in the store and as lists: each step is taken in both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::revision::{Epoch, Position, Revision, RevisionKey};
use proto::admin::v1::admin_service_client::AdminServiceClient;
use proto::admin::v1::{
    CreateTenantRequest, GroupKey, PutGroupLabelsRequest, PutRulesRequest, PutSettingsRequest, RemoveRulesRequest,
    group_key,
};
use proto::common::v1::{DisplayNames, Guardrail, RulesFrom, Settings};
use proto::identity::v1::access_service_client::AccessServiceClient;
use proto::identity::v1::group_service_client::GroupServiceClient;
use proto::identity::v1::user_service_client::UserServiceClient;
use proto::identity::v1::{
    self as identity, CreateGroupRequest, CreateUserRequest, DeleteGroupRequest, DeleteUserRequest, FluentRules,
    PutCatalogueRequest, ReplaceUserRequest, RulesRead, UpdateGroupRequest, rules_read,
};
use runtime::error::{Error, Reason};
use runtime::grpc::Transport;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Response, Status};

use crate::company::{Catalogue, Company, Group, Key, Rule, User, same_name};
use crate::step::{OfRules, Step, TableKey};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const GROUP_LABELS: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group";

/// What readers may know of the tenant.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The lists as they were after each revision that changed them.
    pub(crate) states: BTreeMap<u64, Arc<Company>>,
    /// When each of these was noted, which is after it was committed.
    noted: BTreeMap<u64, Instant>,
    /// The newest revision token.
    pub(crate) token: String,
}

impl Past {
    /// The newest lists, and their revision.
    pub(crate) fn newest(&self) -> (u64, &Arc<Company>) {
        let (revision, company) = self.states.last_key_value().unwrap();
        (*revision, company)
    }

    /// The newest revision that was noted so long ago; 0 for none.
    pub(crate) fn settled(&self, since: Duration) -> u64 {
        self.noted.iter().rev().find(|(_, at)| at.elapsed() >= since).map_or(0, |(revision, _)| *revision)
    }

    /// The lists as they were at a revision.
    pub(crate) fn at(&self, revision: u64) -> &Arc<Company> {
        self.states.range(..=revision).next_back().unwrap().1
    }
}

/// The tenant.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) company: Company,
    pub(crate) past: watch::Sender<Past>,
    store: Transport,
    key: RevisionKey,
}

fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T, Reason> {
    answer.map(Response::into_inner).map_err(|status| {
        let error = Error::from(status);
        assert!(error.reason() != Reason::INTERNAL, "the store fails: {error}");
        error.reason()
    })
}

impl Tenant {
    /// A new tenant, whose Fluent recognises this.
    pub(crate) async fn new(store: Transport, key: RevisionKey, catalogue: Catalogue) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut tenant = Self { name, company: Company::default(), past: watch::Sender::default(), store, key };
        let request = CreateTenantRequest { tenant: tenant.name.clone(), settings: Some(tenant.settings()) };
        answered(tenant.admin().create_tenant(request).await).unwrap();
        tenant.take(&Step::Read(catalogue, OfRules::Nothing)).await;
        tenant
    }

    /// Takes a step, and notes what then is. A step that can't be taken is refused by the store too.
    pub(crate) async fn take(&mut self, step: &Step) {
        let before = self.company.clone();
        match self.try_to(step).await {
            None => {}
            Some(Ok(token)) => self.note(token),
            Some(Err(reason)) => {
                self.company = before;
                let refused = [Reason::UNIQUENESS, Reason::NESTING_CYCLE];
                assert!(refused.contains(&reason), "{step:?} is refused: {reason}");
                assert!(self.cannot(step), "{step:?} is refused though nothing is in its way: {reason}");
            }
        }
    }

    /// Takes note of what is, as of a token.
    fn note(&self, token: String) {
        let revision = self.opened(&token).revision.0;
        self.past.send_modify(|past| {
            past.states.insert(revision, Arc::new(self.company.clone()));
            past.noted.insert(revision, Instant::now());
            past.token = token;
        });
    }

    /// Hires many at once, each with these labels, into a new group that bears others. What was in between is not noted.
    pub(crate) async fn take_in(&mut self, count: usize, labels: &[&str], of_group: &[&str]) {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        for n in 0..count {
            let (id, name, labels) = (String::new(), format!("one-of-many-{n}"), own(labels));
            self.hire(User { id, name, external_id: None, active: true, labels, title: 0 }).await.unwrap();
        }
        let (id, name, labels) = (String::new(), "Everybody".to_owned(), own(of_group));
        let members = self.company.users.iter().map(|user| user.id.clone()).collect();
        let token = self.found(Group { id, name, external_id: None, labels, members }).await.unwrap();
        self.note(token);
    }

    /// What a token of this tenant stands for.
    pub(crate) fn opened(&self, token: &str) -> Position {
        self.key.open(&self.name.parse().unwrap(), token).unwrap()
    }

    /// Whether a name is taken, or a group would contain itself.
    fn cannot(&self, step: &Step) -> bool {
        let company = &self.company;
        let group_is_called = |name: &str, other_than: Option<&str>| {
            company.groups.iter().any(|group| same_name(&group.name, name) && Some(&*group.id) != other_than)
        };
        match step {
            Step::Hire { name, .. } => company.by_name(name).is_some(),
            Step::Rename(user, name) => {
                company.by_name(name).is_some_and(|bearer| Some(&bearer.id) != self.user(*user).map(|user| &user.id))
            }
            Step::Found { name, .. } => group_is_called(name, None),
            Step::RenameGroup(group, name) => group_is_called(name, self.group(*group).map(|group| &*group.id)),
            Step::Join(group, members) | Step::Members(group, members) => self.group(*group).is_some_and(|group| {
                self.members(members).iter().any(|member| company.would_circle(&group.id, member))
            }),
            _ => false,
        }
    }

    /// Takes a step in both; `None` where there is nobody to take it with.
    async fn try_to(&mut self, step: &Step) -> Option<Result<String, Reason>> {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        Some(match step {
            Step::Hire { name, external_id, active, labels } => {
                let (name, external_id) = ((*name).to_owned(), external_id.map(str::to_owned));
                let user =
                    User { id: String::new(), name, external_id, active: *active, labels: own(labels), title: 0 };
                self.hire(user).await
            }
            Step::Relabel(user, labels) => self.change_user(*user, |user| user.labels = own(labels)).await?,
            Step::Activate(user, active) => self.change_user(*user, |user| user.active = *active).await?,
            Step::Rename(user, name) => self.change_user(*user, |user| user.name = (*name).to_owned()).await?,
            Step::NameOutside(user, id) => {
                self.change_user(*user, |user| user.external_id = id.map(str::to_owned)).await?
            }
            Step::Title(user, title) => self.change_user(*user, |user| user.title = *title).await?,
            Step::Delete(user) => {
                let id = self.user(*user)?.id.clone();
                self.company.users.retain(|user| user.id != id);
                self.forget(&id);
                let request = DeleteUserRequest { tenant: self.name.clone(), id, ..Default::default() };
                answered(self.users().delete_user(request).await).map(|answer| answer.revision_token)
            }
            Step::Found { name, external_id, labels, members } => {
                let (name, external_id) = ((*name).to_owned(), external_id.map(str::to_owned));
                let members = self.members(members);
                self.found(Group { id: String::new(), name, external_id, labels: own(labels), members }).await
            }
            Step::RelabelGroup(group, labels) => self.change_group(*group, |group| group.labels = own(labels)).await?,
            Step::RenameGroup(group, name) => {
                self.change_group(*group, |group| group.name = (*name).to_owned()).await?
            }
            Step::Join(group, members) => {
                let add_member_ids = self.members(members);
                self.change_members(*group, UpdateGroupRequest { add_member_ids, ..Default::default() }).await?
            }
            Step::Leave(group, members) => {
                let remove_member_ids = self.members(members);
                self.change_members(*group, UpdateGroupRequest { remove_member_ids, ..Default::default() }).await?
            }
            Step::Members(group, members) => {
                let add_member_ids = self.members(members);
                let exactly = UpdateGroupRequest { replace_members: true, add_member_ids, ..Default::default() };
                self.change_members(*group, exactly).await?
            }
            Step::Dissolve(group) => {
                let id = self.group(*group)?.id.clone();
                self.company.groups.retain(|group| group.id != id);
                self.forget(&id);
                let request = DeleteGroupRequest { tenant: self.name.clone(), id, ..Default::default() };
                answered(self.groups().delete_group(request).await).map(|answer| answer.revision_token)
            }
            Step::Table(key, labels) => {
                let key = match key {
                    TableKey::ExternalId(id) => Key::ExternalId((*id).to_owned()),
                    TableKey::Id(group) => Key::Id(self.group(*group)?.id.clone()),
                    TableKey::Name(name) => Key::Name(name.to_lowercase()),
                };
                self.tabulate(key, own(labels)).await
            }
            Step::Read(catalogue, rules) => self.read(catalogue, rules).await,
            Step::OwnRules(rules) => self.put_rules(rules.as_deref()).await,
            Step::Settings { account, names_are_labels, fluents_win } => {
                let company = &mut self.company;
                (company.account, company.names_are_labels) = ((*account).to_owned(), *names_are_labels);
                company.fluents_win = *fluents_win;
                let request = PutSettingsRequest { tenant: self.name.clone(), settings: Some(self.settings()) };
                answered(self.admin().put_settings(request).await).map(|answer| {
                    assert!(!answer.waits);
                    answer.revision_token
                })
            }
        })
    }

    // Who is meant by a number.

    fn user(&self, number: u8) -> Option<&User> {
        let users = &self.company.users;
        users.get(usize::from(number).checked_rem(users.len())?)
    }

    fn group(&self, number: u8) -> Option<&Group> {
        let groups = &self.company.groups;
        groups.get(usize::from(number).checked_rem(groups.len())?)
    }

    /// Users and groups, each once.
    fn members(&self, numbers: &[u8]) -> Vec<String> {
        let Company { users, groups, .. } = &self.company;
        let all: Vec<_> = users.iter().map(|user| &user.id).chain(groups.iter().map(|group| &group.id)).collect();
        let mut ids = Vec::new();
        for number in numbers {
            let Some(at) = usize::from(*number).checked_rem(all.len()) else { continue };
            if !ids.contains(all[at]) {
                ids.push(all[at].clone());
            }
        }
        ids
    }

    /// Who is gone is a member of nothing.
    fn forget(&mut self, id: &str) {
        for group in &mut self.company.groups {
            group.members.retain(|member| member != id);
        }
    }

    // Users.

    async fn hire(&mut self, user: User) -> Result<String, Reason> {
        let request = CreateUserRequest { tenant: self.name.clone(), actor: None, document: document_of_user(&user) };
        let answer = answered(self.users().create_user(request).await)?;
        self.company.users.push(User { id: answer.user.unwrap().id, ..user });
        Ok(answer.revision_token)
    }

    async fn change_user(&mut self, number: u8, change: impl FnOnce(&mut User)) -> Option<Result<String, Reason>> {
        let id = self.user(number)?.id.clone();
        let user = self.company.users.iter_mut().find(|user| user.id == id)?;
        let name = user.name.clone();
        change(user);
        let document = document_of_user(user);
        if !user.active && taken(&self.company, &id) {
            // Whoever says that somebody is inactive is heard, whatever else it says: the name stays as it was.
            self.company.users.iter_mut().filter(|user| user.id == id).for_each(|user| user.name.clone_from(&name));
        }
        let request = ReplaceUserRequest { tenant: self.name.clone(), id, document, ..Default::default() };
        Some(answered(self.users().replace_user(request).await).map(|answer| answer.revision_token))
    }

    // Groups.

    async fn found(&mut self, group: Group) -> Result<String, Reason> {
        let request = CreateGroupRequest {
            tenant: self.name.clone(),
            actor: None,
            document: document_of_group(&group),
            member_ids: group.members.clone(),
            adds_unmatched: false,
        };
        let answer = answered(self.groups().create_group(request).await)?;
        self.company.groups.push(Group { id: answer.group.unwrap().id, ..group });
        Ok(answer.revision_token)
    }

    async fn change_group(&mut self, number: u8, change: impl FnOnce(&mut Group)) -> Option<Result<String, Reason>> {
        let id = self.group(number)?.id.clone();
        let before = self.company.clone();
        let group = self.company.groups.iter_mut().find(|group| group.id == id)?;
        change(group);
        let document = Some(document_of_group(group));
        let taken = {
            let name = &group.name;
            before.groups.iter().any(|other| other.id != id && same_name(&other.name, name))
        };
        if taken && loses(&before, &self.company, &id) {
            // What takes a label away is heard, whatever else it says: the name stays as it was.
            self.company = before;
        }
        self.update_group(UpdateGroupRequest { id, document, ..Default::default() }).await.into()
    }

    async fn change_members(&mut self, number: u8, change: UpdateGroupRequest) -> Option<Result<String, Reason>> {
        let id = self.group(number)?.id.clone();
        let UpdateGroupRequest { replace_members, add_member_ids: add, remove_member_ids: remove, .. } = &change;
        let circles: Vec<_> = add.iter().filter(|member| self.company.would_circle(&id, member)).collect();
        let group = self.company.groups.iter_mut().find(|group| group.id == id)?;
        let count = group.members.len();
        group.members.retain(|member| if *replace_members { add.contains(member) } else { !remove.contains(member) });
        let loses = group.members.len() < count;
        for member in add {
            // What takes a member away is heard, without what can't be.
            let is_passed_over = loses && circles.contains(&member);
            if !group.members.contains(member) && !is_passed_over {
                group.members.push(member.clone());
            }
        }
        self.update_group(UpdateGroupRequest { id, ..change }).await.into()
    }

    async fn update_group(&self, request: UpdateGroupRequest) -> Result<String, Reason> {
        let request = UpdateGroupRequest { tenant: self.name.clone(), ..request };
        answered(self.groups().update_group(request).await).map(|answer| answer.revision_token)
    }

    async fn tabulate(&mut self, key: Key, labels: Vec<String>) -> Result<String, Reason> {
        let named = match key.clone() {
            Key::ExternalId(id) => group_key::Key::ExternalId(id),
            Key::Id(id) => group_key::Key::Id(id),
            Key::Name(name) => group_key::Key::DisplayName(name),
        };
        self.company.table.retain(|(known, _)| *known != key);
        if !labels.is_empty() {
            self.company.table.push((key, labels.clone()));
        }
        let key = Some(GroupKey { key: Some(named) });
        let request = PutGroupLabelsRequest { tenant: self.name.clone(), key, labels };
        answered(self.admin().put_group_labels(request).await).map(|answer| answer.revision_token)
    }

    // The ground.

    async fn read(&mut self, catalogue: &Catalogue, of_rules: &OfRules) -> Result<String, Reason> {
        self.company.catalogue = catalogue.clone();
        let place = |(id, reference): &(String, String)| identity::Place { id: id.clone(), r#ref: reference.clone() };
        let places = |places: &[(String, String)]| places.iter().map(place).collect();
        let read = match of_rules {
            OfRules::Nothing => None,
            OfRules::Absent => Some(rules_read::Read::Absent(true)),
            OfRules::Found(rules) => Some(found(rules)),
        };
        match of_rules {
            OfRules::Nothing => {}
            OfRules::Absent => self.company.fluents_rules = None,
            OfRules::Found(rules) => self.company.fluents_rules = Some(rules.clone()),
        }
        let request = PutCatalogueRequest {
            tenant: self.name.clone(),
            fence: 1,
            wanted_seen: 0,
            catalogue: Some(identity::Catalogue {
                roles: catalogue.roles.clone(),
                retailers: places(&catalogue.retailers),
                locations: places(&catalogue.locations),
            }),
            rules: read.map(|read| RulesRead { read: Some(read) }),
        };
        let answer = answered(self.access().put_catalogue(request).await)?;
        assert!(!answer.waits);
        let position = answer.position.unwrap();
        let (epoch, revision) = (Epoch::from_slice(&position.epoch).unwrap(), Revision(position.revision));
        Ok(self.key.seal(&self.name.parse().unwrap(), Position { epoch, revision }))
    }

    async fn put_rules(&mut self, rules: Option<&[Rule]>) -> Result<String, Reason> {
        self.company.own_rules = rules.map(<[Rule]>::to_vec);
        let tenant = self.name.clone();
        let (waits, token) = match rules {
            None => {
                let answer = answered(self.admin().remove_rules(RemoveRulesRequest { tenant }).await)?;
                (answer.waits, answer.revision_token)
            }
            Some(rules) => {
                let rules = written(rules);
                let answer = answered(self.admin().put_rules(PutRulesRequest { tenant, rules }).await)?;
                (answer.waits, answer.revision_token)
            }
        };
        assert!(!waits);
        Ok(token)
    }

    fn settings(&self) -> Settings {
        let Company { account, names_are_labels, fluents_win, .. } = &self.company;
        let names = if *names_are_labels { DisplayNames::Labels } else { DisplayNames::Names };
        let rules = if *fluents_win { RulesFrom::Fluent } else { RulesFrom::Own };
        Settings {
            account_name: account.clone(),
            display_names: names.into(),
            rules_from: rules.into(),
            guardrail: Guardrail::Hold.into(),
            // Nothing waits for an operator: what waits is another story.
            change_limit: 100,
            ..Settings::default()
        }
    }

    fn users(&self) -> UserServiceClient<Transport> {
        UserServiceClient::new(self.store.clone())
    }

    fn groups(&self) -> GroupServiceClient<Transport> {
        GroupServiceClient::new(self.store.clone())
    }

    fn access(&self) -> AccessServiceClient<Transport> {
        AccessServiceClient::new(self.store.clone())
    }

    fn admin(&self) -> AdminServiceClient<Transport> {
        AdminServiceClient::new(self.store.clone())
    }
}

/// Whether another bears a user's name too.
fn taken(company: &Company, id: &str) -> bool {
    let user = company.users.iter().find(|user| user.id == id);
    let others = || company.users.iter().filter(|other| other.id != id);
    user.is_some_and(|user| others().any(|other| same_name(&other.name, &user.name)))
}

/// Rules in the JSON format of Fluent's setting.
pub(crate) fn written(rules: &[Rule]) -> String {
    let rule = |Rule { logical, targets }: &Rule| {
        json!({
            "condition": { "type": "HAS_APP_ROLE", "appRole": logical },
            "action": {
                "type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": logical, "targetRoles": targets,
            },
        })
    };
    json!({ "rules": rules.iter().map(rule).collect::<Vec<_>>() }).to_string()
}

/// Whether a group that is named anew loses a label other than its name, which stays where another bears the new one.
fn loses(before: &Company, after: &Company, id: &str) -> bool {
    let labels = |company: &Company| company.stated(company.groups.iter().find(|group| group.id == id).unwrap());
    let after = labels(after);
    labels(before).iter().any(|label| !after.contains(label))
}

/// Fluent's rules as their reader tells them.
fn found(rules: &[Rule]) -> rules_read::Read {
    let rule = |Rule { logical, targets }: &Rule| identity::Rule {
        logical_role: logical.clone(),
        target_roles: targets.clone(),
    };
    rules_read::Read::Found(FluentRules { setting_id: "900".to_owned(), rules: rules.iter().map(rule).collect() })
}

fn values(labels: &[String]) -> Vec<Value> {
    labels.iter().map(|label| json!({ "value": label })).collect()
}

fn bytes<B: From<Vec<u8>>>(mut document: Value) -> B {
    // What is not said is left out.
    if let Some(attributes) = document.as_object_mut() {
        attributes.retain(|_, value| !value.is_null());
    }
    document.to_string().into_bytes().into()
}

fn document_of_user<B: From<Vec<u8>>>(user: &User) -> B {
    let User { id: _, name, external_id, active, labels, title } = user;
    bytes(json!({
        "schemas": [USER], "userName": name, "externalId": external_id, "active": active,
        "roles": values(labels), "title": title.to_string(),
    }))
}

fn document_of_group<B: From<Vec<u8>>>(group: &Group) -> B {
    let Group { id: _, name, external_id, labels, members: _ } = group;
    bytes(json!({
        "schemas": [GROUP, GROUP_LABELS], "displayName": name, "externalId": external_id,
        GROUP_LABELS: { "roles": values(labels) },
    }))
}
