//! Fluent's answers as JSON, read as what they are: the words of a machine we do not control. What is missing or of
//! another shape is an error of the answer, never a reading of it; only what the schema lets be null may be null.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::error::{Cause, Code, Error, Refusal};
use crate::account::{Account, Context, Profile, Roles, Status};

/// The longest id, role name, context type or user name that is believed.
const MAX_TEXT: usize = 1024;
const MAX_MESSAGE: usize = 500;

/// The value of `field` in the `data` of an answer, or what the answer says went wrong. `Ok(None)` is a null without an
/// error.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], field: &str, writes: bool) -> Result<Option<T>, Error> {
    let lost = |cause| if writes { Error::Unknown { cause } } else { Error::Retry { after: None, cause } };
    let malformed = || lost(Cause::Malformed);
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else { return Err(malformed()) };
    let data = answer.remove("data").unwrap_or(Value::Null);
    match answer.remove("errors") {
        None | Some(Value::Null) => {}
        Some(Value::Array(errors)) if errors.is_empty() => {}
        Some(Value::Array(errors)) => {
            let answered = data.as_object().is_some_and(|data| data.values().any(|value| !value.is_null()));
            let refusal = refusal(&errors);
            return Err(match refusal.code {
                _ if answered => lost(Cause::Partial),
                Some(code) if !code.may_pass() => Error::Permanent(refusal),
                None if is_validation(&errors) => Error::Permanent(refusal),
                _ => lost(Cause::Server(refusal)),
            });
        }
        Some(_) => return Err(malformed()),
    }
    let Value::Object(mut data) = data else { return Err(malformed()) };
    match data.remove(field) {
        None => Err(malformed()),
        Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value).map(Some).map_err(|_| malformed()),
    }
}

/// The refusal in the body of an HTTP error, if it is a GraphQL answer.
pub(crate) fn refusal_in(body: &[u8]) -> Option<Refusal> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
    answer.get("errors")?.as_array().filter(|errors| !errors.is_empty()).map(|errors| refusal(errors))
}

/// The first error that has a code, else the first.
fn refusal(errors: &[Value]) -> Refusal {
    let with_codes = errors.iter().map(|error| (code(error), error));
    let (code, error) = with_codes.clone().find(|(code, _)| code.is_some()).unwrap_or((None, &errors[0]));
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let message = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_MESSAGE).collect();
    Refusal { code, message }
}

/// Where Fluent puts the code is not documented: `extensions.code`, `code`, or somewhere in the message.
fn code(error: &Value) -> Option<Code> {
    let stated = |value: Option<&Value>| value.and_then(Value::as_str).and_then(Code::exact);
    stated(error.get("extensions").and_then(|extensions| extensions.get("code")))
        .or_else(|| stated(error.get("code")))
        .or_else(|| error.get("message").and_then(Value::as_str).and_then(Code::find))
}

/// Whether the document or its variables were refused before anything ran (the graphql-java classifications).
fn is_validation(errors: &[Value]) -> bool {
    let classification = |error: &Value| {
        let place = error.get("extensions").and_then(|extensions| extensions.get("classification"));
        matches!(place.and_then(Value::as_str), Some("ValidationError" | "InvalidSyntax"))
    };
    errors.iter().any(classification)
}

/// A text that may be written as a number: GraphQL's `ID`.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() && text.len() <= MAX_TEXT => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(D::Error::custom("not an id")),
    }
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() || text.len() > MAX_TEXT { Err(D::Error::custom("not a name")) } else { Ok(text) }
}

/// A field of the profile: of another shape, it counts as absent. It decides nothing.
fn profile_text(account: &Map<String, Value>, field: &str) -> Option<String> {
    account.get(field).and_then(Value::as_str).map(str::to_owned)
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Access {
            #[serde(deserialize_with = "id")]
            id: String,
            #[serde(deserialize_with = "name")]
            username: String,
            #[serde(rename = "type", default)]
            kind: Option<String>,
            status: Option<String>,
            roles: Option<Vec<Role>>,
        }
        #[derive(serde::Deserialize)]
        struct Role {
            role: Name,
            contexts: Vec<InContext>,
        }
        #[derive(serde::Deserialize)]
        struct Name {
            #[serde(deserialize_with = "name")]
            name: String,
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct InContext {
            #[serde(deserialize_with = "name")]
            context_type: String,
            #[serde(deserialize_with = "id")]
            context_id: String,
        }

        let fields = Map::deserialize(deserializer)?;
        let profile = Profile {
            title: profile_text(&fields, "title"),
            first_name: profile_text(&fields, "firstName"),
            last_name: profile_text(&fields, "lastName"),
            primary_email: profile_text(&fields, "primaryEmail"),
            primary_phone: profile_text(&fields, "primaryPhone"),
            department: profile_text(&fields, "department"),
            country: profile_text(&fields, "country"),
            timezone: profile_text(&fields, "timezone"),
            language: fields.get("language").and_then(Value::as_object).and_then(|value| profile_text(value, "value")),
        };
        let Access { id, username, kind, status, roles } = Access::deserialize(fields).map_err(D::Error::custom)?;
        let mut held = Roles::default();
        for Role { role, contexts } in roles.unwrap_or_default() {
            for InContext { context_type, context_id } in contexts {
                held.insert(&role.name, Context { kind: context_type, id: context_id });
            }
        }
        let status = Status::from(status.as_deref().unwrap_or_default());
        Ok(Self { id, username, kind: kind.unwrap_or_default(), status, profile, roles: held })
    }
}

/// One page of a connection. Fluent's `pageInfo` has no cursor: the last edge's is the way on.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    pub(crate) edges: Vec<Edge<T>>,
    pub(crate) page_info: PageInfo,
}

#[derive(Debug, serde::Deserialize)]
pub(crate) struct Edge<T> {
    pub(crate) node: T,
    pub(crate) cursor: String,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInfo {
    pub(crate) has_next_page: bool,
}

/// A role of the catalogue.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct RoleName {
    #[serde(deserialize_with = "name")]
    pub(crate) name: String,
}

/// A retailer or location of the catalogue.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct PlaceNode {
    #[serde(deserialize_with = "id")]
    pub(crate) id: String,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
}

/// A setting. Its value may be in either of two places.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingNode {
    #[serde(deserialize_with = "id")]
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) lob_value: Option<Value>,
    pub(crate) context: String,
    pub(crate) context_id: i64,
}

/// A mutation's answer of which nothing is of use.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Done {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn user(body: &Value, writes: bool) -> Result<Option<Account>, Error> {
        read(body.to_string().as_bytes(), "user", writes)
    }

    fn ada() -> Value {
        json!({"id": 7, "username": "ada", "status": "ACTIVE", "type": "ADMIN", "title": ["odd"], "roles": [
            {"role": {"name": "STORE"}, "contexts": [{"contextType": "AGENT", "contextId": 33}]},
            {"role": {"name": "EMPTY"}, "contexts": []},
        ]})
    }

    #[test]
    fn an_account_is_read_with_ids_as_numbers_and_odd_profile_fields_as_absent() {
        let account = user(&json!({"data": {"user": ada()}}), false).unwrap().unwrap();
        assert_eq!((account.id.as_str(), account.profile.title, account.roles.len()), ("7", None, 1));
        assert!(account.roles.contains("STORE", &Context { kind: "AGENT".into(), id: "33".into() }));
    }

    #[test]
    fn null_is_absence_only_where_the_answer_says_null() {
        assert_eq!(user(&json!({"data": {"user": null}}), false), Ok(None));
        for body in [json!({}), json!({"data": {}}), json!({"data": null}), json!([]), json!({"data": {"user": 1}})] {
            assert_eq!(user(&body, false), Err(Error::Retry { after: None, cause: Cause::Malformed }), "{body}");
        }
    }

    #[test]
    fn a_role_that_cannot_be_read_spoils_the_answer() {
        for roles in
            [json!([null]), json!([{"role": null, "contexts": []}]), json!([{"role": {"name": "A"}}]), json!("A")]
        {
            let mut odd = ada();
            odd["roles"] = roles;
            assert!(user(&json!({"data": {"user": odd}}), false).is_err());
        }
    }

    #[test]
    fn the_code_is_found_in_each_of_its_places() {
        for error in [
            json!({"message": "x", "extensions": {"code": "C0120E"}}),
            json!({"message": "x", "code": "C0120E"}),
            json!({"message": "C0120E: not there"}),
        ] {
            let body = json!({"data": null, "errors": [{"message": "first"}, error]});
            let Err(Error::Permanent(refusal)) = user(&body, true) else { panic!("{body}") };
            assert_eq!(refusal.code, Some(Code::NOT_FOUND));
        }
    }

    #[test]
    fn errors_beside_data_leave_a_doubt() {
        let body = json!({"data": {"user": ada()}, "errors": [{"message": "C0120E"}]});
        assert_eq!(user(&body, true), Err(Error::Unknown { cause: Cause::Partial }));
    }

    #[test]
    fn an_error_of_the_server_may_pass_and_after_a_write_leaves_a_doubt() {
        let body = json!({"errors": [{"message": "S0001E"}]});
        assert!(matches!(user(&body, false), Err(Error::Retry { cause: Cause::Server(_), .. })));
        assert!(matches!(user(&body, true), Err(Error::Unknown { cause: Cause::Server(_) })));
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(body in ".*", field in "[a-z]*") {
            drop(read::<Account>(body.as_bytes(), &field, true));
        }
    }
}
