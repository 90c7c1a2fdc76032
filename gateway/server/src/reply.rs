//! What an answer about one resource shows of it: what the client asked for (RFC 7644 section 3.9), or as little as it
//! prefers (RFC 7240 section 4.2).

use axum::response::Response;
use http::StatusCode;
use scim::project::Projection;
use scim::schema::ResourceType;

use crate::call::Call;
use crate::query::Query;
use crate::respond::{self, Headers as _};
use crate::scim_error::Refusal;

/// What an answer shows.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The resource: of it what is named, or what is returned by default.
    Body {
        /// What is wanted; `None` for the default.
        projection: Option<Projection>,
        /// Whether the client named attributes it wants, so that an answer without a body would not do.
        named: bool,
    },
    /// What every answer about a resource holds, since the client prefers it short. A new resource needs that much: the
    /// client does not know its id yet.
    Least(Projection),
    /// Headers alone, since the client prefers it short.
    Headers,
    /// Headers alone: nobody reads more.
    Part,
}

impl Reply {
    /// What the answer to a read shows.
    pub(crate) fn to_read(query: &Query, kind: &'static ResourceType) -> Self {
        Self::Body { projection: query.projection(kind), named: query.names_attributes() }
    }

    /// What the answer to a POST shows. Refused with 400 if the query makes no sense.
    pub(crate) fn to_create(call: &Call, kind: &'static ResourceType) -> Result<Self, Refusal> {
        let least = Self::Least(Projection::parse(kind, Some("id"), None));
        Ok(Self::to_read(&Query::parse(call.query())?, kind).or_if_preferred(call, least))
    }

    /// What the answer to a PUT or PATCH shows. Refused with 400 if the query makes no sense.
    pub(crate) fn to_change(call: &Call, kind: &'static ResourceType) -> Result<Self, Refusal> {
        Ok(Self::to_read(&Query::parse(call.query())?, kind).or_if_preferred(call, Self::Headers))
    }

    /// A client that names attributes wants them more than a short answer.
    fn or_if_preferred(self, call: &Call, short: Self) -> Self {
        if call.is_part {
            return Self::Part;
        }
        let preferred = || call.prefer().is_some_and(|header| prefers_minimal(&header));
        if !self.names_attributes() && preferred() { short } else { self }
    }

    /// Whether the client named attributes it wants.
    pub(crate) fn names_attributes(&self) -> bool {
        matches!(self, Self::Body { named: true, .. })
    }

    /// Whether anything of the attribute is shown, so that it must be read.
    pub(crate) fn wants(&self, attribute: &str) -> bool {
        self.has_body() && self.projection().is_none_or(|projection| projection.wants(attribute))
    }

    /// Whether there is a body at all.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self, Self::Headers | Self::Part)
    }

    /// What the body shows; `None` for what is returned by default.
    pub(crate) fn projection(&self) -> Option<&Projection> {
        match self {
            Self::Body { projection, .. } => projection.as_ref(),
            Self::Least(projection) => Some(projection),
            Self::Headers | Self::Part => None,
        }
    }

    /// The answer, with its body if it has one.
    pub(crate) fn response(&self, status: StatusCode, body: Option<String>) -> Response {
        let response = match (body, self) {
            (Some(body), _) => respond::json(status, body),
            (None, Self::Part) => respond::empty(status),
            (None, _) => respond::empty(StatusCode::NO_CONTENT),
        };
        match self {
            Self::Body { .. } | Self::Part => response,
            Self::Least(_) | Self::Headers => response.minimal(),
        }
    }
}

/// Whether a `Prefer` header, its lines joined, asks for a short answer. Of a preference given twice the first counts
/// (RFC 7240 section 2).
fn prefers_minimal(header: &str) -> bool {
    let preferences = header.split(',').filter_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=')?;
        name.trim().eq_ignore_ascii_case("return").then(|| value.trim().trim_matches('"').trim())
    });
    preferences.into_iter().next().is_some_and(|value| value.eq_ignore_ascii_case("minimal"))
}

#[cfg(test)]
mod tests {
    use super::prefers_minimal;

    #[test]
    fn a_preference_is_found_among_others_and_the_first_counts() {
        for header in
            ["return=minimal", "respond-async, Return = \"minimal\"; foo=bar, wait=1", "return=minimal, return=x"]
        {
            assert!(prefers_minimal(header), "{header}");
        }
        for header in ["", "return", "minimal", "return=representation, return=minimal", "x=return=minimal", ";,="] {
            assert!(!prefers_minimal(header), "{header}");
        }
    }
}
