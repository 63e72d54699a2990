//! The decoder by literals, and that chunks make no difference.

use proptest::prelude::*;

use super::*;

/// Events as name and data, the bytes given in these chunks; the last one may be unfinished.
fn events_of<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<(String, String)>, TooLarge> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    let mut note = |event: Event<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        events.push((text(event.name), text(event.data)));
    };
    for mut chunk in chunks {
        while let Some(event) = decoder.next(&mut chunk)? {
            note(event);
        }
        assert!(chunk.is_empty());
    }
    if let Some(event) = decoder.finish()? {
        note(event);
    }
    Ok(events)
}

fn events(stream: &str) -> Vec<(String, String)> {
    events_of([stream.as_bytes()]).unwrap()
}

fn data(stream: &str) -> Vec<String> {
    events(stream).into_iter().map(|(_, data)| data).collect()
}

#[test]
fn fields_and_line_ends_are_read_as_the_standard_says() {
    for (stream, want) in [
        ("data: a\n\n", &["a"][..]),
        ("data:a\r\rdata: b\r\n\r\n", &["a", "b"]),
        ("data:  a \n\n", &[" a "]),
        ("data: a\ndata\ndata:b\n\n", &["a\n\nb"]),
        ("data\n\n", &[""]),
        ("\n\n: comment\n\n:\ndata: a\n: in between\n\n", &["a"]),
        ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]),
        ("datas: x\n data: y\nother\n\ndata: a:b\n\n", &["a:b"]),
        ("data: without an end", &["without an end"]),
        ("data: a\n\ndata: b\n", &["a", "b"]),
        ("event: only a name\n\n", &[]),
        ("", &[]),
        ("\r\n\r\n\n", &[]),
    ] {
        assert_eq!(data(stream), want, "{stream:?}");
    }
}

#[test]
fn a_name_belongs_to_one_event() {
    let named = |name: &str, data: &str| (name.to_owned(), data.to_owned());
    assert_eq!(
        events("event: x\ndata: 1\n\ndata: 2\n\nevent: lost\n\nevent: y\nevent: z\ndata: 3\n\n"),
        [named("x", "1"), named("", "2"), named("z", "3")]
    );
}

#[test]
fn ids_and_waits_are_kept() {
    let mut decoder = Decoder::default();
    let mut chunk =
        &b"id: 1\nretry: 250\nretry: -1\nid: a\0b\nretry:\nretry: 99999999999999999999\n"[..];
    assert_eq!(decoder.next(&mut chunk), Ok(None));
    assert_eq!(
        (decoder.last_id(), decoder.retry_ms()),
        (&b"1"[..], Some(250))
    );
}

#[test]
fn an_event_within_a_chunk_is_not_copied() {
    let stream = b"data: a long line of data\n\n";
    let mut decoder = Decoder::default();
    let mut chunk = &stream[..];
    let event = decoder.next(&mut chunk).unwrap().unwrap();
    assert!(stream.as_ptr_range().contains(&event.data.as_ptr()));
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn json_between_events_is_kept_until_the_next_data() {
    for (stream, want) in [
        ("{\"a\":\n 1}", "{\"a\":\n 1}\n"),
        ("data: x\n\n: c\r\n  [\r\n: c\r\n\r\n1]\r\n", "  [\n\n1]\n"),
        ("{}\ndata: x\n\n", ""),
        ("data: x\n{}\n", ""),
        ("other {}\n1\n", ""),
    ] {
        for size in [1, 2, 1_000] {
            let mut decoder = Decoder::default();
            for mut chunk in stream.as_bytes().chunks(size) {
                while decoder.next(&mut chunk).unwrap().is_some() {}
            }
            decoder.finish().unwrap();
            let have = String::from_utf8_lossy(decoder.stray_json());
            assert_eq!(have, want, "{stream:?} by {size}");
        }
    }
}

#[test]
fn nothing_is_kept_beyond_the_cap() {
    let endless = |piece: &[u8]| {
        let mut decoder = Decoder::with_max_event(1_000);
        for _ in 0..2_000 {
            let mut chunk = piece;
            if decoder.next(&mut chunk).is_err() {
                assert_eq!((decoder.buffered(), decoder.finish()), (0, Err(TooLarge)));
                return;
            }
            assert!(decoder.buffered() <= 2_000, "{}", decoder.buffered());
        }
        panic!("{piece:?} may go on for ever");
    };
    endless(b"data: x");
    endless(b"data: x\n");
    endless(b"data:\r");
    endless(b": keep-alive");
    endless(b"{\n");
    let long = [b"event: ", &[b'x'; 2_000][..], b"\n"].concat();
    assert_eq!(Decoder::default().next(&mut &long[..]), Err(TooLarge));
    let fits = [b"data:", &[b'x'; 900][..], b"\n\n"].concat().repeat(100);
    let (mut decoder, mut chunk) = (Decoder::with_max_event(1_000), &fits[..]);
    let mut n = 0;
    while decoder.next(&mut chunk).unwrap().is_some() {
        n += 1;
    }
    assert_eq!(n, 100);
}

proptest! {
    /// However a stream is cut into chunks, the events are the same.
    #[test]
    fn chunks_make_no_difference(
        stream in "(\u{feff})?(data|event|id|:| |x|é|\r|\n|\r\n|\0|\\{){0,60}",
        cuts in prop::collection::vec(0usize..200, 0..12),
    ) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let whole = events_of([bytes]);
        prop_assert_eq!(events_of(pieces), whole.clone());
        prop_assert_eq!(events_of(bytes.chunks(1)), whole);
    }
}
