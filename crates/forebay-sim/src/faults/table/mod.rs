//! The entries of the catalogue, by family.
//!
//! Owns what each fault orders. A catalogue: its files may be long.

mod answer;
mod network;
mod rate;
mod status;

use super::entry::{Case, FaultEntry};
use crate::script::{Action, Oddity, Shape, Spoil};

/// All families, in the order of the page.
pub(super) static TABLES: [&[FaultEntry]; 6] = [
    rate::RATE,
    rate::QUOTA,
    status::STATUS,
    network::NETWORK,
    answer::BODY,
    answer::CONTENT,
];

fn shaped(shape: Shape) -> Action {
    Action::Shaped(shape)
}

fn spoilt(spoil: Spoil) -> Action {
    Action::Spoilt(spoil)
}

fn odd(oddity: Oddity) -> Action {
    Action::Odd(oddity)
}

/// An error in the dialect's own words, with these headers.
fn error(status: u16, headers: &[(&str, &str)]) -> Action {
    Action::Error {
        status,
        kind: "".into(),
        code: None,
        message: String::new(),
        headers: lines(headers),
    }
}

/// An error of a kind and code, with this message; empty: the dialect's own.
fn told(status: u16, kind: &'static str, code: &'static str, message: &str) -> Action {
    Action::Error {
        status,
        kind: kind.into(),
        code: (!code.is_empty()).then(|| code.into()),
        message: message.to_owned(),
        headers: Vec::new(),
    }
}

fn reply(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Action {
    Action::Reply {
        status,
        headers: lines(&[("content-type", kind)]),
        body: body.into(),
    }
}

fn lines(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let line = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    headers.iter().map(line).collect()
}

/// The date of a request's arrival, moved by so many seconds, as HTTP writes it.
fn date(case: &Case<'_>, by: i64) -> String {
    let wall = case.call.wall.as_secs().saturating_add_signed(by);
    let second = std::time::UNIX_EPOCH + std::time::Duration::from_secs(wall);
    httpdate::fmt_http_date(second)
}
