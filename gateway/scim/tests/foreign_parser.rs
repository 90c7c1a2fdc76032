//! Filters, paths and PATCH bodies against the parser of the crate `scim_v2`, which nobody here wrote.
//!
//! Both read the same texts; where both accept, they must mean the same tree. The crate keeps to the grammar, so ours
//! reads strictly here. Every difference that is known stands in a list with its reason, and one that is gone fails.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

use proptest::prelude::*;
use scim::Mode;
use scim::filter::{Comparison, Expr, Filter, Literal, Operator};
use scim::patch::PatchRequest;
use scim::path::{AttrPath, Path};
use scim::schema::{GROUPS, USERS};
use scim_v2::Validate as _;
use scim_v2::filter as theirs;
use serde_json::{Value, json};

// Their tree as ours.

fn path(path: &theirs::AttrPath) -> AttrPath {
    let theirs::AttrPath { uri, name, sub_attr } = path;
    AttrPath { urn: uri.clone(), name: name.clone(), sub: sub_attr.clone() }
}

fn comparison(operator: &theirs::CompareOp, value: &theirs::CompValue) -> Comparison {
    let operator = match operator {
        theirs::CompareOp::Eq => Operator::Eq,
        theirs::CompareOp::Ne => Operator::Ne,
        theirs::CompareOp::Co => Operator::Co,
        theirs::CompareOp::Sw => Operator::Sw,
        theirs::CompareOp::Ew => Operator::Ew,
        theirs::CompareOp::Gt => Operator::Gt,
        theirs::CompareOp::Lt => Operator::Lt,
        theirs::CompareOp::Ge => Operator::Ge,
        theirs::CompareOp::Le => Operator::Le,
    };
    let literal = match value {
        theirs::CompValue::True => Literal::Boolean(true),
        theirs::CompValue::False => Literal::Boolean(false),
        theirs::CompValue::Null => Literal::Null,
        theirs::CompValue::Number(number) => Literal::Number(number.to_string()),
        theirs::CompValue::Str(text) => Literal::Text(text.clone()),
    };
    Comparison { operator, literal }
}

fn attribute(expression: &theirs::AttrExp) -> Filter {
    match expression {
        theirs::AttrExp::Present(it) => Expr::Present(path(it)),
        theirs::AttrExp::Comparison(it, operator, value) => Expr::Compare(path(it), comparison(operator, value)),
    }
}

fn inner(filter: &theirs::ValFilter) -> Filter {
    match filter {
        theirs::ValFilter::Attr(it) => attribute(it),
        theirs::ValFilter::Not(it) => Expr::Not(Box::new(inner(it))),
        theirs::ValFilter::And(all) => Expr::And(all.iter().map(inner).collect()),
        theirs::ValFilter::Or(all) => Expr::Or(all.iter().map(inner).collect()),
    }
}

fn whole(filter: &theirs::Filter) -> Filter {
    match filter {
        theirs::Filter::Attr(it) => attribute(it),
        theirs::Filter::ValuePath(theirs::ValuePath { attr, filter }) => {
            Expr::Element(path(attr), Box::new(inner(filter)))
        }
        theirs::Filter::Not(it) => Expr::Not(Box::new(whole(it))),
        theirs::Filter::And(all) => Expr::And(all.iter().map(whole).collect()),
        theirs::Filter::Or(all) => Expr::Or(all.iter().map(whole).collect()),
    }
}

fn patch_path(it: &theirs::PatchPath) -> Path {
    match it {
        theirs::PatchPath::Attr(attribute) => Path { attribute: path(attribute), filter: None, sub: None },
        theirs::PatchPath::Value(theirs::PatchValuePath { attr, filter, sub_attr }) => {
            Path { attribute: path(attr), filter: Some(inner(filter)), sub: sub_attr.clone() }
        }
    }
}

// Filters and paths as the grammar has them.

fn attr_path() -> impl Strategy<Value = AttrPath> {
    let urn = prop::option::of(Just("urn:ietf:params:scim:schemas:core:2.0:User".to_owned()));
    let word = || prop::sample::select(vec!["userName", "x-y_1", "and", "pr", "eq", "emails", "Or"]);
    (urn, word(), prop::option::of(word())).prop_map(|(urn, name, sub)| AttrPath {
        urn,
        name: name.to_owned(),
        sub: sub.map(str::to_owned),
    })
}

fn leaf() -> impl Strategy<Value = Filter> {
    let operator = prop::sample::select(vec![
        Operator::Eq,
        Operator::Ne,
        Operator::Co,
        Operator::Sw,
        Operator::Ew,
        Operator::Gt,
        Operator::Ge,
        Operator::Lt,
        Operator::Le,
    ]);
    let literal = prop_oneof![
        "[ -~äß€]{0,6}".prop_map(Literal::Text),
        any::<bool>().prop_map(Literal::Boolean),
        Just(Literal::Null),
        any::<i32>().prop_map(|it| Literal::Number(it.to_string())),
    ];
    prop_oneof![
        attr_path().prop_map(Expr::Present),
        (attr_path(), operator, literal)
            .prop_map(|(path, operator, literal)| Expr::Compare(path, Comparison { operator, literal })),
    ]
}

/// Terms of one kind are flat, as both keep them.
fn tree(leaf: BoxedStrategy<Filter>) -> BoxedStrategy<Filter> {
    let branch = |inner: BoxedStrategy<Filter>| {
        let some = || prop::collection::vec(inner.clone(), 2..4);
        let flat = |all: Vec<Filter>, and: bool| {
            let terms = all.into_iter().flat_map(|it| match it {
                Expr::And(terms) if and => terms,
                Expr::Or(terms) if !and => terms,
                it => vec![it],
            });
            terms.collect()
        };
        prop_oneof![
            some().prop_map(move |all| Expr::And(flat(all, true))),
            some().prop_map(move |all| Expr::Or(flat(all, false))),
            inner.clone().prop_map(|it| Expr::Not(Box::new(it))),
        ]
    };
    leaf.prop_recursive(4, 24, 3, move |inner| branch(inner.boxed())).boxed()
}

fn element() -> impl Strategy<Value = Filter> {
    let bare = attr_path().prop_map(|path| AttrPath { sub: None, ..path });
    (bare, tree(leaf().boxed())).prop_map(|(path, inner)| Expr::Element(path, Box::new(inner)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_filter_of_ours_means_the_same_to_the_foreign_parser(filter in tree(prop_oneof![leaf(), element()].boxed())) {
        let text = filter.to_string();
        let foreign: theirs::Filter = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(whole(&foreign), Filter::parse(&text, Mode::Strict).unwrap());
        // What it prints is read back by ours.
        prop_assert_eq!(Filter::parse(&foreign.to_string(), Mode::Strict).unwrap(), filter);
    }

    #[test]
    fn every_path_of_ours_means_the_same_to_the_foreign_parser(
        attribute in attr_path(),
        filter in prop::option::of(tree(leaf().boxed())),
        sub in prop::option::of(Just("value".to_owned())),
    ) {
        let ours = match filter {
            None => Path { attribute, filter: None, sub: None },
            Some(filter) => Path { attribute: AttrPath { sub: None, ..attribute }, filter: Some(filter), sub },
        };
        let text = ours.to_string();
        let foreign: theirs::PatchPath = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(patch_path(&foreign), Path::parse(&text, Mode::Strict).unwrap());
    }

    /// Neither takes for a filter what the other does not, apart from what is listed.
    #[test]
    fn scraps_of_filters_are_filters_to_both_or_to_neither(
        scraps in prop::collection::vec(prop::sample::select(SCRAPS.to_vec()), 1..7),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        let text = scraps.join(gap);
        agree(&text)?;
    }
}

const SCRAPS: [&str; 20] = [
    "userName",
    "emails",
    "name.givenName",
    "a-b",
    "eq",
    "EQ",
    "co",
    "pr",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    "\"x\"",
    "\"\\u0041\\\"\"",
    "true",
    "12",
    "null",
];

/// Texts that one of the two reads and the other does not, and why.
fn differs(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    DIFFERENCES.iter().find(|(is, _)| is(&lower)).map(|(_, why)| *why)
}

type Difference = (fn(&str) -> bool, &'static str);

const DIFFERENCES: &[Difference] = &[
    (
        |text| text.split("not").skip(1).any(|rest| !rest.trim_start().starts_with('(')),
        "`not` without a parenthesis is an attribute of that name to ours, as the grammar has it, and a mistake to theirs",
    ),
    (
        |text| text.contains("true") || text.contains("null"),
        "`true` and `null` before an operator are attributes of that name to ours, as the grammar has it",
    ),
    (
        |text| {
            let apart = text.replace('(', " ( ").replace('[', " [ ");
            let words: Vec<_> = apart.split_whitespace().collect();
            let opens = |word| ["(", "["].contains(&word);
            words.windows(2).any(|pair| opens(pair[0]) && ["eq", "co", "pr", "and", "or"].contains(&pair[1]))
        },
        "an operator's name after an opening bracket is an attribute of that name to ours, as the grammar has it",
    ),
];

#[test]
fn an_attribute_named_like_an_operator_is_read_by_ours_alone_after_an_opening_bracket() {
    let text = "( eq pr )";
    assert!(Filter::parse(text, Mode::Strict).is_ok());
    assert!(text.parse::<theirs::Filter>().is_err());
    agree(text).unwrap();
}

fn agree(text: &str) -> Result<(), TestCaseError> {
    let (ours, foreign) = (Filter::parse(text, Mode::Strict), text.parse::<theirs::Filter>());
    match (ours, foreign) {
        (Ok(ours), Ok(foreign)) => prop_assert_eq!(ours, whole(&foreign), "{}", text),
        (Err(_), Err(_)) => {}
        (ours, foreign) => prop_assert!(differs(text).is_some(), "{text:?}: {ours:?} against {foreign:?}"),
    }
    Ok(())
}

// PATCH bodies.

fn ours_takes(path: &str, body: &Value) -> bool {
    let kind = if path.starts_with("/Groups") { &GROUPS } else { &USERS };
    PatchRequest::parse(kind, body.as_object().unwrap().clone(), Mode::Lenient).is_ok()
}

fn theirs_takes(body: &Value) -> bool {
    let read: Result<scim_v2::models::others::PatchOp, _> = serde_json::from_value(body.clone());
    read.is_ok_and(|patch| patch.validate().is_ok())
}

/// Recorded bodies that theirs takes and ours does not, and why.
const ONLY_THEIRS: &[(&str, &str)] = &[];

/// What is wrong with a body that only ours takes.
fn slip(body: &Value) -> Option<&'static str> {
    let operations = body["Operations"].as_array()?;
    let any = |is: fn(&Value) -> bool| operations.iter().any(is);
    if !body["schemas"].as_array().is_some_and(|all| all.contains(&scim::patch::PATCH_URN.into())) {
        return Some("it does not name the PATCH schema");
    }
    if operations.is_empty() {
        return Some("it has no operations");
    }
    if any(|it| it["op"] == "remove" && it.get("value").is_some() || it["op"] == "Remove" && it.get("value").is_some())
    {
        return Some("a remove lists values");
    }
    None
}

#[test]
fn recorded_patches_are_taken_by_both_but_for_slips_that_ours_forgives() {
    let mut surprises = Vec::new();
    for line in include_str!("data/providers.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        if case["method"] != "PATCH" || !case["body"].is_object() {
            continue;
        }
        let name = case["case"].as_str().unwrap();
        let ours = ours_takes(case["path"].as_str().unwrap(), &case["body"]);
        let as_listed = match (ours, theirs_takes(&case["body"])) {
            (true, true) | (false, false) => !ONLY_THEIRS.iter().any(|(case, _)| *case == name),
            (false, true) => ONLY_THEIRS.iter().any(|(case, _)| *case == name),
            (true, false) => slip(&case["body"]).is_some(),
        };
        if !as_listed {
            surprises.push(format!("{name}: ours {ours}: {}", case["body"]));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

#[test]
fn what_no_patch_may_be_is_refused_by_both() {
    let patch = |operations: Value| json!({"schemas": [scim::patch::PATCH_URN], "Operations": operations});
    for operations in [
        json!([]),
        json!([{"op": "move", "path": "title", "value": "x"}]),
        json!([{"path": "title", "value": "x"}]),
        json!([{"op": "remove"}]),
        json!([{"op": "add", "path": "title"}]),
        json!([{"op": "add", "path": "emails[type eq", "value": "x"}]),
        json!([{"op": "add", "value": "x"}]),
        json!([{"op": "replace", "path": 7, "value": "x"}]),
        json!("x"),
    ] {
        let body = patch(operations);
        assert!(!theirs_takes(&body), "{body}");
        // Ours finds a missing value when it is applied.
        let request = PatchRequest::parse(&USERS, body.as_object().unwrap().clone(), Mode::Strict);
        let applied = request.and_then(|it| it.apply(&scim::Resource::default(), scim::patch::RolesPatch::AsSent));
        assert_eq!(applied.unwrap_err().status, 400, "{body}");
    }
    assert!(theirs_takes(&patch(json!([{"op": "add", "path": "title", "value": "x"}]))));
}
