//! Evaluation against conditions written as plain Rust over a plain struct, small enough that they often meet.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::query;

/// Type and value.
type Email = (Option<&'static str>, Option<&'static str>);

/// A user as far as the conditions look at one.
#[derive(Clone, Debug)]
struct Person {
    user_name: String,
    emails: Vec<Email>,
}

impl Person {
    fn to_json(&self) -> Map<String, Value> {
        let emails: Vec<Value> = self
            .emails
            .iter()
            .map(|(kind, value)| {
                let mut email = Map::new();
                email.extend(kind.map(|it| ("type".to_owned(), it.into())));
                email.extend(value.map(|it| ("value".to_owned(), it.into())));
                email.into()
            })
            .collect();
        json!({"userName": self.user_name, "emails": emails}).as_object().unwrap().clone()
    }
}

#[derive(Clone, Debug)]
enum Cond {
    Name(&'static str, String),
    Email(&'static str, String),
    Kind(&'static str, String),
    EmailPresent,
    Both(String, String),
    Not(Box<Cond>),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
}

fn meets(operator: &str, value: &str, text: &str) -> bool {
    let (value, text) = (value.to_lowercase(), text.to_lowercase());
    match operator {
        "eq" => value == text,
        "co" => value.contains(&text),
        "sw" => value.starts_with(&text),
        "ew" => value.ends_with(&text),
        "gt" => value > text,
        "le" => value <= text,
        other => panic!("{other}"),
    }
}

impl Cond {
    fn holds(&self, person: &Person) -> bool {
        let any = |of: fn(&Email) -> Option<&'static str>, operator: &str, text: &str| {
            person.emails.iter().filter_map(of).any(|it| meets(operator, it, text))
        };
        match self {
            Self::Name("ne", text) => !meets("eq", &person.user_name, text),
            Self::Name(operator, text) => meets(operator, &person.user_name, text),
            Self::Email("ne", text) => !any(|it| it.1, "eq", text),
            Self::Email(operator, text) => any(|it| it.1, operator, text),
            Self::Kind("ne", text) => !any(|it| it.0, "eq", text),
            Self::Kind(operator, text) => any(|it| it.0, operator, text),
            Self::EmailPresent => person.emails.iter().any(|it| it.1.is_some()),
            Self::Both(kind, value) => person.emails.iter().any(|it| {
                it.0.is_some_and(|it| meets("eq", it, kind)) && it.1.is_some_and(|it| meets("eq", it, value))
            }),
            Self::Not(inner) => !inner.holds(person),
            Self::And(a, b) => a.holds(person) && b.holds(person),
            Self::Or(a, b) => a.holds(person) || b.holds(person),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Name(operator, text) => format!("userName {operator} \"{text}\""),
            Self::Email(operator, text) => format!("emails {operator} \"{text}\""),
            Self::Kind(operator, text) => format!("EMAILS.Type {operator} {text}"),
            Self::EmailPresent => "emails.value pr".into(),
            Self::Both(kind, value) => format!("emails[type eq \"{kind}\"].value eq \"{value}\""),
            Self::Not(inner) => format!("not({})", inner.text()),
            Self::And(a, b) => format!("({}) and ({})", a.text(), b.text()),
            Self::Or(a, b) => format!("({} or {})", a.text(), b.text()),
        }
    }
}

fn any_person() -> impl Strategy<Value = Person> {
    let kind = prop::option::of(prop::sample::select(vec!["work", "Home"]));
    let value = prop::option::of(prop::sample::select(vec!["a@x", "A@y", "ab@x", "é@x"]));
    ("[abAB]{1,3}", prop::collection::vec((kind, value), 0..4))
        .prop_map(|(user_name, emails)| Person { user_name, emails })
}

fn any_cond() -> impl Strategy<Value = Cond> {
    let operator = || prop::sample::select(vec!["eq", "ne", "co", "sw", "ew", "gt", "le"]);
    let kind = || prop::sample::select(vec!["work".to_owned(), "HOME".into(), "o".into()]);
    let value = || prop::sample::select(vec!["a@x".to_owned(), "a@Y".into(), "AB".into(), "É@x".into()]);
    let leaf = prop_oneof![
        (operator(), "[abAB]{1,3}").prop_map(|(operator, text)| Cond::Name(operator, text)),
        (operator(), value()).prop_map(|(operator, text)| Cond::Email(operator, text)),
        (operator(), kind()).prop_map(|(operator, text)| Cond::Kind(operator, text)),
        Just(Cond::EmailPresent),
        (kind(), value()).prop_map(|(kind, value)| Cond::Both(kind, value)),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Cond::Not(Box::new(it))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Cond::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Cond::Or(Box::new(a), Box::new(b))),
        ]
    })
}

proptest! {
    #[test]
    fn evaluation_agrees_with_the_plain_meaning(person in any_person(), cond in any_cond()) {
        prop_assert_eq!(query(&cond.text()).matches(&person.to_json()), cond.holds(&person), "{}", cond.text());
    }
}
