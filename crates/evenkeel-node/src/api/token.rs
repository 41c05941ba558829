//! The bearer token of the HTTP API.

use std::env::VarError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::TOKEN_VARIABLE;

/// Fewest characters of a token.
const SHORTEST: usize = 16;

/// A token, kept only as its hash: it cannot leak from here, and comparing takes the same time whatever is given.
#[derive(Clone)]
pub struct Token(blake3::Hash);

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read.
    #[error(
        "cannot read the HTTP token from {path}: {error}; write one there (`openssl rand -hex 32`), or unset \
         http.token_file"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It could be guessed.
    #[error(
        "the HTTP token has {length} characters, and needs at least {SHORTEST}: make one with `openssl rand -hex 32`"
    )]
    TooShort {
        /// Its length.
        length: usize,
    },
    /// No header could carry it.
    #[error("the HTTP token holds spaces or unprintable characters: make one with `openssl rand -hex 32`")]
    Unprintable,
}

impl Token {
    /// This token; spaces and newlines around it do not count.
    pub fn new(text: &str) -> Result<Token, TokenError> {
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(TokenError::TooShort { length: text.len() });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unprintable);
        }
        Ok(Token(blake3::hash(text.as_bytes())))
    }

    /// The token of this node: the one in the configured file or, without one, in the environment.
    pub fn find(file: Option<&Path>) -> Result<Option<Token>, TokenError> {
        match (file, std::env::var(TOKEN_VARIABLE)) {
            (Some(file), _) => Token::from_file(file).map(Some),
            (None, Ok(text)) if !text.is_empty() => Token::new(&text).map(Some),
            (None, Err(VarError::NotUnicode(_))) => Err(TokenError::Unprintable),
            (None, _) => Ok(None),
        }
    }

    /// The token in a file.
    pub fn from_file(path: &Path) -> Result<Token, TokenError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| TokenError::Unreadable { path: path.to_owned(), error })?;
        Token::new(&text)
    }

    /// Whether this is the token, in constant time.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        // `blake3::Hash` compares in constant time.
        self.0 == blake3::hash(given)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token::new(" 0123456789abcdef\n").expect("a token");
        assert!(token.is(b"0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdeF") && !token.is(b"") && !token.is(b"0123456789abcdef\n"));
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn a_token_that_could_be_guessed_or_not_be_sent_is_refused() {
        assert!(matches!(Token::new("secret"), Err(TokenError::TooShort { length: 6 })));
        assert!(matches!(Token::new("0123456789 abcdef"), Err(TokenError::Unprintable)));
        let missing = Token::from_file(Path::new("/nonexistent/token")).expect_err("no file");
        assert!(missing.to_string().contains("/nonexistent/token"), "{missing}");
    }
}
