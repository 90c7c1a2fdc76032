//! The fields of `Mutation`.

use apollo_compiler::response::serde_json_bytes::from_value;
use apollo_compiler::response::{JsonMap, JsonValue};
use serde::de::DeserializeOwned;

use super::objects::{Out, Scope, Thing};
use crate::world::Refusal;

/// Carries one mutation out, unless an earlier one of the same request was refused: they succeed or fail together.
pub(super) fn resolve(scope: &Scope<'_>, name: &str, arguments: &JsonMap) -> Result<Out, Refusal> {
    if scope.failed.get() {
        return Ok(Out::One(None));
    }
    let out = carry_out(scope, name, arguments);
    scope.failed.set(out.is_err());
    out
}

fn carry_out(scope: &Scope<'_>, name: &str, arguments: &JsonMap) -> Result<Out, Refusal> {
    let behaviour = scope.behaviour;
    let one = |thing| Ok(Out::One(Some(thing)));
    match name {
        "createUser" => {
            scope.require("USER_CREATE")?;
            let user = scope.world.borrow_mut().create_user(input(scope, arguments)?, behaviour)?;
            one(scope.shown(user))
        }
        "updateUser" => {
            scope.require("USER_UPDATE")?;
            let user = scope.world.borrow_mut().update_user(input(scope, arguments)?, behaviour)?;
            one(scope.shown(user))
        }
        "removeUserRolesFromUser" => {
            scope.require("USER_UPDATE")?;
            scope.world.borrow_mut().remove_user_roles(input(scope, arguments)?, behaviour)?;
            one(Thing::Removal("RemoveUserRolesFromUserOutput", behaviour.removal_status.clone()))
        }
        "createRole" => {
            scope.require("ROLE_CREATE")?;
            one(Thing::Role(scope.world.borrow_mut().create_role(input(scope, arguments)?, behaviour)?))
        }
        "updateRole" => {
            scope.require("ROLE_UPDATE")?;
            one(Thing::Role(scope.world.borrow_mut().update_role(input(scope, arguments)?)?))
        }
        "removePermissionsFromRole" => {
            scope.require("ROLEPERMISSION_UPDATE")?;
            scope.world.borrow_mut().remove_permissions(&input(scope, arguments)?)?;
            one(Thing::Removal("RemovePermissionsFromRoleOutput", behaviour.removal_status.clone()))
        }
        "createSetting" => {
            scope.require("SETTING_CREATE")?;
            one(Thing::Setting(scope.world.borrow_mut().create_setting(input(scope, arguments)?, behaviour)?))
        }
        "updateSetting" => {
            scope.require("SETTING_UPDATE")?;
            one(Thing::Setting(scope.world.borrow_mut().update_setting(input(scope, arguments)?, behaviour)?))
        }
        _ => Ok(Out::Unknown),
    }
}

/// The argument `input`, whose form the schema has already checked but for ids that are not numbers.
fn input<T: DeserializeOwned>(scope: &Scope<'_>, arguments: &JsonMap) -> Result<T, Refusal> {
    let invalid = |message: String| Refusal::new(&scope.behaviour.invalid_input_code, message);
    match arguments.get("input") {
        None | Some(JsonValue::Null) => Err(invalid("`input` is required".to_owned())),
        Some(value) => from_value(value.clone()).map_err(|error| invalid(format!("`input`: {error}"))),
    }
}
