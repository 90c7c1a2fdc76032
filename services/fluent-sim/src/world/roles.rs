//! What the role mutations do: `createRole`, `updateRole`, `removePermissionsFromRole`.

use std::sync::Arc;

use serde::Deserialize;

use super::input::{LONGEST, check_length, check_not_blank};
use super::{Refusal, World};
use crate::behaviour::Behaviour;
use crate::model::{Id, Role};

/// `CreateRoleInput` and `UpdateRoleInput`.
#[derive(Debug, Deserialize)]
pub(crate) struct RoleInput {
    name: String,
    #[serde(default)]
    permissions: Option<Vec<Option<Key>>>,
}

/// `RemovePermissionsFromRoleInput`.
#[derive(Debug, Deserialize)]
pub(crate) struct RemovePermissionsInput {
    role: Key,
    permissions: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Key {
    name: String,
}

// === impl World ===

impl World {
    pub(crate) fn create_role(&mut self, input: RoleInput, behaviour: &Behaviour) -> Result<Arc<Role>, Refusal> {
        check_not_blank("name", Some(&input.name), behaviour)?;
        check_length("name", Some(&input.name), LONGEST, behaviour)?;
        if self.roles.contains_key(&input.name) {
            let message = format!("ConstraintViolationException: a role with name `{}` exists already", input.name);
            return Err(Refusal::new(&behaviour.duplicate_code, message));
        }
        let id = self.numbered(Id::default());
        let role = Role { id, name: input.name, permissions: Vec::new() };
        Ok(self.add_permissions(role, input.permissions))
    }

    /// Adds permissions; those the role has stay.
    pub(crate) fn update_role(&mut self, input: RoleInput) -> Result<Arc<Role>, Refusal> {
        let role = self.role_named(&input.name)?;
        Ok(self.add_permissions(role, input.permissions))
    }

    pub(crate) fn remove_permissions(&mut self, input: &RemovePermissionsInput) -> Result<(), Refusal> {
        let mut role = self.role_named(&input.role.name)?;
        role.permissions.retain(|held| input.permissions.iter().all(|key| key.name != *held));
        self.store_role(role);
        Ok(())
    }

    fn role_named(&self, name: &str) -> Result<Role, Refusal> {
        self.roles.get(name).map(|role| (**role).clone()).ok_or_else(|| Refusal::not_found("Role", "name", name))
    }

    fn add_permissions(&mut self, mut role: Role, given: Option<Vec<Option<Key>>>) -> Arc<Role> {
        for Key { name } in given.into_iter().flatten().flatten() {
            if !role.permissions.contains(&name) {
                role.permissions.push(name);
            }
        }
        self.store_role(role)
    }
}
