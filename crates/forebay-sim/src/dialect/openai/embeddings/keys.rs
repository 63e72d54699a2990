//! The names of the inputs of one call, by which a client may know them apart.
//!
//! Owns their definition: the hash of the body as it would be with that input alone, that is, with
//! the input as it is written in the place of the whole list. Never looks at an answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::log::key_of;

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
}

/// The key of each input of a list; none when the input is no list of texts or of lists.
pub(crate) fn keys(body: &[u8]) -> Vec<u128> {
    let Ok(Asked { input }) = serde_json::from_slice::<Asked<'_>>(body) else {
        return Vec::new();
    };
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(input.get()) else {
        return Vec::new();
    };
    if !list.iter().all(|one| one.get().starts_with(['"', '['])) {
        return Vec::new();
    }
    // The value is a part of the body.
    let start = input.get().as_ptr() as usize - body.as_ptr() as usize;
    let (before, after) = (&body[..start], &body[start + input.get().len()..]);
    list.iter()
        .map(|one| key_of(&[before, one.get().as_bytes(), after].concat()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inputs_key_is_that_of_the_body_with_it_alone() {
        let body = br#"{"model":"m", "input": [ "a\"", "b" ],"encoding_format":"base64"}"#;
        let alone = [
            br#"{"model":"m", "input": "a\"","encoding_format":"base64"}"#.as_slice(),
            br#"{"model":"m", "input": "b","encoding_format":"base64"}"#,
        ];
        assert_eq!(keys(body), alone.map(key_of));
        for body in [
            r#"{"input":"a"}"#,
            r#"{"input":[1,2]}"#,
            r#"{"input":[]}"#,
            "{}",
            "no JSON",
        ] {
            assert_eq!(keys(body.as_bytes()), [], "{body}");
        }
    }
}
