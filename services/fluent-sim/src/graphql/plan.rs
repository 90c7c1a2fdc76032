//! What a document asks for, known before it runs: its top-level fields with their arguments, and its complexity.

use apollo_compiler::ast::Value as Ast;
use apollo_compiler::executable::{Directive, DirectiveList, Field, Operation, Selection, SelectionSet};
use apollo_compiler::response::JsonMap;
use apollo_compiler::{ExecutableDocument, Node};
use serde_json::{Map, Value};

use super::page::{DEFAULT_SIZE, LARGEST};

/// A top-level field.
#[derive(Debug)]
pub(super) struct TopField {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) arguments: Map<String, Value>,
}

/// The steps the analysis of one document may take: fragments that spread fragments can multiply without end.
const STEPS: u32 = 200_000;

/// The deepest list or object an argument may be.
const DEEPEST: u32 = 64;

/// The types whose every occurrence counts as one query to execute.
const ENTITIES: &[&str] = &["User", "UserRole", "Role", "Permission", "Setting", "Retailer", "Location", "App"];

struct Reader<'d> {
    document: &'d ExecutableDocument,
    variables: &'d JsonMap,
    steps: u32,
}

/// The top-level fields that will run, in order, each response key once.
pub(super) fn top_fields(document: &ExecutableDocument, operation: &Operation, variables: &JsonMap) -> Vec<TopField> {
    let mut reader = Reader { document, variables, steps: STEPS };
    let mut fields = Vec::new();
    reader.collect(&operation.selection_set, &mut fields);
    fields
}

/// About how many queries Fluent would execute: each entity field counts once for every parent it will be read for,
/// and a connection multiplies what is below it by its page size.
pub(super) fn complexity(document: &ExecutableDocument, operation: &Operation, variables: &JsonMap) -> u64 {
    let mut reader = Reader { document, variables, steps: STEPS };
    reader.weigh(&operation.selection_set, 1).unwrap_or(u64::MAX)
}

// === impl Reader ===

impl Reader<'_> {
    fn collect(&mut self, selections: &SelectionSet, fields: &mut Vec<TopField>) {
        for selection in &selections.selections {
            if self.step().is_none() || !self.included(selection.directives()) {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    let key = field.response_key().as_str();
                    if fields.iter().all(|known| known.key != key) {
                        let arguments = self.arguments(field);
                        fields.push(TopField { name: field.name.to_string(), key: key.to_owned(), arguments });
                    }
                }
                Selection::InlineFragment(inline) => self.collect(&inline.selection_set, fields),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.fragment_name) {
                        self.collect(&fragment.selection_set, fields);
                    }
                }
            }
        }
    }

    /// None once there were too many steps.
    fn weigh(&mut self, selections: &SelectionSet, parents: u64) -> Option<u64> {
        let mut total: u64 = 0;
        for selection in &selections.selections {
            self.step()?;
            if !self.included(selection.directives()) {
                continue;
            }
            let weight = match selection {
                Selection::Field(field) => self.weigh_field(field, parents)?,
                Selection::InlineFragment(inline) => self.weigh(&inline.selection_set, parents)?,
                Selection::FragmentSpread(spread) => match self.document.fragments.get(&spread.fragment_name) {
                    Some(fragment) => self.weigh(&fragment.selection_set, parents)?,
                    None => 0,
                },
            };
            total = total.saturating_add(weight);
        }
        Some(total)
    }

    fn weigh_field(&mut self, field: &Node<Field>, parents: u64) -> Option<u64> {
        let ty = field.ty().inner_named_type().as_str();
        let is_connection = ty.ends_with("Connection");
        // The node of an edge came with its connection.
        let counts = is_connection || (ENTITIES.contains(&ty) && field.name != "node");
        let own = if counts { parents } else { 0 };
        let children = if is_connection { parents.saturating_mul(self.page_size(field)) } else { parents };
        Some(own.saturating_add(self.weigh(&field.selection_set, children)?))
    }

    fn page_size(&self, field: &Field) -> u64 {
        let number = |name| self.argument(field, name)?.as_i64();
        match number("first").or_else(|| number("last")) {
            Some(size) => u64::try_from(size.clamp(1, LARGEST)).unwrap_or(1),
            None => DEFAULT_SIZE as u64,
        }
    }

    fn argument(&self, field: &Field, name: &str) -> Option<Value> {
        self.json(&field.arguments.iter().find(|argument| argument.name == name)?.value, DEEPEST)
    }

    fn arguments(&self, field: &Field) -> Map<String, Value> {
        let value = |value| self.json(value, DEEPEST);
        let arguments = field.arguments.iter();
        arguments.filter_map(|argument| Some((argument.name.to_string(), value(&argument.value)?))).collect()
    }

    fn included(&self, directives: &DirectiveList) -> bool {
        let condition = |directive: &Node<Directive>| {
            let argument = directive.arguments.iter().find(|argument| argument.name == "if")?;
            self.json(&argument.value, 1)?.as_bool()
        };
        directives.iter().all(|directive| match directive.name.as_str() {
            "skip" => condition(directive) != Some(true),
            "include" => condition(directive) != Some(false),
            _ => true,
        })
    }

    /// The JSON of a literal with variables filled in; none for a variable without a value.
    fn json(&self, value: &Ast, depth: u32) -> Option<Value> {
        if depth == 0 {
            return Some(Value::from("…"));
        }
        Some(match value {
            Ast::Null => Value::Null,
            Ast::Enum(name) => Value::from(name.as_str()),
            Ast::String(text) => Value::from(text.as_str()),
            Ast::Boolean(flag) => Value::from(*flag),
            Ast::Int(number) => serde_json::from_str(number.as_str()).unwrap_or(Value::Null),
            Ast::Float(number) => serde_json::from_str(number.as_str()).unwrap_or(Value::Null),
            Ast::Variable(name) => serde_json::to_value(self.variables.get(name.as_str())?).unwrap_or(Value::Null),
            Ast::List(items) => items.iter().map(|item| self.json(item, depth - 1).unwrap_or(Value::Null)).collect(),
            Ast::Object(fields) => Value::Object(
                fields
                    .iter()
                    .filter_map(|(name, value)| Some((name.to_string(), self.json(value, depth - 1)?)))
                    .collect(),
            ),
        })
    }

    fn step(&mut self) -> Option<()> {
        self.steps = self.steps.checked_sub(1)?;
        Some(())
    }
}
