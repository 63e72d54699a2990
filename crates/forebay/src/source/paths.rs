//! The paths that OpenAI Batch files name, and the dialects behind them.
//!
//! Owns that list. Never joins a path to a base URL.

use crate::endpoint::Dialect;

/// The paths that can be asked, as OpenAI's Batch API names them.
///
/// The others of its list (completions, moderations, images, videos) have answers that no dialect
/// here reads.
const KNOWN: [(&str, Dialect); 3] = [
    ("/v1/chat/completions", Dialect::Chat),
    ("/v1/responses", Dialect::Responses),
    ("/v1/embeddings", Dialect::Embeddings),
];

/// The dialect behind a path; Azure's files leave the version out.
pub(super) fn dialect_of(path: &str) -> Option<Dialect> {
    let without = |known: &'static str| known.trim_start_matches("/v1");
    KNOWN
        .into_iter()
        .find(|(known, _)| path == *known || path == without(known))
        .map(|(_, dialect)| dialect)
}

/// The known paths, for a message.
pub(super) fn known() -> String {
    KNOWN.map(|(path, _)| path).join(", ")
}
