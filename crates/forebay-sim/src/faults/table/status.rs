//! Other statuses.

use super::{error, reply, told};
use crate::dialect::Dialect::{Anthropic, OpenAi};
use crate::faults::entry::{Case, FaultEntry};
use crate::script::Action;

/// The page that Cloudflare sends for an origin that does not answer.
const PAGE: &str = "<!DOCTYPE html><html><head><title>sim | 520: Web server is returning an \
                    unknown error</title></head><body><h1>Error 520</h1></body></html>";

/// Where redirects go unless told: a port on which nothing listens.
const NOWHERE: &str = "127.0.0.1:1";

pub(super) static STATUS: &[FaultEntry] = &[
    FaultEntry::new("401", &[22], "401: the key is wrong", |_| error(401, &[])),
    FaultEntry::new(
        "401-echo",
        &[22],
        "401 whose message repeats a part of a key",
        |_| {
            told(
                401,
                "invalid_request_error",
                "invalid_api_key",
                "Incorrect API key provided: sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789.",
            )
        },
    ),
    FaultEntry::new("403", &[22], "403: the key may not do this", |_| {
        error(403, &[])
    }),
    FaultEntry::new("404-model", &[23], "404: there is no such model", |_| {
        error(404, &[])
    }),
    FaultEntry::new(
        "400-same",
        &[23],
        "400 with the same words for each row",
        |_| error(400, &[]),
    ),
    FaultEntry::new("400", &[24], "400 with other words for each row", |case| {
        let message = format!(
            "The request is not valid: the prompt {} is refused.",
            case.call.row
        );
        told(400, "invalid_request_error", "", &message)
    }),
    FaultEntry::new(
        "400-context-length",
        &[24],
        "400: the prompt is too long for the model",
        |_| {
            told(
                400,
                "invalid_request_error",
                "context_length_exceeded",
                "This model's maximum context length is 128000 tokens. However, your messages \
                 resulted in 130001 tokens.",
            )
        },
    ),
    FaultEntry::new("413", &[24], "413: the request is too large", |_| {
        error(413, &[])
    }),
    FaultEntry::new("422", &[24], "422: the request cannot be processed", |_| {
        error(422, &[])
    }),
    FaultEntry::new("408", &[25], "408: the server waited too long", |_| {
        error(408, &[])
    }),
    FaultEntry::new("409", &[25], "409: a conflict", |_| error(409, &[])),
    FaultEntry::new("425", &[25], "425: too early", |_| error(425, &[])),
    FaultEntry::new("498", &[25], "498: no capacity, in Groq's words", |_| {
        told(
            498,
            "capacity_exceeded",
            "capacity_exceeded",
            "Flex tier capacity exceeded",
        )
    })
    .of(&[OpenAi]),
    FaultEntry::new("500", &[25], "500: an error of the server", |_| {
        error(500, &[])
    }),
    FaultEntry::new(
        "502",
        &[25],
        "502 without a body, from a proxy in between",
        |_| reply(502, "text/plain", ""),
    ),
    FaultEntry::new("504", &[25], "504: a time-out behind the server", |_| {
        error(504, &[])
    }),
    FaultEntry::new(
        "52x-html",
        &[25],
        "520 with Cloudflare's page of HTML",
        |_| reply(520, "text/html; charset=UTF-8", PAGE),
    ),
    FaultEntry::new("N-html", &[25], "status N with a page of HTML", |case| {
        reply(status(case), "text/html; charset=UTF-8", PAGE)
    }),
    FaultEntry::new("503", &[26], "503: overloaded", |_| error(503, &[])),
    FaultEntry::new("529", &[26], "529: overloaded", |_| error(529, &[])).of(&[Anthropic]),
    FaultEntry::new(
        "status-N",
        &[24, 25],
        "status N in the dialect's own words",
        |case| error(status(case), &[]),
    ),
    FaultEntry::new(
        "x-should-retry-false",
        &[25],
        "500 with `x-should-retry: false`, which forbids what the status allows",
        |_| error(500, &[("x-should-retry", "false")]),
    ),
    FaultEntry::new(
        "x-should-retry-true",
        &[24],
        "400 with `x-should-retry: true`, which allows what the status forbids",
        |_| error(400, &[("x-should-retry", "true")]),
    ),
    FaultEntry::new("redirect-301", &[59], REDIRECT, |case| redirect(case, 301)).target(),
    FaultEntry::new("redirect-302", &[59], REDIRECT, |case| redirect(case, 302)).target(),
    FaultEntry::new("redirect-303", &[59], REDIRECT, |case| redirect(case, 303)).target(),
    FaultEntry::new("redirect-307", &[59], REDIRECT, |case| redirect(case, 307)).target(),
    FaultEntry::new("redirect-308", &[59], REDIRECT, |case| redirect(case, 308)).target(),
];

const REDIRECT: &str =
    "a redirect to the same path at another host, `@HOST:PORT` or one where nothing listens";

/// The number in the name as a status; 500 if it is none of an error.
fn status(case: &Case<'_>) -> u16 {
    let status = u16::try_from(case.n).ok();
    status.filter(|n| (400..1000).contains(n)).unwrap_or(500)
}

fn redirect(case: &Case<'_>, status: u16) -> Action {
    let target = case.target.unwrap_or(NOWHERE);
    let path = match case.call.operation.dialect() {
        crate::dialect::Dialect::Gemini => "/v1beta/models",
        OpenAi => "/v1/chat/completions",
        Anthropic => "/v1/messages",
    };
    Action::Reply {
        status,
        headers: super::lines(&[("location", &format!("http://{target}{path}"))]),
        body: Vec::new(),
    }
}
