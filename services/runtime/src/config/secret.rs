//! Secrets in a configuration: named by file or environment variable, and never printed.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny};

/// The end of a message that says what would be right.
const RIGHT: &str = "; expected { file = \"/run/secrets/x\" } or { env = \"NAME\" }";

/// A secret text: `{ file = "/run/secrets/x" }` or `{ env = "NAME" }`. It never stands in the configuration itself, which
/// is read, copied and kept by more people than may know it.
///
/// It is read when the configuration is. One line end at the end of a file is not part of it.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A secret made by the program itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The secret itself: for the one place that presents or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is kept.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, expecting = "a secret, which is { file = \"/run/secrets/x\" } or { env = \"NAME\" }")]
struct Place {
    file: Option<PathBuf>,
    env: Option<String>,
    /// The secret itself, which is refused.
    value: Option<IgnoredAny>,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Place::deserialize(deserializer)? {
            Place { value: Some(IgnoredAny), .. } => {
                return Err(D::Error::custom(format!("the secret stands in the configuration itself{RIGHT}")));
            }
            Place { file: Some(file), env: None, .. } => {
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| D::Error::custom(format!("{} cannot be read: {error}", file.display())))?;
                let line =
                    text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
                SecretString::from(line)
            }
            Place { file: None, env: Some(name), .. } => {
                let text = std::env::var(&name)
                    .map_err(|_| D::Error::custom(format!("the environment has no variable {name} with a text")))?;
                SecretString::from(text)
            }
            Place { .. } => return Err(D::Error::custom(format!("it names no place, or two{RIGHT}"))),
        };
        if text.expose_secret().is_empty() {
            return Err(D::Error::custom("the secret is empty"));
        }
        Ok(Self(text))
    }
}

/// A secret key of 32 bytes, kept where a [`Secret`] is, written as 64 hexadecimal digits (`openssl rand -hex 32`).
pub struct SecretBytes(SecretBox<[u8; 32]>);

impl SecretBytes {
    /// A key made by the program itself.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(key)))
    }

    /// Reads 64 hexadecimal digits; `None` if it is anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let mut key = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(Self::new(key))
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl Clone for SecretBytes {
    fn clone(&self) -> Self {
        Self::new(*self.expose())
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(deserializer)?;
        Self::from_hex(secret.expose()).ok_or_else(|| {
            D::Error::custom("the key is not 64 hexadecimal digits, as `openssl rand -hex 32` prints them")
        })
    }
}
