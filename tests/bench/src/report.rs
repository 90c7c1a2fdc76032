//! The table people read, and the lines of JSON that programs do.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

/// What was measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    json: Option<File>,
    section: &'static str,
    columns: Vec<&'static str>,
    missed: Vec<String>,
}

/// What a row is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The column is to be this or more.
    AtLeast(&'static str, f64),
    /// The column is to be less than this.
    Below(&'static str, f64),
}

const NAME: usize = 48;

impl Report {
    /// Writes lines of JSON to `json`, if that is given.
    pub(crate) fn new(bench: &'static str, json: Option<&Path>) -> Result<Self> {
        let json = json.map(|path| File::create(path).with_context(|| format!("making {}", path.display())));
        Ok(Self { bench, json: json.transpose()?, section: "", columns: Vec::new(), missed: Vec::new() })
    }

    /// Begins a table.
    pub(crate) fn section(&mut self, name: &'static str, about: &str, columns: &[&'static str]) {
        (self.section, self.columns) = (name, columns.to_vec());
        println!("\n{about}");
        print!("{:NAME$}", "");
        for column in columns {
            print!("{column:>14}");
        }
        println!();
    }

    /// Adds a row, a value for each column; one that is not a number stands for nothing.
    pub(crate) fn row(&mut self, name: &str, values: &[f64], goal: Option<Goal>) -> Result<()> {
        print!("{name:NAME$}");
        for value in values {
            print!("{:>14}", text(*value));
        }
        let mut line = Map::from_iter([
            ("bench".to_owned(), json!(self.bench)),
            ("section".to_owned(), json!(self.section)),
            ("row".to_owned(), json!(name)),
        ]);
        line.extend(self.columns.iter().zip(values).map(|(column, value)| ((*column).to_owned(), json!(value))));
        if let Some(goal) = goal {
            let met = self.met(goal, values);
            let (column, bound) = goal.parts();
            print!("   goal: {column} {bound}, {}", if met { "met" } else { "MISSED" });
            if !met {
                self.missed.push(format!("{}, {name}: {column} {bound}", self.section));
            }
            line.insert("goal".to_owned(), json!({"column": column, "bound": bound, "met": met}));
        }
        println!();
        match &mut self.json {
            Some(file) => writeln!(file, "{}", Value::Object(line)).context("writing a line of JSON"),
            None => Ok(()),
        }
    }

    /// Says which goals were missed.
    pub(crate) fn end(&self) {
        println!();
        match self.missed.as_slice() {
            [] => println!("All goals are met."),
            missed => missed.iter().for_each(|goal| println!("MISSED: {goal}")),
        }
    }

    fn met(&self, goal: Goal, values: &[f64]) -> bool {
        let column = match goal {
            Goal::AtLeast(column, _) | Goal::Below(column, _) => column,
        };
        let at = self.columns.iter().position(|it| *it == column);
        let value = at.and_then(|at| values.get(at)).copied().unwrap_or(f64::NAN);
        match goal {
            Goal::AtLeast(_, bound) => value >= bound,
            Goal::Below(_, bound) => value < bound,
        }
    }
}

impl Goal {
    fn parts(self) -> (&'static str, String) {
        match self {
            Self::AtLeast(column, bound) => (column, format!(">= {bound}")),
            Self::Below(column, bound) => (column, format!("< {bound}")),
        }
    }
}

/// Three digits or so are true; the rest is noise.
fn text(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
