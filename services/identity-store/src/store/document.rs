//! What the store needs to know of a SCIM document. The document is the truth; the columns beside it are read out of it
//! here, once, when it is stored.

use std::borrow::Cow;
use std::collections::BTreeSet;

use domain::fold::fold;
use domain::label::Label;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The extension that gives groups labels.
const FLUENT_GROUP: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group";

/// The largest document, in bytes.
const LARGEST: usize = 1 << 20;
/// The longest name or id, in characters: what an index can hold, many times over what is real.
const LONGEST: usize = 500;
/// The longest that one may be when folded, in bytes: there are letters that fold to several.
const LONGEST_FOLDED: usize = 2_000;
/// The most labels and e-mail addresses one resource may have.
const MOST: usize = 5_000;

/// A user's document, read.
#[derive(Clone, Debug)]
pub(super) struct UserDocument {
    /// As it is stored.
    pub(super) bytes: Vec<u8>,
    /// Its attributes.
    pub(super) attributes: Map<String, Value>,
    pub(super) user_name: String,
    pub(super) external_id: Option<String>,
    pub(super) active: bool,
    /// Every address, folded.
    pub(super) emails: BTreeSet<String>,
    /// The direct labels.
    pub(super) labels: BTreeSet<Label>,
}

/// A group's document, read.
#[derive(Clone, Debug)]
pub(super) struct GroupDocument {
    /// As it is stored.
    pub(super) bytes: Vec<u8>,
    /// Its attributes.
    pub(super) attributes: Map<String, Value>,
    pub(super) display_name: String,
    pub(super) external_id: Option<String>,
    /// The labels of its members.
    pub(super) labels: BTreeSet<Label>,
}

impl UserDocument {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, Failure> {
        let attributes = parse(&bytes)?;
        let emails = values(attributes.get("emails"), "emails")?.map(email).collect();
        let labels = labels(values(attributes.get("roles"), "roles")?);
        Ok(Self {
            user_name: required(&attributes, "userName")?,
            external_id: external_id(&attributes)?,
            active: match attributes.get("active") {
                // What is not said to be true grants nothing.
                None => false,
                Some(Value::Bool(active)) => *active,
                Some(_) => return Err(invalid("active", "true or false")),
            },
            emails,
            labels,
            attributes,
            bytes,
        })
    }

    pub(super) fn folded_name(&self) -> String {
        fold(&self.user_name)
    }

    /// Keeps the name of the document before it.
    pub(super) fn keep_name(&mut self, old: &Self) -> Result<(), Failure> {
        self.user_name.clone_from(&old.user_name);
        self.bytes = renamed(&mut self.attributes, "userName", &old.user_name)?;
        Ok(())
    }
}

impl GroupDocument {
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, Failure> {
        let attributes = parse(&bytes)?;
        let extension = attributes.get(FLUENT_GROUP).and_then(|extension| extension.get("roles"));
        let texts = values(attributes.get("roles"), "roles")?.chain(values(extension, "roles")?);
        let labels = labels(texts);
        Ok(Self {
            display_name: required(&attributes, "displayName")?,
            external_id: external_id(&attributes)?,
            labels,
            attributes,
            bytes,
        })
    }

    pub(super) fn folded_name(&self) -> String {
        fold(&self.display_name)
    }

    /// Keeps the name of the document before it.
    pub(super) fn keep_name(&mut self, old: &Self) -> Result<(), Failure> {
        self.display_name.clone_from(&old.display_name);
        self.bytes = renamed(&mut self.attributes, "displayName", &old.display_name)?;
        Ok(())
    }
}

/// The names of the attributes in which two documents differ.
pub(super) fn changed<'a>(old: &'a Map<String, Value>, new: &'a Map<String, Value>) -> BTreeSet<&'a str> {
    old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect()
}

/// The bytes of a document with another name.
fn renamed(attributes: &mut Map<String, Value>, attribute: &str, name: &str) -> Result<Vec<u8>, Failure> {
    attributes.insert(attribute.to_owned(), name.into());
    serde_json::to_vec(attributes).map_err(|_| Failure::Internal)
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    if bytes.len() > LARGEST {
        return Err(too_large());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(attributes)) => Ok(attributes),
        _ => Err(invalid("document", "a JSON object")),
    }
}

fn required(attributes: &Map<String, Value>, name: &'static str) -> Result<String, Failure> {
    match attributes.get(name) {
        Some(Value::String(text)) if !text.is_empty() => sound(text, name),
        _ => Err(invalid(name, "a text that is not empty")),
    }
}

fn external_id(attributes: &Map<String, Value>) -> Result<Option<String>, Failure> {
    match attributes.get("externalId") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => sound(text, "externalId").map(Some),
        Some(_) => Err(invalid("externalId", "a text")),
    }
}

/// The texts of a multi-valued attribute: each element's `value`, or the element itself where it is a text.
fn values<'a>(attribute: Option<&'a Value>, name: &'static str) -> Result<impl Iterator<Item = &'a str>, Failure> {
    let elements = match attribute {
        None | Some(Value::Null) => [].as_slice(),
        Some(Value::Array(elements)) => elements,
        Some(_) => return Err(invalid(name, "a list")),
    };
    at_most(elements.len(), name)?;
    Ok(elements.iter().filter_map(|element| element.as_str().or_else(|| element.get("value")?.as_str())))
}

/// The labels of a group as its document would hold them, within the bounds of one.
pub(super) fn labels_of_group(texts: &[String]) -> Result<BTreeSet<Label>, Failure> {
    at_most(texts.len(), "roles")?;
    if texts.iter().map(String::len).sum::<usize>() > LARGEST {
        return Err(too_large());
    }
    Ok(labels(texts.iter().map(String::as_str)))
}

fn at_most(count: usize, name: &str) -> Result<(), Failure> {
    if count > MOST {
        return Err(Failure::TooLarge { what: format!("{name} has more than {MOST} values") });
    }
    Ok(())
}

fn too_large() -> Failure {
    Failure::TooLarge { what: "the document is larger than 1 MiB".into() }
}

fn labels<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<Label> {
    texts.filter(|text| !text.is_empty()).map(|text| Label::new(&brief(text))).collect()
}

/// An e-mail address as it is looked up.
pub(super) fn email(text: &str) -> String {
    brief(&fold(text)).into_owned()
}

/// A label as it is looked up.
pub(super) fn label(text: &str) -> String {
    brief(text).into_owned()
}

/// A text that no engine could hold in an index, as one that it can: another for each, and a label without a meaning,
/// for no label that means anything holds a control character. Others are as they are.
fn brief(text: &str) -> Cow<'_, str> {
    if !text.contains('\0') && (text.chars().count() <= LONGEST) {
        return text.into();
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    format!("{shown}…{BRIEF}{}", blake3::hash(text.as_bytes())).into()
}

/// What tells a text that stands for another from what somebody wrote.
const BRIEF: char = '\u{1}';

/// Whether a label stands for one that no engine could hold in an index.
pub(super) fn is_brief(label: &str) -> bool {
    label.contains(BRIEF)
}

/// A text that every engine can hold in an index.
fn sound(text: &str, name: &'static str) -> Result<String, Failure> {
    if text.contains('\0') {
        return Err(invalid(name, "a text without the character U+0000"));
    }
    if text.chars().count() > LONGEST || (!text.is_ascii() && fold(text).len() > LONGEST_FOLDED) {
        return Err(invalid(name, "at most 500 characters"));
    }
    Ok(text.to_owned())
}

fn invalid(field: &'static str, expected: &str) -> Failure {
    Failure::Invalid { field, expected: format!("it must be {expected}") }
}

#[cfg(test)]
mod tests {
    use super::{GroupDocument, MOST, UserDocument, changed, labels_of_group};
    use crate::failure::Failure;

    fn user(json: &str) -> Result<UserDocument, Failure> {
        UserDocument::parse(json.as_bytes().to_vec())
    }

    #[test]
    fn what_is_indexed_is_read_out_of_the_document() {
        let user = user(
            r#"{"userName":"Ann","externalId":"7","active":true,"emails":[{"value":"Ann@X.example"}],"roles":[{"value":"A_1_B"},"A_2_B"]}"#,
        )
        .unwrap();
        assert_eq!((user.folded_name().as_str(), user.external_id.as_deref(), user.active), ("ann", Some("7"), true));
        assert_eq!(user.emails.first().unwrap(), "ann@x.example");
        assert_eq!(user.labels.len(), 2);
        let group = br#"{"displayName":"G","roles":["x"],"urn:ietf:params:scim:schemas:extension:fluent:2.0:Group":{"roles":[{"value":"y"}]}}"#;
        assert_eq!(GroupDocument::parse(group.to_vec()).unwrap().labels.len(), 2);
    }

    /// B08: NUL and names too long, before either database is asked.
    #[test]
    fn what_no_database_can_hold_is_refused_by_name() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"userName":""}"#,
            r#"{"userName":"a\u0000"}"#,
            r#"{"userName":"a","active":"yes"}"#,
            r#"{"userName":"a","roles":"x"}"#,
            r#"{"userName":"a","externalId":7}"#,
        ] {
            assert!(matches!(user(bad), Err(Failure::Invalid { .. })), "{bad}");
        }
        assert!(user(&format!(r#"{{"userName":"{}"}}"#, "x".repeat(501))).is_err());
        assert!(user(&format!(r#"{{"userName":"{}"}}"#, "\u{1F80}".repeat(500))).is_err());
        assert!(user(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn labels_that_a_group_would_have_are_read_and_bounded_like_those_it_has() {
        let texts = ["", "A_1_B", "A_1_B", &"x".repeat(600)].map(str::to_owned);
        let group = serde_json::json!({ "displayName": "G", "roles": texts });
        let stored = GroupDocument::parse(group.to_string().into_bytes()).unwrap().labels;
        assert_eq!(labels_of_group(&texts).unwrap(), stored);
        assert!(labels_of_group(&vec!["x".to_owned(); MOST]).is_ok());
        assert!(matches!(labels_of_group(&vec!["x".to_owned(); MOST + 1]), Err(Failure::TooLarge { .. })));
        assert!(matches!(labels_of_group(&["x".repeat(2 << 20)]), Err(Failure::TooLarge { .. })));
    }

    #[test]
    fn a_label_that_no_index_can_hold_is_kept_as_one_without_a_meaning() {
        let long = |end: &str| format!("AGENT_1_{}{end}", "R".repeat(600));
        let json = serde_json::json!({ "userName": "a", "roles": [long("x"), long("y"), "AGENT_1_R\0", "AGENT_1_R"] });
        let user = user(&json.to_string()).unwrap();
        assert_eq!(user.labels.len(), 4);
        let means = |label: &&domain::label::Label| !label.readings().is_empty();
        assert_eq!(
            user.labels.iter().filter(means).map(domain::label::Label::as_str).collect::<Vec<_>>(),
            ["AGENT_1_R"]
        );
        assert!(user.labels.iter().all(|label| label.as_str().len() < 300 && !label.as_str().contains('\0')));
    }

    #[test]
    fn only_what_differs_has_changed() {
        let old = user(r#"{"userName":"a","title":"x","active":true}"#).unwrap();
        let new = user(r#"{"active":true,"userName":"a","nickName":"x"}"#).unwrap();
        assert_eq!(changed(&old.attributes, &new.attributes).into_iter().collect::<Vec<_>>(), ["nickName", "title"]);
    }
}
