//! Event streams.

use forebay::provider::sse::{Decoder, TooLarge};

/// What the decoder may keep in this target; small, so that inputs reach it.
const MAX_EVENT: usize = 4096;

/// Names and ids are kept too, at most one KiB of each.
const MAX_KEPT: usize = 2 * MAX_EVENT + 2 * 1024;

type Events = (Vec<(Vec<u8>, Vec<u8>)>, Result<(), TooLarge>);

/// Takes a stream apart as a whole, byte by byte and in uneven chunks.
pub fn sse(stream: &[u8]) {
    let whole = events_of(std::iter::once(stream));
    let bytes: usize = whole.0.iter().map(|(_, data)| data.len()).sum();
    assert!(bytes <= stream.len(), "data come from the stream only");
    assert_eq!(events_of(stream.chunks(1)), whole, "byte by byte");
    assert_eq!(events_of(uneven(stream).into_iter()), whole, "in chunks");
}

fn events_of<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Events {
    let mut decoder = Decoder::with_max_event(MAX_EVENT);
    let mut events = Vec::new();
    for mut chunk in chunks {
        loop {
            match decoder.next(&mut chunk) {
                Ok(Some(event)) => events.push((event.name.to_vec(), event.data.to_vec())),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
        assert!(chunk.is_empty(), "a chunk is used up");
        assert!(decoder.buffered() <= MAX_KEPT, "{}", decoder.buffered());
    }
    match decoder.finish() {
        Ok(Some(event)) => events.push((event.name.to_vec(), event.data.to_vec())),
        Ok(None) => {}
        Err(error) => return (events, Err(error)),
    }
    (events, Ok(()))
}

/// Chunks of 0 to 15 bytes, whose lengths follow from the bytes.
fn uneven(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut state = rest.len() as u64;
    while !rest.is_empty() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(u64::from(rest[0]) + 1);
        let (chunk, after) = rest.split_at(rest.len().min((state >> 60) as usize));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}
