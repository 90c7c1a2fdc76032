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

    /// The first byte of the next token; `None` at the end.
    pub(super) fn next_byte(&self) -> Option<u8> {
        self.rest().bytes().find(|byte| !byte.is_ascii_whitespace())
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
                let ends =
                    |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C | b'(' | b')' | b'[' | b']' | b'"');
                let length = trimmed.bytes().position(ends).unwrap_or(trimmed.len());
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
        Token::Quoted(text) => match text.get(1..text.len() - 1) {
            // What has neither escapes nor control characters means itself.
            Some(inner) if inner.bytes().all(|byte| byte >= b' ' && byte != b'\\') => {
                Some(Literal::Text(inner.to_owned()))
            }
            _ => serde_json::from_str::<String>(text).ok().filter(|text| !text.contains('\0')).map(Literal::Text),
        },
        Token::Word("true") => Some(Literal::Boolean(true)),
        Token::Word("false") => Some(Literal::Boolean(false)),
        Token::Word("null") => Some(Literal::Null),
        Token::Word(word) if is_number(word) => Some(Literal::Number(word.to_owned())),
        Token::Word(word) => (bare && !word.contains('\0')).then(|| Literal::Text(word.to_owned())),
        _ => None,
    }
}

/// Whether it is a JSON number, of a size that a number here can have.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        && word.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Token, is_number, literal};
    use crate::filter::Literal;

    proptest! {
        #[test]
        fn a_number_is_what_json_takes_for_one(word in "-?[0-9]{0,3}[.]?[0-9]{0,2}([eE][-+]?[0-9]{0,4})?|[-+.eE0-9]{1,8}") {
            prop_assert_eq!(is_number(&word), serde_json::from_str::<serde_json::Number>(&word).is_ok());
        }

        #[test]
        fn a_quoted_text_means_what_json_has_it_mean(inner in "([a-zé \u{0}-\u{1f}]|\\\\[\"\\\\nux]|\\\\u00e9){0,8}") {
            let quoted = format!("\"{inner}\"");
            let json = serde_json::from_str::<String>(&quoted).ok().filter(|text| !text.contains('\0'));
            prop_assert_eq!(literal(Token::Quoted(&quoted), false), json.map(Literal::Text));
        }
    }
}
