//! Bodies that a server or something on the way has packed, though nobody asked for it.
//!
//! Owns unpacking within a cap. Never guesses: what the headers do not name is left as it is.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use crate::headers::Headers;

/// The body as it was before packing.
///
/// # Errors
/// What is wrong with it, without any of its content.
pub(super) fn unpack(headers: &Headers, body: Bytes, most: usize) -> Result<Bytes, String> {
    let mut names = headers
        .all("content-encoding")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
    let Some(name) = names.next() else {
        return Ok(body);
    };
    let is_gzip = name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip");
    if !is_gzip || names.next().is_some() {
        let known: String = String::from_utf8_lossy(name).chars().take(32).collect();
        return Err(format!(
            "the answer is packed in a way that was not asked for: {known:?}"
        ));
    }
    let mut unpacked = Vec::new();
    let limit = most as u64 + 1;
    match MultiGzDecoder::new(&body[..])
        .take(limit)
        .read_to_end(&mut unpacked)
    {
        Err(error) => Err(format!("the answer is no whole gzip: {error}")),
        Ok(n) if n > most => Err(format!(
            "the answer is larger than {} MiB when unpacked",
            most >> 20
        )),
        Ok(_) => Ok(unpacked.into()),
    }
}
