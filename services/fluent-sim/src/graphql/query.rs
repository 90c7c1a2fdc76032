//! The fields of `Query`.

use apollo_compiler::response::JsonMap;

use super::objects::{Out, Scope, Thing};
use super::page::{Page, page};
use super::search::Search;
use crate::behaviour::MissingUser;
use crate::model::Id;
use crate::world::Refusal;

pub(super) fn resolve(scope: &Scope<'_>, name: &str, arguments: &JsonMap) -> Result<Out, Refusal> {
    let world = scope.world.borrow();
    let behaviour = scope.behaviour;
    let argument = |name: &str| arguments.get(name).and_then(|value| value.as_str());
    match name {
        "me" => Ok(Out::One(Some(Thing::User(scope.caller.clone())))),
        "user" | "userById" => {
            scope.require("USER_VIEW")?;
            let (user, key, value) = match (id(arguments), argument("username")) {
                (Some((id, text)), _) => (id.and_then(|id| world.user_by_id(id)), "id", text),
                (None, Some(name)) => (world.user(name), "username", name.to_owned()),
                (None, None) => return Err(key_missing(scope, "`user` needs `id` or `username`")),
            };
            match (user.cloned(), behaviour.missing_user) {
                (Some(user), _) => {
                    drop(world);
                    Ok(Out::One(Some(scope.shown(user))))
                }
                (None, MissingUser::Null) => Ok(Out::One(None)),
                (None, MissingUser::Error) => Err(Refusal::not_found("User", key, &value)),
            }
        }
        "users" => {
            scope.require("USER_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("User", world.users(), arguments, behaviour, |_, user| {
                found(&search, Thing::User(user.clone()))
            }))
        }
        "role" => {
            scope.require("ROLE_VIEW")?;
            Ok(Out::One(argument("name").and_then(|name| world.roles().get(name)).cloned().map(Thing::Role)))
        }
        "roles" => {
            scope.require("ROLE_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("Role", world.roles(), arguments, behaviour, |_, role| {
                found(&search, Thing::Role(role.clone()))
            }))
        }
        "permission" => {
            scope.require("PERMISSION_VIEW")?;
            let known = argument("name").filter(|name| world.permissions().contains_key(*name));
            Ok(Out::One(known.map(|name| Thing::Permission(name.to_owned()))))
        }
        "permissions" => {
            scope.require("PERMISSION_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("Permission", &world.permissions(), arguments, behaviour, |_, name| {
                found(&search, Thing::Permission(name.clone()))
            }))
        }
        "setting" => {
            scope.require("SETTING_VIEW")?;
            Ok(Out::One(entity(arguments).and_then(|id| world.settings().get(&id)).cloned().map(Thing::Setting)))
        }
        "settings" => {
            scope.require("SETTING_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("Setting", world.settings(), arguments, behaviour, |_, setting| {
                found(&search, Thing::Setting(setting.clone()))
            }))
        }
        "retailerById" => {
            scope.require("RETAILER_VIEW")?;
            Ok(Out::One(entity(arguments).and_then(|id| world.retailers().get(&id)).cloned().map(Thing::Retailer)))
        }
        "retailers" => {
            scope.require("RETAILER_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("Retailer", world.retailers(), arguments, behaviour, |_, retailer| {
                found(&search, Thing::Retailer(retailer.clone()))
            }))
        }
        "location" | "locationById" => {
            scope.require("LOCATION_VIEW")?;
            let location = match (id(arguments), argument("ref")) {
                (Some((id, _)), _) => id.and_then(|id| world.locations().get(&id)),
                (None, Some(reference)) => {
                    world.locations().values().find(|location| location.reference.as_deref() == Some(reference))
                }
                (None, None) => return Err(key_missing(scope, "`location` needs `id` or `ref`")),
            };
            Ok(Out::One(location.cloned().map(Thing::Location)))
        }
        "locations" => {
            scope.require("LOCATION_VIEW")?;
            let search = Search::new(arguments, behaviour)?;
            connection(page("Location", world.locations(), arguments, behaviour, |_, location| {
                found(&search, Thing::Location(location.clone()))
            }))
        }
        _ => Ok(Out::Unknown),
    }
}

/// The argument `id` as it came, and as a number if it is one. Ids may be given as strings or numbers.
fn id(arguments: &JsonMap) -> Option<(Option<Id>, String)> {
    let value = arguments.get("id").filter(|value| !value.is_null())?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Some((text.parse().ok(), text))
}

fn entity(arguments: &JsonMap) -> Option<Id> {
    id(arguments)?.0
}

fn key_missing(scope: &Scope<'_>, message: &str) -> Refusal {
    Refusal::new(&scope.behaviour.invalid_input_code, message)
}

fn found(search: &Search, thing: Thing) -> Option<Thing> {
    search.finds(|name| thing.leaf(name)).then_some(thing)
}

fn connection(page: Result<Page, Refusal>) -> Result<Out, Refusal> {
    Ok(Out::One(Some(Thing::Page(page?.into()))))
}
