//! What the user mutations do: `createUser`, `updateUser`, `removeUserRolesFromUser`.

use std::sync::Arc;

use serde::Deserialize;

use super::input::{LONGEST, Patch, check_length, check_not_blank, upsert_attributes};
use super::{Refusal, World};
use crate::behaviour::{Behaviour, Contexts, RemoveWithoutContexts, UnknownContext};
use crate::model::{Attribute, Id, Language, RoleContext, User, UserRole};

/// `CreateUserInput` and `UpdateUserInput`: the schema says which fields each of them has and requires.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UserInput {
    pub(crate) id: Option<Id>,
    #[serde(rename = "ref")]
    reference: Patch<String>,
    pub(crate) username: Patch<String>,
    password: Patch<String>,
    title: Patch<String>,
    first_name: Patch<String>,
    last_name: Patch<String>,
    primary_email: Patch<String>,
    primary_phone: Patch<String>,
    #[serde(rename = "type")]
    kind: Patch<String>,
    status: Patch<String>,
    api_key: Patch<String>,
    attributes: Patch<Vec<Option<Attribute>>>,
    department: Patch<String>,
    country: Patch<String>,
    timezone: Patch<String>,
    language: Patch<Language>,
    promotion_opt_in: Patch<bool>,
    primary_retailer: Patch<EntityKey>,
    primary_location: Patch<EntityKey>,
    roles: Patch<Vec<Option<UserRoleInput>>>,
}

/// `RemoveUserRolesFromUserInput`.
#[derive(Debug, Deserialize)]
pub(crate) struct RemoveRolesInput {
    user: UserKey,
    roles: Vec<UserRoleInput>,
}

#[derive(Debug, Deserialize)]
struct UserKey {
    id: Option<Id>,
    username: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EntityKey {
    id: Id,
}

#[derive(Debug, Deserialize)]
struct UserRoleInput {
    role: RoleKey,
    contexts: Vec<RoleContext>,
}

#[derive(Debug, Deserialize)]
struct RoleKey {
    name: String,
}

// === impl World ===

impl World {
    /// Makes an account. Its status is the one new accounts get: the input has none.
    pub(crate) fn create_user(&mut self, input: UserInput, behaviour: &Behaviour) -> Result<Arc<User>, Refusal> {
        input.check(behaviour)?;
        let username = input.username.value().cloned().unwrap_or_default();
        if self.user(&username).is_some() {
            return Err(Refusal::new(
                &behaviour.duplicate_code,
                format!("ConstraintViolationException: a user with username `{username}` exists already"),
            ));
        }
        let blank =
            User { username, status: Some(behaviour.created_status.clone()), timezone: None, ..User::default() };
        let mut user = self.changed(blank, input, behaviour)?;
        user.id = self.numbered(Id::default());
        Ok(self.store_user(user))
    }

    /// Changes what is given. Roles and contexts are only ever added.
    pub(crate) fn update_user(&mut self, input: UserInput, behaviour: &Behaviour) -> Result<Arc<User>, Refusal> {
        input.check(behaviour)?;
        let id = input.id.unwrap_or_default();
        let known = self.user_by_id(id).ok_or_else(|| Refusal::not_found("User", "id", &id.to_string()))?;
        let user = self.changed((**known).clone(), input, behaviour)?;
        Ok(self.store_user(user))
    }

    /// Takes contexts, and with the last one the role, off a user. What the user does not hold is passed over.
    pub(crate) fn remove_user_roles(
        &mut self,
        input: RemoveRolesInput,
        behaviour: &Behaviour,
    ) -> Result<Arc<User>, Refusal> {
        let RemoveRolesInput { user: key, roles } = input;
        let mut user = (**self.user_by_key(&key, behaviour)?).clone();
        for UserRoleInput { role, contexts } in roles {
            let whole = contexts.is_empty() && behaviour.remove_without_contexts == RemoveWithoutContexts::WholeRole;
            for held in user.roles.iter_mut().filter(|held| same_role(&held.role, &role.name, behaviour)) {
                held.contexts.retain(|context| !whole && !contexts.contains(context));
            }
        }
        user.roles.retain(|held| behaviour.keep_emptied_roles || !held.contexts.is_empty());
        Ok(self.store_user(user))
    }

    fn user_by_key(&self, key: &UserKey, behaviour: &Behaviour) -> Result<&Arc<User>, Refusal> {
        match (key.id, &key.username) {
            (Some(id), _) => self.user_by_id(id).ok_or_else(|| Refusal::not_found("User", "id", &id.to_string())),
            (None, Some(name)) => self.user(name).ok_or_else(|| Refusal::not_found("User", "username", name)),
            (None, None) => Err(Refusal::new(&behaviour.invalid_input_code, "`user` needs `id` or `username`")),
        }
    }

    /// `user` with everything the input gives.
    fn changed(&self, mut user: User, input: UserInput, behaviour: &Behaviour) -> Result<User, Refusal> {
        let UserInput {
            id: _,
            reference,
            username: _,
            password,
            title,
            first_name,
            last_name,
            primary_email,
            primary_phone,
            kind,
            status,
            api_key: _,
            attributes,
            department,
            country,
            timezone,
            language,
            promotion_opt_in,
            primary_retailer,
            primary_location,
            roles,
        } = input;
        reference.apply_required(&mut user.reference);
        password.apply_required(&mut user.password);
        title.apply(&mut user.title, behaviour);
        first_name.apply(&mut user.first_name, behaviour);
        last_name.apply(&mut user.last_name, behaviour);
        primary_email.apply(&mut user.primary_email, behaviour);
        primary_phone.apply(&mut user.primary_phone, behaviour);
        kind.apply_required(&mut user.kind);
        if let Patch::Set(status) = status {
            user.status = Some(status);
        }
        department.apply(&mut user.department, behaviour);
        country.apply(&mut user.country, behaviour);
        timezone.apply(&mut user.timezone, behaviour);
        language.apply(&mut user.language, behaviour);
        promotion_opt_in.apply(&mut user.promotion_opt_in, behaviour);
        if let Patch::Set(attributes) = attributes {
            upsert_attributes(&mut user.attributes, attributes.into_iter().flatten().collect());
        }
        if let Patch::Set(EntityKey { id }) = &primary_retailer
            && !self.retailers.contains_key(id)
        {
            return Err(Refusal::not_found("Retailer", "id", &id.to_string()));
        }
        if let Patch::Set(EntityKey { id }) = &primary_location
            && !self.locations.contains_key(id)
        {
            return Err(Refusal::not_found("Location", "id", &id.to_string()));
        }
        primary_retailer.map(|key| key.id).apply(&mut user.primary_retailer, behaviour);
        primary_location.map(|key| key.id).apply(&mut user.primary_location, behaviour);
        if let Patch::Set(roles) = roles {
            self.grant(&mut user, roles.into_iter().flatten().collect(), behaviour)?;
        }
        Ok(user)
    }

    /// Adds grants. Roles which are not named stay as they are.
    fn grant(&self, user: &mut User, given: Vec<UserRoleInput>, behaviour: &Behaviour) -> Result<(), Refusal> {
        // Several entries for one role are one wish, also where the new contexts replace the old ones.
        let mut wanted: Vec<UserRole> = Vec::new();
        for UserRoleInput { role, contexts } in given {
            let known = self.roles.keys().find(|known| same_role(known, &role.name, behaviour));
            let name = match self.roles.get_key_value(&role.name) {
                Some((exact, _)) => exact,
                None => known.ok_or_else(|| Refusal::not_found("Role", "name", &role.name))?,
            };
            if contexts.is_empty() {
                let message = format!("role `{name}` needs at least one context");
                return Err(Refusal::new(&behaviour.invalid_input_code, message));
            }
            for context in &contexts {
                self.check_context(context, behaviour)?;
            }
            merge(&mut wanted, name, contexts);
        }
        for UserRole { role, contexts } in wanted {
            if behaviour.contexts == Contexts::Replace {
                user.roles.retain(|held| held.role != role);
            }
            merge(&mut user.roles, &role, contexts);
        }
        Ok(())
    }

    fn check_context(&self, context: &RoleContext, behaviour: &Behaviour) -> Result<(), Refusal> {
        let RoleContext { context_type, context_id } = context;
        check_length("contextType", Some(context_type), LONGEST, behaviour)?;
        if behaviour.unknown_context == UnknownContext::Accept {
            return Ok(());
        }
        let id = context_id.parse::<Id>();
        let known = match (context_type.as_str(), id) {
            ("ACCOUNT", Ok(id)) => id == Id(0),
            ("RETAILER", Ok(id)) => self.retailers.contains_key(&id),
            ("AGENT", Ok(id)) => self.locations.contains_key(&id),
            _ => false,
        };
        if known { Ok(()) } else { Err(Refusal::not_found("Context", context_type, context_id)) }
    }
}

fn same_role(known: &str, given: &str, behaviour: &Behaviour) -> bool {
    known == given || (behaviour.ignore_role_case && known.to_lowercase() == given.to_lowercase())
}

/// Adds contexts to a role in `roles`, and the role if it is not there.
fn merge(roles: &mut Vec<UserRole>, role: &str, contexts: Vec<RoleContext>) {
    let index = roles.iter().position(|held| held.role == role).unwrap_or_else(|| {
        roles.push(UserRole { role: role.to_owned(), contexts: Vec::new() });
        roles.len() - 1
    });
    let held = &mut roles[index].contexts;
    for context in contexts {
        if !held.contains(&context) {
            held.push(context);
        }
    }
}

// === impl UserInput ===

impl UserInput {
    fn check(&self, behaviour: &Behaviour) -> Result<(), Refusal> {
        let limits = [
            ("ref", &self.reference, 100),
            ("username", &self.username, 250),
            ("password", &self.password, 128),
            ("title", &self.title, 50),
            ("firstName", &self.first_name, 50),
            ("lastName", &self.last_name, 50),
            ("primaryEmail", &self.primary_email, 250),
            ("primaryPhone", &self.primary_phone, 20),
            ("type", &self.kind, LONGEST),
            ("status", &self.status, 50),
            ("apiKey", &self.api_key, 128),
            ("department", &self.department, LONGEST),
            ("country", &self.country, 100),
            ("timezone", &self.timezone, 32),
        ];
        for (name, value, limit) in limits {
            check_length(name, value.value(), limit, behaviour)?;
        }
        for (name, value) in [("ref", &self.reference), ("username", &self.username), ("password", &self.password)] {
            check_not_blank(name, value.value(), behaviour)?;
        }
        for attribute in self.attributes.value().into_iter().flatten().flatten() {
            check_length("attributes.name", Some(&attribute.name), LONGEST, behaviour)?;
            check_length("attributes.type", Some(&attribute.kind), LONGEST, behaviour)?;
        }
        if let Some(language) = self.language.value() {
            check_length("language.value", Some(&language.value), LONGEST, behaviour)?;
            check_length("language.label", language.label.as_ref(), LONGEST, behaviour)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
