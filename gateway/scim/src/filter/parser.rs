//! Builds the tree, with a stack of its own instead of recursion.

use super::lexer::{Lexer, Spanned, Token, literal};
use super::{Comparison, Filter, InvalidFilter, MAX_DEPTH, MAX_LENGTH, MAX_NODES, Operator};
use crate::leniency::{Leniency, Mode};
use crate::path::{AttrPath, Path, is_sub_name};

/// A group that is still open: what closes it, the finished alternatives, and what was read of the next one.
struct Frame {
    group: Group,
    alternatives: Option<Filter>,
    terms: Option<Filter>,
}

impl Frame {
    fn new(group: Group) -> Self {
        Self { group, alternatives: None, terms: None }
    }
}

/// All of what was read so far, and `term`.
fn and(terms: Option<Filter>, term: Filter) -> Filter {
    match terms {
        None => term,
        Some(terms) => terms.and(term),
    }
}

/// One of what was read so far, or `term`.
fn or(alternatives: Option<Filter>, term: Filter) -> Filter {
    match alternatives {
        None => term,
        Some(alternatives) => alternatives.or(term),
    }
}

enum Group {
    /// The whole text.
    Whole,
    /// The filter of a PATCH path, up to its `]`.
    PathFilter,
    /// `( … )` or `not ( … )`.
    Parentheses { negated: bool },
    /// `attribute[ … ]`.
    Element(AttrPath),
}

impl Group {
    fn is_closed_by(&self, token: Token<'_>) -> bool {
        match self {
            Self::Whole => token == Token::End,
            Self::Parentheses { .. } => token == Token::Close,
            Self::PathFilter | Self::Element(_) => token == Token::CloseBracket,
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Whole => "'and', 'or' or the end",
            Self::Parentheses { .. } => "'and', 'or' or ')'",
            Self::PathFilter | Self::Element(_) => "'and', 'or' or ']'",
        }
    }
}

/// What stands where a term may.
enum Operand {
    Term(Filter),
    /// A group that begins here.
    Group(Group),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    mode: Mode,
    nodes: usize,
}

pub(super) fn filter(text: &str, mode: Mode) -> Result<Filter, InvalidFilter> {
    if text.len() > MAX_LENGTH {
        return Err(InvalidFilter { span: MAX_LENGTH..text.len(), found: "more", expected: "at most 8192 bytes" });
    }
    Parser { lexer: Lexer::new(text), mode, nodes: 0 }.expression(Group::Whole)
}

pub(super) fn path(text: &str, mode: Mode) -> Result<Path, InvalidFilter> {
    let mut parser = Parser { lexer: Lexer::new(text), mode, nodes: 0 };
    let name = parser.lexer.next()?;
    let attribute = attr_path(&name)?;
    let next = parser.lexer.next()?;
    let path = match next.token {
        Token::End => return Ok(Path { attribute, filter: None, sub: None }),
        Token::OpenBracket if attribute.sub.is_none() => {
            let filter = parser.expression(Group::PathFilter)?;
            let sub = parser.sub_after_bracket()?;
            Path { attribute, filter: Some(filter), sub }
        }
        _ => return Err(next.refuse("'[' or the end")),
    };
    match parser.lexer.next()? {
        Spanned { token: Token::End, .. } => Ok(path),
        other => Err(other.refuse("the end")),
    }
}

impl Parser<'_> {
    fn expression(&mut self, group: Group) -> Result<Filter, InvalidFilter> {
        // The group that is read now, and those around it.
        let (mut frame, mut outer) = (Frame::new(group), Vec::new());
        loop {
            let mut term = match self.operand(&frame, &outer)? {
                Operand::Term(term) => term,
                Operand::Group(group) => {
                    outer.push(std::mem::replace(&mut frame, Frame::new(group)));
                    continue;
                }
            };
            // A term may close groups, each of which is a term of the group around it.
            loop {
                let next = self.lexer.next()?;
                if next.token.is_word("and") {
                    frame.terms = Some(and(frame.terms, term));
                    break;
                }
                if next.token.is_word("or") {
                    frame.alternatives = Some(or(frame.alternatives, and(frame.terms, term)));
                    frame.terms = None;
                    break;
                }
                if !frame.group.is_closed_by(next.token) {
                    return Err(next.refuse(frame.group.expected()));
                }
                let Frame { group, alternatives, terms } = frame;
                term = self.close(group, or(alternatives, and(terms, term)), outer.len())?;
                let Some(around) = outer.pop() else { return Ok(term) };
                frame = around;
            }
        }
    }

    /// Reads one comparison, or what opens a group.
    fn operand(&mut self, frame: &Frame, outer: &[Frame]) -> Result<Operand, InvalidFilter> {
        let token = self.lexer.next()?;
        self.count(&token)?;
        let group = match token.token {
            Token::Open => Group::Parentheses { negated: false },
            Token::Word(_) => {
                let next = self.lexer.next_byte();
                if next == Some(b'(') && token.token.is_word("not") {
                    self.lexer.next()?;
                    Group::Parentheses { negated: true }
                } else {
                    let path = attr_path(&token)?;
                    if next != Some(b'[') {
                        return self.comparison(path).map(Operand::Term);
                    }
                    let in_brackets = |frame: &Frame| matches!(frame.group, Group::Element(_) | Group::PathFilter);
                    let bracket = self.lexer.next()?;
                    if in_brackets(frame) || outer.iter().any(in_brackets) || path.sub.is_some() {
                        return Err(bracket.refuse("an operator"));
                    }
                    Group::Element(path)
                }
            }
            _ => return Err(token.refuse("an attribute, 'not (' or '('")),
        };
        if outer.len() >= MAX_DEPTH {
            return Err(InvalidFilter { span: token.span, found: "more", expected: "at most 32 levels of brackets" });
        }
        Ok(Operand::Group(group))
    }

    /// The operator and value behind `path`.
    fn comparison(&mut self, path: AttrPath) -> Result<Filter, InvalidFilter> {
        const OPERATORS: &str = "one of eq, ne, co, sw, ew, gt, ge, lt, le, pr";
        let word = self.lexer.next()?;
        if word.token.is_word("pr") {
            return Ok(Filter::Present(path));
        }
        let Token::Word(text) = word.token else { return Err(word.refuse(OPERATORS)) };
        let operator = Operator::parse(text).ok_or_else(|| word.refuse(OPERATORS))?;
        let value = self.lexer.next()?;
        let literal = literal(value.token, self.mode.allows(Leniency::BareText))
            .ok_or_else(|| value.refuse("a quoted text, a number, true, false or null"))?;
        Ok(Filter::Compare(path, Comparison { operator, literal }))
    }

    /// What a closed group means to the one around it, which is `depth` deep.
    fn close(&mut self, group: Group, inner: Filter, depth: usize) -> Result<Filter, InvalidFilter> {
        let path = match group {
            Group::Whole | Group::PathFilter | Group::Parentheses { negated: false } => return Ok(inner),
            Group::Parentheses { negated: true } => return Ok(Filter::Not(Box::new(inner))),
            Group::Element(path) => path,
        };
        let before = self.lexer.clone();
        let Some(sub) = self.sub_after_bracket()? else { return Ok(Filter::Element(path, Box::new(inner))) };
        let start = before.peek()?;
        // `x[a].b eq c` is `x[a and b eq c]`. If `a` is an `or`, the canonical text has one more group.
        if !self.mode.allows(Leniency::SubAfterBracket) || depth >= MAX_DEPTH {
            return Err(start.refuse("'and', 'or' or the end"));
        }
        self.count(&start)?;
        if matches!(inner, Filter::Or(_)) {
            self.count(&start)?;
        }
        let last = self.comparison(AttrPath { urn: None, name: sub, sub: None })?;
        Ok(Filter::Element(path, Box::new(inner.and(last))))
    }

    /// The name in a `.name` that follows a `]` at once.
    fn sub_after_bracket(&mut self) -> Result<Option<String>, InvalidFilter> {
        if !self.lexer.rest().starts_with('.') {
            return Ok(None);
        }
        let word = self.lexer.next()?;
        match word.token {
            Token::Word(text) if is_sub_name(&text[1..]) => Ok(Some(text[1..].to_owned())),
            _ => Err(word.refuse("the name of a sub-attribute")),
        }
    }

    fn count(&mut self, at: &Spanned<'_>) -> Result<(), InvalidFilter> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let expected = "at most 200 comparisons and groups";
            return Err(InvalidFilter { span: at.span.clone(), found: "more", expected });
        }
        Ok(())
    }
}

fn attr_path(word: &Spanned<'_>) -> Result<AttrPath, InvalidFilter> {
    let expected = "the name of an attribute";
    match word.token {
        Token::Word(text) => AttrPath::parse(text).ok_or_else(|| word.refuse(expected)),
        _ => Err(word.refuse(expected)),
    }
}
