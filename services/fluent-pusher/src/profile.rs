//! From a SCIM user to Fluent's profile fields. What Fluent has no room for is cut where that is harmless (a title), and
//! left out where it would become something else (a telephone number).
//!
//! A field the user does not have is not written: an attribute nobody manages in the IdP may be managed in Fluent.

use serde_json::{Map, Value};

use crate::account::Profile;

/// The extension that holds the department (RFC 7643 section 4.3).
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

const MAX_NAME: usize = 50;
const MAX_EMAIL: usize = 250;
const MAX_PHONE: usize = 20;
const MAX_DEPARTMENT: usize = 255;
const MAX_COUNTRY: usize = 100;
const MAX_TIMEZONE: usize = 32;
/// A BCP 47 tag has no limit, but no tag in use is longer.
const MAX_LANGUAGE: usize = 35;

/// The profile in a SCIM user's document. A document that is none has none.
#[must_use]
pub fn profile(document: &[u8]) -> Profile {
    let Ok(Value::Object(user)) = serde_json::from_slice(document) else { return Profile::default() };
    let name = user.get("name").and_then(Value::as_object);
    let name = |part| name.and_then(|name| text(name, part));
    let enterprise = user.get(ENTERPRISE).and_then(Value::as_object);
    Profile {
        title: text(&user, "title").map(|title| cut(title, MAX_NAME)),
        first_name: name("givenName").map(|name| cut(name, MAX_NAME)),
        last_name: name("familyName").map(|name| cut(name, MAX_NAME)),
        primary_email: best(&user, "emails", "value").filter(|email| fits(email, MAX_EMAIL)).map(str::to_owned),
        primary_phone: best(&user, "phoneNumbers", "value").and_then(phone),
        department: enterprise.and_then(|more| text(more, "department")).map(|name| cut(name, MAX_DEPARTMENT)),
        country: best(&user, "addresses", "country").map(|country| cut(country, MAX_COUNTRY)),
        timezone: text(&user, "timezone").filter(|zone| fits(zone, MAX_TIMEZONE)).map(str::to_owned),
        language: text(&user, "preferredLanguage").and_then(language),
    }
}

/// What to call someone who has no given name, where Fluent wants one.
#[must_use]
pub fn some_first_name(document: &[u8], user_name: &str) -> String {
    let user: Option<Map<String, Value>> = serde_json::from_slice(document).ok();
    let shown = user.as_ref().and_then(|user| text(user, "displayName").or_else(|| text(user, "nickName")));
    cut(shown.unwrap_or(user_name), MAX_NAME)
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// The value of a multi-valued attribute that stands for the person at work: the primary one, else the first of type
/// `work`, else the first.
fn best<'a>(user: &'a Map<String, Value>, attribute: &str, field: &str) -> Option<&'a str> {
    let values = user.get(attribute)?.as_array()?;
    let rank = |value: &Map<String, Value>| {
        let primary = value.get("primary").and_then(Value::as_bool).unwrap_or(false);
        let work = text(value, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
        (!primary, !work)
    };
    let with_field =
        values.iter().filter_map(Value::as_object).filter_map(|value| Some((rank(value), text(value, field)?)));
    with_field.min_by_key(|(rank, _)| *rank).map(|(_, text)| text)
}

/// Without the scheme that RFC 3966 puts before it. A number that is cut is another number.
fn phone(text: &str) -> Option<String> {
    let number = text.strip_prefix("tel:").unwrap_or(text).split(';').next().unwrap_or_default().trim();
    (!number.is_empty() && fits(number, MAX_PHONE)).then(|| number.to_owned())
}

/// The first tag of what may be a whole `Accept-Language` value (RFC 7643 section 4.1.1).
fn language(text: &str) -> Option<String> {
    let tag = text.split([',', ';']).next().unwrap_or_default().trim();
    let sound =
        !tag.is_empty() && tag.len() <= MAX_LANGUAGE && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    sound.then(|| tag.to_owned())
}

fn fits(text: &str, max: usize) -> bool {
    text.chars().count() <= max
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_comes_from_its_attribute() {
        let user = json!({
            "userName": "ada@acme.example", "title": "Associate", "name": {"givenName": "Ada", "familyName": "L"},
            "emails": [{"value": "home@x.example", "type": "home"}, {"value": "work@x.example", "type": "work"}],
            "phoneNumbers": [{"value": "tel:+1-201-555-0123;ext=1"}],
            "addresses": [{"type": "home", "country": "AU"}, {"primary": true, "country": "US"}],
            "timezone": "America/Chicago", "preferredLanguage": "en-US,en;q=0.8",
            ENTERPRISE: {"department": "Logistics"},
        });
        let text = |text: &str| Some(text.to_owned());
        let expected = Profile {
            title: text("Associate"),
            first_name: text("Ada"),
            last_name: text("L"),
            primary_email: text("work@x.example"),
            primary_phone: text("+1-201-555-0123"),
            department: text("Logistics"),
            country: text("US"),
            timezone: text("America/Chicago"),
            language: text("en-US"),
        };
        assert!(profile(user.to_string().as_bytes()) == expected);
    }

    #[test]
    fn what_does_not_fit_is_cut_or_left_out() {
        let long = "é".repeat(60);
        let user = json!({"title": long, "phoneNumbers": [{"value": "1".repeat(21)}], "timezone": "x".repeat(33),
            "emails": [{"value": "a".repeat(251)}], "preferredLanguage": "en_US"});
        let profile = profile(user.to_string().as_bytes());
        assert_eq!(profile.title.map(|title| title.chars().count()), Some(50));
        assert!(profile.primary_phone.is_none() && profile.timezone.is_none());
        assert!(profile.primary_email.is_none() && profile.language.is_none());
    }

    #[test]
    fn odd_documents_have_no_profile() {
        for odd in [&b"null"[..], b"[]", b"", b"{\"emails\":{},\"name\":7,\"title\":\" \",\"addresses\":[7,null]}"] {
            assert!(profile(odd).is_empty());
        }
    }
}
