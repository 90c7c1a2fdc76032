//! Bearer tokens: how they look, how they are made, and what is kept of them.
//!
//! `rlc_<id>_<secret>_<crc>`: a fixed prefix that secret scanners can find, a public id for the look-up, a secret of
//! more than 256 bits, and a checksum that lets junk be refused before any look-up (it protects nothing: anyone can
//! compute it). Only a keyed hash of the secret is ever stored. A secret of that size needs no slow hash.

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::id::TenantId;

const PREFIX: &str = "rlc";
const ID: usize = 12;
/// 43 characters of 62 are 256 bits.
const SECRET: usize = 43;
const CRC: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public part of a token: names it in lists, logs and audit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenId {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if is_base62(text, ID) { Ok(Self(text.to_owned())) } else { Err(InvalidToken) }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a token of this product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Rolecall token")]
pub struct InvalidToken;

/// A bearer token as its holder has it. It is shown once and never stored.
#[derive(Clone, Debug)]
pub struct BearerToken {
    id: TokenId,
    secret: SecretString,
}

/// The key under which secrets are hashed; it is no use to a thief of the database alone.
#[derive(Clone)]
pub struct Pepper([u8; 32]);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

impl Pepper {
    /// A pepper derived from a secret text of the configuration.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(blake3::derive_key("rolecall 2026 bearer token pepper", secret))
    }

    /// A key for another purpose that goes with this one.
    pub(crate) fn subkey(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.0)
    }

    /// A name for a secret text that means nothing to who does not have the pepper.
    #[must_use]
    pub fn tag(&self, text: &str) -> TokenHash {
        TokenHash(blake3::keyed_hash(&self.0, text.as_bytes()))
    }
}

/// The pepper in use, and a second one while tokens are moved from one to the other.
#[derive(Clone, Debug)]
pub struct Peppers {
    /// Under which tokens are kept.
    pub current: Pepper,
    /// Whose tokens are good too.
    pub second: Option<Pepper>,
}

impl From<Pepper> for Peppers {
    fn from(current: Pepper) -> Self {
        Self { current, second: None }
    }
}

/// Under which pepper a token is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The one in use.
    Current,
    /// The second one: it is to be kept under the other from now on.
    Second,
}

impl Peppers {
    /// Whether `kept` is the token's hash. It takes the same time whatever the answer is.
    #[must_use]
    pub fn keep(&self, kept: TokenHash, token: &BearerToken) -> Option<Kept> {
        let current = kept == token.hash(&self.current);
        let second = self.second.as_ref().is_some_and(|second| kept == token.hash(second));
        if current { Some(Kept::Current) } else { second.then_some(Kept::Second) }
    }
}

/// What is stored of a token's secret.
///
/// Comparison takes the same time wherever two hashes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHash(blake3::Hash);

impl TokenHash {
    /// The bytes that databases hold.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Reads the bytes that databases hold.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(blake3::Hash::from(bytes)))
    }
}

impl BearerToken {
    /// A new token from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self { id: TokenId(random(ID)), secret: random(SECRET).into() }
    }

    /// The public part.
    #[must_use]
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// The whole token, for its holder alone.
    #[must_use]
    pub fn expose(&self) -> String {
        let body = format!("{PREFIX}_{}_{}", self.id.0, self.secret.expose_secret());
        let crc = checksum(&body);
        format!("{body}_{crc}")
    }

    /// What to store of it.
    #[must_use]
    pub fn hash(&self, pepper: &Pepper) -> TokenHash {
        let mut hasher = blake3::Hasher::new_keyed(&pepper.0);
        hasher.update(self.id.0.as_bytes()).update(b"_").update(self.secret.expose_secret().as_bytes());
        TokenHash(hasher.finalize())
    }
}

impl FromStr for BearerToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (body, crc) = text.rsplit_once('_').ok_or(InvalidToken)?;
        let mut parts = body.split('_');
        let (Some(PREFIX), Some(id), Some(secret), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken);
        };
        if !is_base62(secret, SECRET) || checksum(body) != crc {
            return Err(InvalidToken);
        }
        Ok(Self { id: id.parse()?, secret: secret.to_owned().into() })
    }
}

/// A bearer token that a development set-up fixes beforehand: any text, good for one tenant and every scope.
///
/// It is kept as a hash alone, and compared in constant time.
#[derive(Clone, Debug)]
pub struct FixedToken {
    hash: blake3::Hash,
    tenant: TenantId,
}

impl FixedToken {
    /// The token `text` of `tenant`.
    #[must_use]
    pub fn new(text: &str, tenant: TenantId) -> Self {
        Self { hash: blake3::hash(text.as_bytes()), tenant }
    }

    /// The tenant, if `text` is the token.
    #[must_use]
    pub fn opens(&self, text: &str) -> Option<&TenantId> {
        (blake3::hash(text.as_bytes()) == self.hash).then_some(&self.tenant)
    }
}

fn is_base62(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn random(length: usize) -> String {
    let mut rng = rand::rngs::ThreadRng::default();
    (0..length).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

pub(crate) fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CRC];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{BearerToken, FixedToken, Pepper};
    use crate::id::TenantId;

    #[test]
    fn a_token_reads_back_and_hashes_the_same() {
        let pepper = Pepper::derive(b"pepper");
        let token = BearerToken::generate();
        let again: BearerToken = token.expose().parse().unwrap();
        assert_eq!(again.id(), token.id());
        assert_eq!(again.hash(&pepper), token.hash(&pepper));
        assert_ne!(again.hash(&Pepper::derive(b"other")), token.hash(&pepper));
        assert!(token.expose().starts_with("rlc_") && token.expose().len() == 4 + 12 + 1 + 43 + 1 + 6);
    }

    #[test]
    fn a_changed_token_is_refused_before_any_look_up() {
        let text = BearerToken::generate().expose();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert!(std::str::from_utf8(&changed).unwrap().parse::<BearerToken>().is_err(), "byte {at}");
        }
        for junk in ["", "rlc", "rlc___", "Bearer x", &text[..text.len() - 1], &format!("{text} ")] {
            assert!(junk.parse::<BearerToken>().is_err());
        }
    }

    #[test]
    fn a_fixed_token_opens_its_tenant_alone() {
        let fixed = FixedToken::new("any text", "dev".parse().unwrap());
        assert_eq!(fixed.opens("any text").map(TenantId::as_str), Some("dev"));
        assert_eq!(fixed.opens("any text "), None);
        assert!(!format!("{fixed:?}").contains("any text"));
    }

    #[test]
    fn a_token_does_not_print_its_secret() {
        let token = BearerToken::generate();
        let whole = token.expose();
        let secret = whole.split('_').nth(2).unwrap();
        assert!(!format!("{token:?}").contains(secret));
    }

    #[test]
    fn tokens_are_unique_and_even() {
        let tokens: HashSet<String> = (0..10_000).map(|_| BearerToken::generate().expose()).collect();
        assert_eq!(tokens.len(), 10_000);
        let mut counts = [0_u32; 128];
        tokens.iter().flat_map(|t| t.split('_').nth(2).unwrap().bytes()).for_each(|b| counts[usize::from(b)] += 1);
        let expected = 10_000.0 * 43.0 / 62.0;
        let chi: f64 = counts.iter().filter(|c| **c > 0).map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
        assert!(chi < 150.0, "61 degrees of freedom: {chi} has a chance below one in a hundred million");
    }
}
