//! Cuts a filter or a PATCH path into tokens.

use std::ops::Range;

use super::{InvalidFilter, Literal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name, an operator, or a value without quotation marks: everything up to a space, bracket or quotation mark.
    Word(&'a str),
    /// A JSON string with its quotation marks.
    Quoted(&'a str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    End,
}

impl Token<'_> {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Word(_) => "a word",
            Self::Quoted(_) => "a quoted text",
            Self::Open => "'('",
            Self::Close => "')'",
            Self::OpenBracket => "'['",
            Self::CloseBracket => "']'",
            Self::End => "the end",
        }
    }

    pub(super) fn is_word(self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text.eq_ignore_ascii_case(word))
    }
}

/// A token and the bytes it stands at.
#[derive(Clone, Debug)]
pub(super) struct Spanned<'a> {
    pub(super) token: Token<'a>,
    pub(super) span: Range<usize>,
}

impl Spanned<'_> {
    pub(super) fn refuse(&self, expected: &'static str) -> InvalidFilter {
        InvalidFilter { span: self.span.clone(), found: self.token.describe(), expected }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The rest of the text, spaces included.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Result<Spanned<'a>, InvalidFilter> {
        self.clone().next()
    }

    pub(super) fn next(&mut self) -> Result<Spanned<'a>, InvalidFilter> {
        let rest = self.rest();
        let trimmed = rest.trim_ascii_start();
        let start = self.at + (rest.len() - trimmed.len());
        let (token, length) = match trimmed.as_bytes().first() {
            None => (Token::End, 0),
            Some(b'(') => (Token::Open, 1),
            Some(b')') => (Token::Close, 1),
            Some(b'[') => (Token::OpenBracket, 1),
            Some(b']') => (Token::CloseBracket, 1),
            Some(b'"') => {
                let length = quoted_length(trimmed).ok_or(InvalidFilter {
                    span: start..self.text.len(),
                    found: "a quoted text without an end",
                    expected: "'\"'",
                })?;
                (Token::Quoted(&trimmed[..length]), length)
            }
            Some(_) => {
                let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"');
                let length = trimmed.find(ends).unwrap_or(trimmed.len());
                (Token::Word(&trimmed[..length]), length)
            }
        };
        self.at = start + length;
        Ok(Spanned { token, span: start..self.at })
    }
}

/// How many bytes the JSON string at the start of `text` takes, quotation marks included.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Reads a token as a value: a JSON string, number, boolean or `null`, or text without quotation marks.
///
/// `None` if it is none of these, or bare text where that is not allowed.
pub(super) fn literal(token: Token<'_>, bare: bool) -> Option<Literal> {
    match token {
        Token::Quoted(text) => {
            serde_json::from_str::<String>(text).ok().filter(|text| !text.contains('\0')).map(Literal::Text)
        }
        Token::Word("true") => Some(Literal::Boolean(true)),
        Token::Word("false") => Some(Literal::Boolean(false)),
        Token::Word("null") => Some(Literal::Null),
        Token::Word(word) if serde_json::from_str::<serde_json::Number>(word).is_ok() => {
            Some(Literal::Number(word.to_owned()))
        }
        Token::Word(word) => (bare && !word.contains('\0')).then(|| Literal::Text(word.to_owned())),
        _ => None,
    }
}
