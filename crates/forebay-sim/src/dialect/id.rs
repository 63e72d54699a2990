//! Ids that look like the providers' own.
//!
//! Owns their form. Never decides which number an id has.

use serde::Serialize;

/// A prefix and a number as an id of base-62 digits, as long as the real ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    pub(super) prefix: &'a str,
    pub(super) number: u64,
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = [b'0'; 24];
        // Two odd multipliers, so that both halves differ from one number to the next.
        let halves = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];
        for (half, multiplier) in id.chunks_mut(12).zip(halves) {
            let mut rest = (self.number ^ multiplier).wrapping_mul(multiplier);
            rest ^= rest >> 32;
            for digit in half {
                *digit = DIGITS[(rest % 62) as usize];
                rest /= 62;
            }
        }
        f.write_str(self.prefix)?;
        f.write_str(std::str::from_utf8(&id).unwrap_or_default())
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn request_id(id: u64) -> Id<'static> {
    Id {
        prefix: "req_",
        number: !id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<String> =
            (0..10_000).map(|id| request_id(id).to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 28));
    }
}
