//! What answers are made of, in one piece and in many.

use proptest::prelude::*;

use super::*;

/// What a reader makes of bytes: statuses and bodies, and what is wrong in the end.
#[derive(Debug, Default, PartialEq)]
struct Read {
    answers: Vec<(u16, Vec<u8>)>,
    wrong: Option<Wrong>,
    between: bool,
    cut: bool,
}

/// Reads bytes that arrive in pieces of this size, and then the end of the connection.
fn read(bytes: &[u8], size: usize) -> Read {
    let mut reader = AnswerReader::default();
    let mut read = Read::default();
    let mut body: Option<(u16, Vec<u8>)> = None;
    for piece in bytes.chunks(size) {
        reader.push(piece);
        if let Err(wrong) = step(&mut reader, &mut read, &mut body) {
            read.wrong = Some(wrong);
            return read;
        }
    }
    read.between = reader.is_between();
    let is_whole = reader.ended();
    match body.take() {
        Some(answer) if is_whole => read.answers.push(answer),
        body => read.cut = body.is_some(),
    }
    read
}

fn step(
    reader: &mut AnswerReader,
    read: &mut Read,
    body: &mut Option<(u16, Vec<u8>)>,
) -> Result<(), Wrong> {
    loop {
        let Some((_, bytes)) = body else {
            let Some(head) = reader.head()? else {
                return Ok(());
            };
            *body = Some((head.status.as_u16(), Vec::new()));
            continue;
        };
        match reader.piece()? {
            Piece::Bytes(piece) => bytes.extend_from_slice(&piece),
            Piece::More => return Ok(()),
            Piece::End => read.answers.extend(body.take()),
        }
    }
}

fn whole(bytes: &str) -> Read {
    let whole = read(bytes.as_bytes(), usize::MAX);
    for size in [1, 2, 3, 7, 16] {
        assert_eq!(read(bytes.as_bytes(), size), whole, "in pieces of {size}");
    }
    whole
}

fn answers(bytes: &str) -> Vec<(u16, String)> {
    let read = whole(bytes);
    assert_eq!((read.wrong, read.cut), (None, false), "{bytes}");
    let text = |(status, body)| (status, String::from_utf8(body).unwrap());
    read.answers.into_iter().map(text).collect()
}

fn wrong(bytes: &str) -> Wrong {
    whole(bytes).wrong.unwrap()
}

#[test]
fn bodies_end_as_their_heads_say() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (rest, body) in [
        ("content-length: 5\r\n\r\nhello", "hello"),
        (
            "content-length: 5, 5\r\ncontent-length: 5\r\n\r\nhello",
            "hello",
        ),
        ("content-length: 0\r\n\r\n", ""),
        ("\r\nhello", "hello"),
        ("transfer-encoding: gzip\r\n\r\nhello", "hello"),
        (
            "transfer-encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n2;a=b\r\nhe\r\n03 \r\nllo\r\n00\r\nx: y\r\n\r\n",
            "hello",
        ),
    ] {
        let bytes = format!("{head}{rest}");
        assert_eq!(answers(&bytes), [(200, body.to_owned())], "{bytes}");
    }
    for status in [204, 304] {
        let bytes = format!("HTTP/1.1 {status} x\r\ncontent-length: 9\r\n\r\n");
        assert_eq!(answers(&bytes), [(status, String::new())]);
    }
}

#[test]
fn answers_follow_each_other_and_interim_ones_are_passed_over() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 429 No\r\n\
                 transfer-encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n";
    let both = [(200, "ab".to_owned()), (429, "c".to_owned())];
    assert_eq!(answers(bytes), both);
}

#[test]
fn a_connection_serves_again_only_when_both_sides_know_where_they_are() {
    let between = |bytes: &str| whole(bytes).between;
    assert!(between(""));
    assert!(between("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na"));
    assert!(between(
        "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\na"
    ));
    for bytes in [
        "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\n\r\na",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab",
    ] {
        assert!(!between(bytes), "{bytes}");
    }
}

#[test]
fn an_end_too_soon_is_a_cut() {
    let head = "HTTP/1.1 200 OK\r\n";
    for rest in [
        "content-length: 6\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nhel",
        "transfer-encoding: chunked\r\n\r\n",
    ] {
        let read = whole(&format!("{head}{rest}"));
        assert!(
            read.cut && read.answers.is_empty() && !read.between,
            "{rest}"
        );
    }
}

#[test]
fn what_breaks_the_rules_is_no_answer() {
    for bytes in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let _ = wrong(bytes);
    }
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for rest in [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "0x5\r\nhello",
        "5\nhello",
        "5\r\nhelloo",
        "5\r\nhello\n\n",
        "11111111111111111\r\n",
        " 5\r\n",
    ] {
        let _ = wrong(&format!("{chunked}{rest}"));
    }
}

#[test]
fn what_has_no_end_is_not_kept() {
    let head = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(2 * MAX_HEAD));
    assert!(read(head.as_bytes(), 1_000).wrong.is_some());
    let many = "a: b\r\n".repeat(200);
    assert!(
        read(format!("HTTP/1.1 200 OK\r\n{many}\r\n").as_bytes(), 5_000)
            .wrong
            .is_some()
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let extension = format!("{chunked}5;{}", "x".repeat(40_000));
    assert!(read(extension.as_bytes(), 1_000).wrong.is_some());
    let trailers = format!("{chunked}0\r\n{}", "a: b\r\n".repeat(8_000));
    assert!(read(trailers.as_bytes(), 1_000).wrong.is_some());
}

#[test]
fn a_request_tells_its_length_once() {
    let mut headers = HeaderMap::new();
    headers.insert("x", "y".parse().unwrap());
    headers.insert(CONTENT_LENGTH, "99".parse().unwrap());
    headers.insert(TRANSFER_ENCODING, "chunked".parse().unwrap());
    let uri = "/v1/a?b=c".parse().unwrap();
    let written = |method, body: &'static [u8]| {
        let head = RequestHead::new(&method, &uri, &headers);
        let mut out = Outgoing::new(&head, &Bytes::from_static(body));
        let mut bytes = Vec::new();
        while !out.is_written() {
            let [head, body] = out.left();
            let part = if head.is_empty() { body } else { head };
            let part = &part[..part.len().min(1_000)];
            bytes.extend_from_slice(part);
            out.advance(part.len());
        }
        bytes
    };
    let post = b"POST /v1/a?b=c HTTP/1.1\r\nx: y\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(written(http::Method::POST, b"hi"), post);
    let get = b"GET /v1/a?b=c HTTP/1.1\r\nx: y\r\n\r\n";
    assert_eq!(written(http::Method::GET, b""), get);
    const LARGE: &[u8] = &[b'a'; 3 * SMALL];
    let large = written(http::Method::POST, LARGE);
    assert!(large.ends_with(LARGE) && large.len() < LARGE.len() + 100);
}

proptest! {
    /// The way in which bytes are cut on their way changes nothing.
    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(prop::sample::select(vec![
            "HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 N\r\n", "HTTP/1.1 100 C\r\n", "\r\n", "\n",
            "content-length: 3\r\n", "transfer-encoding: chunked\r\n", "connection: close\r\n",
            "abc", "3\r\n", "0\r\n", "a: b\r\n", ";x", "\u{e9}", " ",
        ]), 0..14),
        size in 1..20usize,
    ) {
        let bytes = parts.concat().into_bytes();
        prop_assert_eq!(read(&bytes, size), read(&bytes, usize::MAX));
    }
}
