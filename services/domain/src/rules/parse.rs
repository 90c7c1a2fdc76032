//! The JSON format in which rules are written, that of Fluent's own SCIM connector:
//!
//! ```json
//! {"rules": [{"condition": {"type": "HAS_APP_ROLE", "appRole": "Store_Colleague"},
//!             "action": {"type": "MAPPING_ROLE_ASSIGNMENT", "sourceAppRole": "Store_Colleague",
//!                        "targetRoles": ["STORE", "RETURNS_MANAGER"]}}]}
//! ```
//!
//! It is read strictly. What is not known could narrow a rule, and passing over it would give more than was meant: an
//! unknown member, a member given twice, or an unknown type makes the set malformed.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::{MalformedRules, Place, Rules};

/// The longest text that is read, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

const CONDITION: &str = "HAS_APP_ROLE";
const ACTION: &str = "MAPPING_ROLE_ASSIGNMENT";

impl Rules {
    /// Reads a rule set: the JSON itself, or a JSON string that holds it.
    pub fn parse(text: &str) -> Result<Self, MalformedRules> {
        match read(text)? {
            Tree::Text(inner) => Self::from_tree(read(&inner)?),
            tree => Self::from_tree(tree),
        }
    }

    /// The set in the format it is read in; equal sets give equal texts.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rule = |(logical, targets): (&Arc<str>, &[Arc<str>])| {
            let targets: Vec<&str> = targets.iter().map(|role| &**role).collect();
            json!({
                "condition": { "type": CONDITION, "appRole": **logical },
                "action": { "type": ACTION, "sourceAppRole": **logical, "targetRoles": targets },
            })
        };
        json!({ "rules": self.iter().map(rule).collect::<Vec<_>>() })
    }

    fn from_tree(tree: Tree) -> Result<Self, MalformedRules> {
        let around = Place { rule: None, field: "rules" };
        let [rules] = members(tree, ["rules"], Place { rule: None, field: "the set" })?;
        let Tree::List(rules) = rules else { return Err(around.wrong("it must be a list of rules")) };
        let rules: Vec<_> = (1..).zip(rules).map(|(number, tree)| rule(number, tree)).collect::<Result<_, _>>()?;
        Self::new(rules)
    }
}

fn rule(number: usize, tree: Tree) -> Result<(Arc<str>, Vec<Arc<str>>), MalformedRules> {
    let place = |field| Place { rule: Some(number), field };
    let [condition, action] = members(tree, ["condition", "action"], place("the rule"))?;
    let [kind, condition] = members(condition, ["type", "appRole"], place("condition"))?;
    exactly(kind, CONDITION, place("condition.type"))?;
    let condition = text(condition, place("condition.appRole"))?;
    let [kind, source, targets] = members(action, ["type", "sourceAppRole", "targetRoles"], place("action"))?;
    exactly(kind, ACTION, place("action.type"))?;
    let source = text(source, place("action.sourceAppRole"))?;
    if source != condition {
        return Err(place("action.sourceAppRole").wrong("it must be the same as condition.appRole"));
    }
    let Tree::List(targets) = targets else {
        return Err(place("action.targetRoles").wrong("it must be a list of role names"));
    };
    let targets = targets.into_iter().map(|target| text(target, place("action.targetRoles")).map(Into::into));
    Ok((source.into(), targets.collect::<Result<_, _>>()?))
}

/// Exactly these members of an object, each once.
fn members<const N: usize>(tree: Tree, names: [&str; N], place: Place) -> Result<[Tree; N], MalformedRules> {
    let expected = || format!("it must be an object with exactly {}", names.map(|name| format!("`{name}`")).join(", "));
    let Tree::Object(given) = tree else { return Err(place.wrong(expected())) };
    let mut found = names.map(|_| None);
    for (name, value) in given {
        let Some(slot) = names.iter().position(|known| *known == name).map(|index| &mut found[index]) else {
            return Err(place.wrong(expected()));
        };
        if slot.replace(value).is_some() {
            return Err(place.wrong(format!("{}, each once", expected())));
        }
    }
    if found.iter().any(Option::is_none) {
        return Err(place.wrong(expected()));
    }
    Ok(found.map(|value| value.unwrap_or(Tree::Other)))
}

fn text(tree: Tree, place: Place) -> Result<String, MalformedRules> {
    if let Tree::Text(text) = tree { Ok(text) } else { Err(place.wrong("it must be a text")) }
}

fn exactly(tree: Tree, wanted: &str, place: Place) -> Result<(), MalformedRules> {
    if text(tree, place)? == wanted { Ok(()) } else { Err(place.wrong(format!("it must be \"{wanted}\""))) }
}

fn read(text: &str) -> Result<Tree, MalformedRules> {
    if text.len() > LONGEST {
        return Err(MalformedRules::TooLong);
    }
    serde_json::from_str(text).map_err(|error| MalformedRules::NotJson { line: error.line(), column: error.column() })
}

/// JSON that forgets no member, not even one given twice. How deep it may go, the reader bounds.
enum Tree {
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    /// A number, a truth value or null: nothing that a rule set holds.
    Other,
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Other)
            }

            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Tree, E> {
                Ok(Tree::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Tree::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    object.push(entry);
                }
                Ok(Tree::Object(object))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
