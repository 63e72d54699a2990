//! What makes two requests the same.

use crate::answers::Asked;
use crate::fields::members;

/// Members that only say how the answer travels.
const TRAVEL: [&str; 2] = ["stream", "stream_options"];

/// The name of a request: a hash of where it goes and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

impl Key {
    /// The BLAKE3 hash of dialect, scope, path and the body's members as they are written, each
    /// with its length before it, so that no two of them run into each other.
    ///
    /// A request for a stream has the key of the same request without one. No key is part of
    /// it, and headers only as far as the scope names them.
    pub(super) fn of(scope: &str, asked: &Asked) -> Key {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        };
        add(asked.dialect.name().as_bytes());
        add(scope.as_bytes());
        add(plain_path(&asked.path).as_bytes());
        let body = std::str::from_utf8(&asked.body).ok();
        match body.and_then(|body| members(body).ok()) {
            Some(members) => {
                for (name, value) in members {
                    if !TRAVEL.contains(&&*name) {
                        add(name.as_bytes());
                        add(value.get().as_bytes());
                    }
                }
            }
            None => add(&asked.body),
        }
        Key(*hasher.finalize().as_bytes())
    }
}

/// Gemini asks for a stream by the path.
fn plain_path(path: &str) -> String {
    path.replace(":streamGenerateContent?alt=sse", ":generateContent")
}
