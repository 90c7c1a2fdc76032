mod naive;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Comparison, Filter, Literal, MAX_DEPTH, MAX_LENGTH, MAX_NODES, Operator, Query};
use crate::leniency::Mode;
use crate::path::{AttrPath, Path};
use crate::schema::{ENTERPRISE_USER_URN, FLUENT_USER_URN, GROUPS, USERS};

fn parse(text: &str) -> Filter {
    Filter::parse(text, Mode::Lenient).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn query(text: &str) -> Query {
    Query::parse(text, &USERS, Mode::Lenient).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn user() -> Map<String, Value> {
    let Value::Object(user) = json!({
        "id": "2819c223", "userName": "Bjensen", "externalId": "Ext-1", "active": true, "title": "",
        "name": {"familyName": "O'Malley", "givenName": "Élodie"},
        "meta": {"lastModified": "2011-05-13T04:42:34Z"},
        "emails": [
            {"value": "bj@example.com", "type": "work", "primary": true},
            {"value": "bj@home.example", "type": "home"},
        ],
        ENTERPRISE_USER_URN: {"employeeNumber": "1001", "manager": {"value": "m1"}},
        FLUENT_USER_URN: {"state": "held", "reasons": ["UNKNOWN_ROLE", "MALFORMED"]},
    }) else {
        panic!("an object")
    };
    user
}

#[test]
fn the_rfcs_and_the_providers_filters_print_as_they_are_meant() {
    for (text, canonical) in [
        ("userName eq \"bjensen\"", "userName eq \"bjensen\""),
        ("userName Eq \"bjensen\"", "userName eq \"bjensen\""),
        ("title pr", "title pr"),
        ("title pr and userType eq \"Employee\"", "title pr and userType eq \"Employee\""),
        ("title PR OR userType EQ \"Intern\"", "title pr or userType eq \"Intern\""),
        (
            "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"",
            "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"",
        ),
        (
            "userType eq \"Employee\" and (emails co \"example.com\" or emails.value co \"example.org\")",
            "userType eq \"Employee\" and (emails co \"example.com\" or emails.value co \"example.org\")",
        ),
        (
            "userType ne \"Employee\" and not (emails co \"example.com\")",
            "userType ne \"Employee\" and not (emails co \"example.com\")",
        ),
        ("not(a pr)", "not (a pr)"),
        ("not (not (a pr))", "not (not (a pr))"),
        (
            "emails[type eq \"work\" and value co \"@example.com\"] or ims[type eq \"xmpp\"]",
            "emails[type eq \"work\" and value co \"@example.com\"] or ims[type eq \"xmpp\"]",
        ),
        ("emails[type eq \"work\"].value eq \"a@b\"", "emails[type eq \"work\" and value eq \"a@b\"]"),
        (
            "emails[type eq \"work\" or primary eq true].value pr and a pr",
            "emails[(type eq \"work\" or primary eq true) and value pr] and a pr",
        ),
        ("userName eq foo@bar.example", "userName eq \"foo@bar.example\""),
        ("externalId eq 54D382A4-2050", "externalId eq \"54D382A4-2050\""),
        ("members.$ref eq \"x\"", "members.$ref eq \"x\""),
        ("userName eq \"a\\\"b\\u00e9\"", "userName eq \"a\\\"bé\""),
        ("x eq -1.5e3 and y eq null and z eq false", "x eq -1.5e3 and y eq null and z eq false"),
        ("((a pr)) and (b pr and (c pr))", "a pr and b pr and c pr"),
        ("a pr and b pr or c pr and d pr", "a pr and b pr or c pr and d pr"),
        ("(a pr or b pr) and c pr", "(a pr or b pr) and c pr"),
        ("  a   pr  ", "a pr"),
    ] {
        let filter = parse(text);
        assert_eq!(filter.to_string(), canonical);
        assert_eq!(parse(canonical), filter, "{text}");
    }
}

/// B02: what is no filter.
#[test]
fn what_is_not_a_filter_is_refused_at_the_place() {
    for (text, at) in [
        ("", 0),
        ("userName", 8),
        ("userName regex \"x\"", 9),
        ("userName eq", 11),
        ("userName eq \"x", 12),
        ("userName eq \"x\" and", 19),
        ("userName eq \"x\" userName", 16),
        ("(userName pr", 12),
        ("userName pr)", 11),
        ("not userName pr", 4),
        ("emails[type eq \"work\"", 21),
        ("emails[]", 7),
        ("emails[a[b pr]]", 8),
        ("emails.value[a pr]", 12),
        ("emails[type pr].", 15),
        ("and", 3),
        ("a..b pr", 0),
        ("userName eq \"\\x\"", 12),
        ("userName eq \"\\u0000\"", 12),
        ("userName eq \"\\ud800\"", 12),
        ("'a' eq 'b'", 0),
        ("a eq (b)", 5),
        ("a pr; drop table users", 2),
    ] {
        let error = Filter::parse(text, Mode::Lenient).expect_err(text);
        assert_eq!(error.span.start, at, "{text}: {error}");
        assert!(!error.to_string().contains("drop"), "an error never repeats the text");
    }
}

#[test]
fn strict_mode_takes_the_rfcs_grammar_only() {
    for text in ["userName eq foo@bar", "emails[type eq \"work\"].value eq \"x\""] {
        assert!(Filter::parse(text, Mode::Strict).is_err(), "{text}");
    }
    for text in ["active eq \"True\"", "manager eq \"1\"", "externalId eq 1"] {
        assert_eq!(Query::parse(text, &USERS, Mode::Strict).unwrap_err().status, 400, "{text}");
    }
    assert!(Query::parse("emails[type eq \"work\"] and not(title pr)", &USERS, Mode::Strict).is_ok());
}

/// B02: what is a filter, but not on these resources; B12: what is never returned.
#[test]
fn a_comparison_its_type_does_not_have_is_refused() {
    for text in [
        "active gt true",
        "active co \"t\"",
        "active eq \"maybe\"",
        "active gt \"true\"",
        "name eq \"x\"",
        "addresses co \"x\"",
        "nonsense eq \"x\"",
        "userName.x eq \"x\"",
        "meta.created co \"2011\"",
        "meta.created gt \"yesterday\"",
        "x509Certificates.value gt \"a\"",
        "emails[nonsense pr]",
        "emails[emails.type pr]",
        "userName[value pr]",
        "title gt null",
        "meta gt 1",
        "urn:x:unknown:2.0:User:a eq \"1\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:nonsense pr",
    ] {
        let error = Query::parse(text, &USERS, Mode::Lenient).expect_err(text);
        assert_eq!((error.status, error.scim_type), (400, Some(crate::ScimType::InvalidFilter)), "{text}");
    }
    for text in ["password eq \"x\"", "userName pr and not (password pr)"] {
        let error = Query::parse(text, &USERS, Mode::Lenient).expect_err(text);
        assert_eq!((error.status, error.scim_type), (403, Some(crate::ScimType::Sensitive)), "{text}");
    }
}

#[test]
fn a_filter_matches_what_it_says() {
    let user = user();
    for (text, expected) in [
        ("userName eq \"BJENSEN\"", true),
        ("UserName eq bjensen", true),
        ("userName eq \"bjensen2\"", false),
        ("externalId eq \"Ext-1\"", true),
        ("externalId eq \"ext-1\"", false),
        ("id eq 2819c223", true),
        ("name.givenName eq \"E\u{301}LODIE\"", true),
        ("name.familyName co \"o'm\" and name.familyName sw \"O\" and name.familyName ew \"ley\"", true),
        ("userName gt \"b\" and userName lt \"c\" and userName ge \"bjensen\" and userName le \"bjensen\"", true),
        ("active eq true", true),
        ("active eq \"True\"", true),
        ("active ne \"False\"", true),
        ("title pr", false),
        ("title eq null", true),
        ("nickName ne \"x\"", true),
        ("emails pr and name pr and not (phoneNumbers pr)", true),
        ("emails eq \"BJ@example.com\"", true),
        ("emails.type eq \"home\"", true),
        ("emails[type eq \"work\"].value eq \"bj@example.com\"", true),
        ("emails[type eq \"work\"].value eq \"bj@home.example\"", false),
        ("emails[type eq \"home\" and not (primary pr)]", true),
        ("emails[primary eq \"True\" and type eq WORK]", true),
        ("not (emails[type eq \"fax\"])", true),
        ("emails.type ne \"work\"", false),
        ("emails[type ne \"work\"]", true),
        ("meta.lastModified gt \"2011-05-13T04:42:33.9999999+00:00\"", true),
        ("meta.lastModified eq 2011-05-13T06:42:34+02:00", true),
        ("meta.lastModified lt \"2011-05-13T04:42:34Z\"", false),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:user:employeeNumber eq \"1001\"", true),
        ("employeeNumber eq 1001", true),
        ("manager eq m1", true),
        ("manager.value eq \"m2\"", false),
        ("state eq \"held\" and reasons eq \"malformed\"", true),
        ("name[givenName sw \"él\"]", true),
    ] {
        assert_eq!(query(text).matches(&user), expected, "{text}");
    }
    let members = Query::parse("members eq \"id\"", &GROUPS, Mode::Lenient).unwrap();
    assert!(members.matches(json!({"members": [{"value": "x"}, {"value": "id"}]}).as_object().unwrap()));
}

/// D01: deep, long and wide filters and paths are refused while they are read.
#[test]
fn every_limit_holds_at_its_value_and_not_beyond() {
    let accepted = |text: String| Filter::parse(&text, Mode::Lenient).is_ok();
    let nested = |n: usize| format!("{}a pr{}", "(".repeat(n), ")".repeat(n));
    let nots = |n: usize| format!("{}a pr{}", "not(".repeat(n), ")".repeat(n));
    for n in 0..=MAX_DEPTH {
        let text = format!("{}a[b pr or d pr].c pr{}", "not(".repeat(n), ")".repeat(n));
        if let Ok(filter) = Filter::parse(&text, Mode::Lenient) {
            assert_eq!(parse(&filter.to_string()), filter, "its canonical text is within the limits too");
        }
    }
    let terms = |n: usize| vec!["a pr"; n].join(" or ");
    assert!(accepted(nested(MAX_DEPTH)) && !accepted(nested(MAX_DEPTH + 1)));
    assert!(accepted(nots(MAX_DEPTH)) && !accepted(nots(MAX_DEPTH + 1)));
    assert!(accepted(terms(MAX_NODES)) && !accepted(terms(MAX_NODES + 1)));
    let long = |n: usize| format!("a eq {}", "x".repeat(n - 5));
    assert!(accepted(long(MAX_LENGTH)) && !accepted(long(MAX_LENGTH + 1)));
    for huge in [
        "(".repeat(1 << 20),
        "not (".repeat(1 << 20),
        "a pr or ".repeat(1 << 20),
        "a".repeat(1 << 20),
        "a.".repeat(1 << 20),
    ] {
        assert!(!accepted(huge.clone()));
        assert!(Path::parse(&huge, Mode::Lenient).is_err());
        assert!(Path::parse(&huge[..1000], Mode::Lenient).is_err() || huge.starts_with("aaa"));
    }
}

/// D03: the deepest trees the limits allow are built, printed, resolved, evaluated and dropped on a small stack.
#[test]
fn the_worst_filter_needs_little_stack() {
    let alternating = |n: usize| {
        let mut text = String::from("emails[type eq \"a\" or value eq \"b\"].display pr");
        for level in 0..n {
            let join = if level % 2 == 0 { "and" } else { "or" };
            text = format!("not (id pr {join} {text})");
        }
        text
    };
    let texts = [alternating(MAX_DEPTH - 2), format!("{}id pr{}", "not(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH))];
    std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || {
            for text in texts {
                let filter = parse(&text);
                assert_eq!(parse(&filter.to_string()), filter.clone());
                let query = query(&text);
                assert!(query.nodes() > MAX_DEPTH);
                let _ = query.matches(&user());
                drop((filter, query));
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

fn any_path() -> impl Strategy<Value = AttrPath> {
    let name = "[a-zA-Z][a-zA-Z0-9_-]{0,6}";
    let urn = prop::option::of(prop_oneof![Just("urn:a:b:2.0:User".to_owned()), "urn:[a-z:.0-9]{1,8}"]);
    (urn, name, prop::option::of("[$]?[a-zA-Z][a-zA-Z0-9_-]{0,4}")).prop_map(|(urn, name, sub)| AttrPath {
        urn,
        name,
        sub,
    })
}

fn any_literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "[^\0]{0,10}".prop_map(Literal::Text),
        any::<i32>().prop_map(|number| Literal::Number(number.to_string())),
        "-?[1-9][0-9]{0,2}\\.[0-9]{1,3}([eE][+-]?[0-9])?".prop_map(Literal::Number),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
    ]
}

fn any_leaf() -> impl Strategy<Value = Filter> {
    let operator = prop::sample::select(
        ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"].map(|word| Operator::parse(word).unwrap()).to_vec(),
    );
    prop_oneof![
        any_path().prop_map(Filter::Present),
        (any_path(), operator, any_literal())
            .prop_map(|(path, operator, literal)| Filter::Compare(path, Comparison { operator, literal })),
    ]
}

fn any_tree(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|terms| terms.into_iter().reduce(Filter::and).unwrap()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|terms| terms.into_iter().reduce(Filter::or).unwrap()),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let element = (any_path(), any_tree(any_leaf()))
        .prop_map(|(path, inner)| Filter::Element(AttrPath { sub: None, ..path }, Box::new(inner)));
    any_tree(prop_oneof![3 => any_leaf(), 1 => element].boxed())
}

const ALMOST_A_FILTER: &str = "[a-c.\\[\\]() \"$:]{0,8}( (eq|pr|and|or|not|ne)[ (\\[]?[a-c\"\\]). ]{0,4}){0,5}";

proptest! {
    /// B01: parse(print(x)) = x.
    #[test]
    fn what_is_printed_reads_back(filter in any_filter()) {
        prop_assert_eq!(parse(&filter.to_string()), filter);
    }

    #[test]
    fn what_is_accepted_prints_to_what_reads_the_same(text in ALMOST_A_FILTER) {
        if let Ok(filter) = Filter::parse(&text, Mode::Lenient) {
            prop_assert_eq!(Filter::parse(&filter.to_string(), Mode::Lenient), Ok(filter));
        }
        let _ = Path::parse(&text, Mode::Lenient);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        let _ = Query::parse(&text, &USERS, Mode::Lenient);
        let _ = Path::parse(&text, Mode::Lenient);
    }
}
