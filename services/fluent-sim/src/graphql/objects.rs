//! The object types of the schema and how their fields are read.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use apollo_compiler::response::JsonValue;
use jiff::Timestamp;

use super::page::Page;
use super::{mutation, query};
use crate::behaviour::Behaviour;
use crate::model::{Attribute, Id, Language, Location, Retailer, Role, RoleContext, Setting, User};
use crate::world::{Refusal, World};

/// What all resolvers of one request share.
pub(super) struct Scope<'s> {
    pub(super) world: RefCell<&'s mut World>,
    pub(super) behaviour: &'s Behaviour,
    pub(super) caller: Arc<User>,
    /// Answer about another user than the one asked for.
    pub(super) wrong_user: bool,
    /// A mutation was refused: those after it do nothing.
    pub(super) failed: Cell<bool>,
}

/// A value of some object type.
#[derive(Clone, Debug)]
pub(super) enum Thing {
    Query,
    Mutation,
    User(Arc<User>),
    UserRole(Arc<Role>, Vec<RoleContext>),
    RoleContext(RoleContext),
    Role(Arc<Role>),
    Permission(String),
    Setting(Arc<Setting>),
    Retailer(Arc<Retailer>),
    Location(Arc<Location>),
    Attribute(Attribute),
    Language(Language),
    /// The output of one of the two remove mutations: its type's name and the status.
    Removal(&'static str, String),
    Page(Arc<Page>),
    Edge(Arc<Page>, usize),
    PageInfo(Arc<Page>),
}

/// The value of a field.
pub(super) enum Out {
    Leaf(JsonValue),
    One(Option<Thing>),
    Many(Vec<Thing>),
    /// The schema has the field, but nothing here reads it.
    Unknown,
}

/// A thing within a request.
pub(super) struct Object<'n, 's> {
    pub(super) thing: Thing,
    pub(super) scope: &'n Scope<'s>,
}

/// Stands before a refusal's code and before its message on the way through the executor, which carries only text.
pub(super) const MARK: char = '\u{1f}';

// === impl Object ===

impl ObjectValue for Object<'_, '_> {
    fn type_name(&self) -> &str {
        self.thing.type_name()
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let scope = self.scope;
        let out = match &self.thing {
            Thing::Query => query::resolve(scope, info.field_name(), info.arguments()),
            Thing::Mutation => mutation::resolve(scope, info.field_name(), info.arguments()),
            thing => Ok(thing.field(scope, info.field_name())),
        };
        let object = move |thing| ResolvedValue::object(Object { thing, scope });
        match out {
            Ok(Out::Leaf(value)) => Ok(ResolvedValue::Leaf(value)),
            Ok(Out::One(thing)) => Ok(thing.map_or_else(ResolvedValue::null, object)),
            Ok(Out::Many(things)) => Ok(ResolvedValue::list(things.into_iter().map(object))),
            Ok(Out::Unknown) => Err(self.unknown_field_error(info)),
            Err(Refusal { code, message }) => Err(FieldError { message: format!("{MARK}{code}{MARK}{message}") }),
        }
    }
}

// === impl Thing ===

impl Thing {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::User(_) => "User",
            Self::UserRole(..) => "UserRole",
            Self::RoleContext(_) => "RoleContext",
            Self::Role(_) => "Role",
            Self::Permission(_) => "Permission",
            Self::Setting(_) => "Setting",
            Self::Retailer(_) => "Retailer",
            Self::Location(_) => "Location",
            Self::Attribute(_) => "Attribute",
            Self::Language(_) => "SettingValueType",
            Self::Removal(name, _) => name,
            Self::Page(page) => connection_type(page.node_type).0,
            Self::Edge(page, _) => connection_type(page.node_type).1,
            Self::PageInfo(_) => "PageInfo",
        }
    }

    fn field(&self, scope: &Scope<'_>, name: &str) -> Out {
        match (self, name) {
            (Self::User(user), _) => user_field(user, scope, name),
            (Self::Location(location), "retailer") => scope.retailer(location.retailer),
            (Self::Location(_), "attributes") => Out::One(None),
            (Self::UserRole(role, _), "role") => Out::One(Some(Self::Role(role.clone()))),
            (Self::UserRole(_, contexts), "contexts") => {
                Out::Many(contexts.iter().cloned().map(Self::RoleContext).collect())
            }
            (Self::Role(role), "permissions") => {
                Out::Many(role.permissions.iter().cloned().map(Self::Permission).collect())
            }
            (Self::Page(page), "edges") => {
                Out::Many((0..page.edges.len()).map(|index| Self::Edge(page.clone(), index)).collect())
            }
            (Self::Page(page), "pageInfo") => Out::One(Some(Self::PageInfo(page.clone()))),
            (Self::Edge(page, index), "node") => Out::One(Some(page.edges[*index].1.clone())),
            _ => self.leaf(name).map_or(Out::Unknown, Out::Leaf),
        }
    }

    /// The value of a scalar field, for answers and for searches alike.
    pub(super) fn leaf(&self, name: &str) -> Option<JsonValue> {
        match self {
            Self::User(user) => user_leaf(user, name),
            Self::Role(role) => role_leaf(role, name),
            Self::Permission(permission) => (name == "name").then(|| text(permission)),
            Self::Setting(setting) => setting_leaf(setting, name),
            Self::Retailer(retailer) => retailer_leaf(retailer, name),
            Self::Location(location) => location_leaf(location, name),
            Self::RoleContext(context) => match name {
                "contextType" => Some(text(&context.context_type)),
                "contextId" => Some(text(&context.context_id)),
                _ => None,
            },
            Self::Attribute(attribute) => match name {
                "name" => Some(text(&attribute.name)),
                "type" => Some(text(&attribute.kind)),
                "value" => Some(attribute.value.clone().into()),
                _ => None,
            },
            Self::Language(language) => match name {
                "value" => Some(text(&language.value)),
                "label" => Some(maybe(language.label.as_ref())),
                _ => None,
            },
            Self::Removal(_, status) => (name == "status").then(|| text(status)),
            Self::Edge(page, index) => (name == "cursor").then(|| text(&page.edges[*index].0)),
            Self::PageInfo(page) => match name {
                "hasPreviousPage" => Some(page.has_previous.into()),
                "hasNextPage" => Some(page.has_next.into()),
                _ => None,
            },
            Self::Query | Self::Mutation | Self::UserRole(..) | Self::Page(_) => None,
        }
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// Refuses unless the caller has the permission.
    pub(super) fn require(&self, permission: &str) -> Result<(), Refusal> {
        if !self.behaviour.check_permissions || self.world.borrow().permits(&self.caller, permission) {
            return Ok(());
        }
        Err(Refusal::new("C0020E", format!("The user lacks the permissions [{permission}]")))
    }

    /// The user to show where `user` was asked for.
    pub(super) fn shown(&self, user: Arc<User>) -> Thing {
        if self.wrong_user {
            let world = self.world.borrow();
            if let Some(other) = world.users().values().rev().find(|other| other.id != user.id) {
                return Thing::User(other.clone());
            }
        }
        Thing::User(user)
    }

    fn retailer(&self, id: Option<Id>) -> Out {
        let world = self.world.borrow();
        Out::One(id.and_then(|id| world.retailers().get(&id).cloned()).map(Thing::Retailer))
    }

    fn location(&self, id: Option<Id>) -> Out {
        let world = self.world.borrow();
        Out::One(id.and_then(|id| world.locations().get(&id).cloned()).map(Thing::Location))
    }

    /// The role of that name, also if it is held but no longer there.
    fn role(&self, name: &str) -> Arc<Role> {
        let known = self.world.borrow().roles().get(name).cloned();
        known.unwrap_or_else(|| Arc::new(Role { name: name.to_owned(), ..Role::default() }))
    }
}

// === fields ===

fn user_field(user: &Arc<User>, scope: &Scope<'_>, name: &str) -> Out {
    match name {
        "attributes" => Out::Many(user.attributes.iter().cloned().map(Thing::Attribute).collect()),
        "language" => Out::One(user.language.clone().map(Thing::Language)),
        "primaryRetailer" => scope.retailer(user.primary_retailer),
        "primaryLocation" => scope.location(user.primary_location),
        "roles" => {
            let roles = user.roles.iter();
            Out::Many(roles.map(|held| Thing::UserRole(scope.role(&held.role), held.contexts.clone())).collect())
        }
        "apps" => Out::Many(Vec::new()),
        _ => user_leaf(user, name).map_or(Out::Unknown, Out::Leaf),
    }
}

fn user_leaf(user: &User, name: &str) -> Option<JsonValue> {
    Some(match name {
        "id" => id(user.id),
        "ref" => text(&user.reference),
        "username" => text(&user.username),
        "title" => maybe(user.title.as_ref()),
        "firstName" => maybe(user.first_name.as_ref()),
        "lastName" => maybe(user.last_name.as_ref()),
        "primaryEmail" => maybe(user.primary_email.as_ref()),
        "primaryPhone" => maybe(user.primary_phone.as_ref()),
        "type" => text(&user.kind),
        "status" => maybe(user.status.as_ref()),
        "department" => maybe(user.department.as_ref()),
        "country" => maybe(user.country.as_ref()),
        "timezone" => maybe(user.timezone.as_ref()),
        "promotionOptIn" => user.promotion_opt_in.map_or(JsonValue::Null, JsonValue::from),
        "createdOn" => moment(user.created_on),
        "updatedOn" => moment(user.updated_on),
        _ => return None,
    })
}

fn role_leaf(role: &Role, name: &str) -> Option<JsonValue> {
    Some(match name {
        "id" => id(role.id),
        "name" => text(&role.name),
        _ => return None,
    })
}

fn setting_leaf(setting: &Setting, name: &str) -> Option<JsonValue> {
    Some(match name {
        "id" => id(setting.id),
        "name" => text(&setting.name),
        "valueType" => maybe(setting.value_type.as_ref()),
        "lobValue" => setting.lob_value.clone().map_or(JsonValue::Null, JsonValue::from),
        "value" => maybe(setting.value.as_ref()),
        "context" => text(&setting.context),
        "contextId" => setting.context_id.into(),
        _ => return None,
    })
}

fn retailer_leaf(retailer: &Retailer, name: &str) -> Option<JsonValue> {
    Some(match name {
        "id" => id(retailer.id),
        "ref" => text(&retailer.reference),
        "status" => maybe(retailer.status.as_ref()),
        "tradingName" => maybe(retailer.trading_name.as_ref()),
        "createdOn" | "updatedOn" | "summary" | "websiteUrl" | "websiteUrlName" | "primaryEmail"
        | "supportContactName" | "supportEmail" | "supportPhone" => JsonValue::Null,
        _ => return None,
    })
}

fn location_leaf(location: &Location, name: &str) -> Option<JsonValue> {
    Some(match name {
        "id" => id(location.id),
        "ref" => maybe(location.reference.as_ref()),
        "type" => maybe(location.kind.as_ref()),
        "status" => maybe(location.status.as_ref()),
        "name" => maybe(location.name.as_ref()),
        "createdOn" | "updatedOn" | "supportPhoneNumber" | "defaultCarrier" | "defaultCarrierName" => JsonValue::Null,
        _ => return None,
    })
}

fn connection_type(node_type: &str) -> (&'static str, &'static str) {
    match node_type {
        "User" => ("UserConnection", "UserEdge"),
        "Role" => ("RoleConnection", "RoleEdge"),
        "Permission" => ("PermissionConnection", "PermissionEdge"),
        "Setting" => ("SettingConnection", "SettingEdge"),
        "Retailer" => ("RetailerConnection", "RetailerEdge"),
        _ => ("LocationConnection", "LocationEdge"),
    }
}

fn text(text: &str) -> JsonValue {
    JsonValue::String(text.into())
}

fn maybe(value: Option<&String>) -> JsonValue {
    value.map_or(JsonValue::Null, |value| text(value))
}

fn id(id: Id) -> JsonValue {
    JsonValue::String(id.to_string().into())
}

/// ISO 8601 in UTC with milliseconds.
fn moment(at: Timestamp) -> JsonValue {
    JsonValue::String(format!("{at:.3}").into())
}
