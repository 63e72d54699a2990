//! The head of an answer: status, headers, and how its body ends.

use bytes::BytesMut;
use http::{StatusCode, Version};

use super::Wrong;
use super::body::Body;
use crate::headers::{Headers, printable};

/// The most headers of an answer: hyper takes as many, and no provider sends half of that.
const MAX_HEADERS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub struct Head {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Headers,
}

/// How an answer ends.
pub(super) struct Length {
    pub(super) body: Body,
    /// Whether another answer may follow on the connection.
    pub(super) stays: bool,
}

/// Takes a head off the front of a buffer; `None` when it is not whole.
pub(super) fn read(buffer: &mut BytesMut) -> Result<Option<(Length, Head)>, Wrong> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, buffer, &mut headers);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(name_of(error)),
    };
    let status = response.code.unwrap_or_default();
    let status = StatusCode::from_u16(status).map_err(|_| "invalid HTTP status-code parsed")?;
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let start = buffer.as_ptr() as usize;
    // Places instead of slices, as the bytes are about to change their owner.
    let mut places = Vec::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let range = |bytes: &[u8]| {
            let at = bytes.as_ptr() as usize - start;
            [at as u32, (at + bytes.len()) as u32]
        };
        let [name, name_end] = range(header.name.as_bytes());
        let [value, value_end] = range(header.value);
        places.push([name, name_end, value, value_end]);
    }
    for [name, name_end, ..] in &places {
        buffer[*name as usize..*name_end as usize].make_ascii_lowercase();
    }
    let headers = Headers::at(buffer.split_to(length).freeze(), places);
    let length = length_of(status, version, &headers)?;
    Ok(Some((length, Head { status, headers })))
}

fn name_of(error: httparse::Error) -> Wrong {
    match error {
        httparse::Error::Version => "invalid HTTP version parsed",
        httparse::Error::Status => "invalid HTTP status-code parsed",
        httparse::Error::TooManyHeaders => "the head of the answer is too large",
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Token => "invalid HTTP header parsed",
    }
}

/// RFC 9112, section 6.3, for an answer to GET and POST.
fn length_of(status: StatusCode, version: Version, headers: &Headers) -> Result<Length, Wrong> {
    let stays = stays(version, headers);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("a switch to another protocol that nobody asked for");
    }
    let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_none || status.is_informational() {
        let body = Body::Over;
        return Ok(Length { body, stays });
    }
    if let Some(last) = headers.all("transfer-encoding").last() {
        if version == Version::HTTP_10 {
            return Err("unexpected transfer-encoding parsed");
        }
        let last = last.rsplit(|byte| *byte == b',').next();
        let is_chunked =
            last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        return Ok(match is_chunked {
            true => Length {
                body: Body::chunked(),
                stays,
            },
            false => to_close(),
        });
    }
    match content_length(headers)? {
        Some(0) => Ok(Length {
            body: Body::Over,
            stays,
        }),
        Some(length) => Ok(Length {
            body: Body::Sized(length),
            stays,
        }),
        None => Ok(to_close()),
    }
}

fn to_close() -> Length {
    Length {
        body: Body::ToClose,
        stays: false,
    }
}

/// The length that the headers tell; they may tell it several times, but not differently.
fn content_length(headers: &Headers) -> Result<Option<u64>, Wrong> {
    const WRONG: Wrong = "invalid content-length parsed";
    let mut length = None;
    for value in headers.all("content-length") {
        let text = printable(value).ok_or(WRONG)?;
        for one in text.split(',').map(str::trim) {
            // A sign is no digit, though `parse` takes it.
            let is_number = one.bytes().all(|byte| byte.is_ascii_digit());
            let one: u64 = one.parse().ok().filter(|_| is_number).ok_or(WRONG)?;
            if length.is_some_and(|length| length != one) {
                return Err(WRONG);
            }
            length = Some(one);
        }
    }
    Ok(length)
}

/// Whether the connection stays open behind the answer.
fn stays(version: Version, headers: &Headers) -> bool {
    let says = |word: &[u8]| {
        let values = headers.all("connection");
        let mut words = values.flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|have| have.trim_ascii().eq_ignore_ascii_case(word))
    };
    match version {
        Version::HTTP_11 => !says(b"close"),
        _ => says(b"keep-alive") && !says(b"close"),
    }
}
