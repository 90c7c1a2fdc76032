//! The switches: everything about Fluent that its documentation leaves open, each with the likeliest default.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the simulated Fluent behaves. Each field is one open question about the real one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of the control endpoint")]
pub struct Behaviour {
    /// Whether token answers carry a single-use `refresh_token`.
    pub refresh_tokens: bool,
    /// Whether `grant_type=client_credentials` is served.
    pub client_credentials: bool,
    /// The status of `invalid_grant` and `invalid_client` answers: 400 or 401.
    pub invalid_grant_status: u16,
    /// Lifetime of access tokens, in seconds.
    pub token_seconds: u64,
    /// Lifetime of refresh tokens, in seconds.
    pub refresh_token_seconds: u64,
    /// Whether `_` in a search argument stands for any one character.
    pub underscore_wildcard: bool,
    /// What `updateUser` does with the contexts of a role the user already holds.
    pub contexts: Contexts,
    /// What happens to a context id which names no retailer or location.
    pub unknown_context: UnknownContext,
    /// Whether role names in inputs are compared without regard to case.
    pub ignore_role_case: bool,
    /// What `removeUserRolesFromUser` does with a role named without any context.
    pub remove_without_contexts: RemoveWithoutContexts,
    /// Whether a role stays on the user, empty, after its last context was removed.
    pub keep_emptied_roles: bool,
    /// The `status` which the two remove mutations answer.
    pub removal_status: String,
    /// The code of the error for a user name that is taken.
    pub duplicate_code: String,
    /// The code of the error for a value that is too long, blank or malformed.
    pub invalid_input_code: String,
    /// Whether the caller's permissions are checked.
    pub check_permissions: bool,
    /// The status of a user right after `createUser`.
    pub created_status: String,
    /// What `user` and `userById` answer for a user that is not there.
    pub missing_user: MissingUser,
    /// Whether an explicit `null` in `updateUser` clears the field, or counts as not given.
    pub null_clears: bool,
    /// Where errors carry their code.
    pub error_code: ErrorCode,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// The highest complexity a document may have.
    pub complexity_limit: u64,
    /// Names, refs or ids of what every list leaves out, though it is there and its own query finds it.
    pub unlisted: Vec<String>,
}

/// What an update does with the contexts of a role the user already holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contexts {
    /// The new ones join those held.
    Merge,
    /// The new ones take the place of those held.
    Replace,
}

/// What happens to a context id which names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownContext {
    /// It is stored as it came.
    Accept,
    /// The mutation fails with `C0120E`.
    Refuse,
}

/// What a removal does with a role named without contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoveWithoutContexts {
    /// Nothing: contexts have to be named.
    Nothing,
    /// The whole role goes.
    WholeRole,
}

/// How a Get query answers for a user that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingUser {
    /// With `null`.
    Null,
    /// With error `C0120E`.
    Error,
}

/// Where an error carries its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// In `extensions.code`.
    Extensions,
    /// Only at the start of `message`.
    Message,
}

// === impl Behaviour ===

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            refresh_tokens: false,
            client_credentials: false,
            invalid_grant_status: 400,
            token_seconds: 86_400,
            refresh_token_seconds: 30 * 86_400,
            underscore_wildcard: false,
            contexts: Contexts::Merge,
            unknown_context: UnknownContext::Accept,
            ignore_role_case: false,
            remove_without_contexts: RemoveWithoutContexts::Nothing,
            keep_emptied_roles: false,
            removal_status: "SUCCESS".to_owned(),
            duplicate_code: "C0110E".to_owned(),
            invalid_input_code: "C0111E".to_owned(),
            check_permissions: true,
            created_status: "ACTIVE".to_owned(),
            missing_user: MissingUser::Null,
            null_clears: true,
            error_code: ErrorCode::Extensions,
            introspection: true,
            complexity_limit: 11_111,
            unlisted: Vec::new(),
        }
    }
}

impl Behaviour {
    /// These switches with the ones named in `changes`, a JSON object, set anew.
    ///
    /// # Errors
    /// What is wrong with `changes`: not an object, an unknown switch, or a value of another type.
    pub fn with(&self, changes: Value) -> Result<Self, serde_json::Error> {
        let changes: serde_json::Map<String, Value> = serde_json::from_value(changes)?;
        let mut switches: serde_json::Map<String, Value> = serde_json::from_value(serde_json::to_value(self)?)?;
        switches.extend(changes);
        serde_json::from_value(Value::Object(switches))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partial_change_keeps_the_other_switches() {
        let changed = Behaviour::default().with(json!({"contexts": "replace", "token_seconds": 5})).unwrap();
        let wanted = Behaviour { contexts: Contexts::Replace, token_seconds: 5, ..Behaviour::default() };
        assert_eq!(changed, wanted);
    }

    #[test]
    fn an_unknown_switch_is_named_in_the_error() {
        let error = Behaviour::default().with(json!({"contxts": "replace"})).unwrap_err();
        assert!(error.to_string().contains("contxts"), "{error}");
    }
}
