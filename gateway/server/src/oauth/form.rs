//! Reads a token request: a form, and the client's secret in it or in the `Authorization` header (RFC 6749 section 2.3.1).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::token::BearerToken;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::Refused;

/// What is asked for.
#[derive(Debug)]
pub(super) struct TokenRequest {
    pub(super) client: Client,
    /// The scopes wanted; none for all that the client has.
    pub(super) scopes: Vec<String>,
}

/// Who says to ask.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: BearerToken,
}

/// Whether the body is said to be a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Reads the form.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<TokenRequest, Refused> {
    let mut given: [(&str, Option<Cow<'_, str>>); 4] =
        ["grant_type", "scope", "client_id", "client_secret"].map(|name| (name, None));
    for (name, value) in form_urlencoded::parse(body) {
        let Some((_, slot)) = given.iter_mut().find(|(known, _)| *known == name) else { continue };
        // One without a value counts as left out; one given twice is an error (section 3.2).
        if !value.is_empty() && slot.replace(value).is_some() {
            return Err(Refused::InvalidRequest("a parameter is given twice"));
        }
    }
    let [grant_type, scope, id, secret] = given.map(|(_, value)| value);
    let grant_type = grant_type.ok_or(Refused::InvalidRequest("grant_type is missing"))?;
    if grant_type != "client_credentials" {
        return Err(Refused::UnsupportedGrantType);
    }
    let client = client(headers, id.as_deref(), secret.as_deref())?;
    let scopes = scope.as_deref().unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
    Ok(TokenRequest { client, scopes })
}

fn client(headers: &HeaderMap, id: Option<&str>, secret: Option<&str>) -> Result<Client, Refused> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (id, secret) = match (lines.next(), lines.next(), secret) {
        (None, _, Some(secret)) => (id.ok_or(Refused::InvalidClient)?.to_owned(), secret.to_owned()),
        (None, _, None) => return Err(Refused::InvalidClient),
        (Some(line), None, None) => {
            let basic = line.to_str().ok().and_then(basic).ok_or(Refused::InvalidClient)?;
            if id.is_some_and(|id| id != basic.0) {
                return Err(Refused::InvalidRequest("client_id differs from the Authorization header's"));
            }
            basic
        }
        _ => return Err(Refused::InvalidRequest("the client authenticates in more than one way")),
    };
    Ok(Client { id, secret: secret.parse().map_err(|_| Refused::InvalidClient)? })
}

/// Id and secret, each form-encoded, joined by a colon, in Base64.
fn basic(line: &str) -> Option<(String, String)> {
    let (id, secret) = credentials(line)?;
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        form_urlencoded::parse(format!("v={}", text.replace('&', "%26")).as_bytes()).next().map(|(_, v)| v.into_owned())
    };
    Some((decoded(&id)?, decoded(&secret)?))
}

/// User and password of an `Authorization` header of the scheme `Basic` (RFC 7617).
pub(crate) fn credentials(line: &str) -> Option<(String, String)> {
    let (scheme, encoded) = line.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim_start_matches(' ')).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use domain::token::BearerToken;
    use http::{HeaderMap, HeaderValue};

    use super::{Refused, read};

    fn header(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())])
    }

    #[test]
    fn a_client_authenticates_in_the_header_or_in_the_form() {
        let token = BearerToken::generate();
        let (id, secret) = (token.id().to_string(), token.expose());
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=scim+roles:read");
        let read_form = read(&HeaderMap::new(), form.as_bytes()).unwrap();
        assert_eq!((read_form.client.id, read_form.client.secret.expose()), (id.clone(), secret.clone()));
        assert_eq!(read_form.scopes, ["scim", "roles:read"]);
        // Every character may be percent-encoded.
        let basic = format!("bAsIc {}", STANDARD.encode(format!("{id}:{}", secret.replace('_', "%5F"))));
        let read_header = read(&header(&basic), b"grant_type=client_credentials&scope=").unwrap();
        assert_eq!((read_header.client.id, read_header.client.secret.expose()), (id, secret));
        assert!(read_header.scopes.is_empty());
        let both = read(&header(&basic), form.as_bytes());
        assert!(matches!(both, Err(Refused::InvalidRequest(_))));
        let other = read(&header(&basic), b"grant_type=client_credentials&client_id=other");
        assert!(matches!(other, Err(Refused::InvalidRequest(_))));
    }

    #[test]
    fn what_is_missing_twice_or_unknown_has_its_own_error() {
        let refused = |headers: &HeaderMap, body: &str| read(headers, body.as_bytes()).unwrap_err();
        let none = HeaderMap::new();
        assert!(matches!(refused(&none, ""), Refused::InvalidRequest(_)));
        assert!(matches!(refused(&none, "grant_type="), Refused::InvalidRequest(_)));
        assert!(matches!(refused(&none, "grant_type=a&grant_type=a"), Refused::InvalidRequest(_)));
        assert_eq!(refused(&none, "grant_type=password"), Refused::UnsupportedGrantType);
        for body in ["", "&client_id=a", "&client_id=a&client_secret=b", "&client_secret=b"] {
            assert_eq!(refused(&none, &format!("grant_type=client_credentials{body}")), Refused::InvalidClient);
        }
        for line in ["Basic", "Basic !", "Basic YQ==", "Bearer x", "Basic  "] {
            assert_eq!(refused(&header(line), "grant_type=client_credentials"), Refused::InvalidClient, "{line}");
        }
    }
}
