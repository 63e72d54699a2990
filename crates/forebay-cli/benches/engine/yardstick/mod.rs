//! Clients to compare with: the call alone, without the job around it.
//!
//! Owns the request that all of them send, again and again; the answer is read whole and not
//! looked at.

mod bare;
mod files;
mod python;
mod reqwest;
mod tools;

use std::process::Command;

pub(crate) use python::{PythonClient, measure as measure_python};
pub(crate) use tools::{Tool, measure as measure_tool};

use crate::options::Http;
use crate::process::{CLIENT_CORE, in_role};
use crate::subject::prompt;

/// A client of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// hyper's connection API, a loop per connection or stream.
    Bare,
    /// reqwest, a loop per request in flight over one shared client.
    Reqwest,
    /// The files of a run alone, and no call at all.
    Files,
}

impl Client {
    const ALL: [Client; 3] = [Client::Bare, Client::Reqwest, Client::Files];
    /// The file that [`Client::Files`] leaves in its folder, as a run leaves its output.
    pub(crate) const LEFT: &str = "yardstick.out";

    /// As tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Client::Bare => "bare hyper loop",
            Client::Reqwest => "reqwest",
            Client::Files => "its files alone",
        }
    }
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) client: Client,
    pub(crate) http: Http,
    pub(crate) port: u16,
    pub(crate) requests: usize,
    pub(crate) in_flight: usize,
    /// Events that the answer to each request must have; 0 for a plain answer.
    pub(crate) events: usize,
}

impl Load {
    /// The command that carries it out, on the client's core.
    pub(crate) fn command(&self) -> Command {
        let numbers = [
            self.client as usize,
            usize::from(self.http == Http::Two),
            usize::from(self.port),
            self.requests,
            self.in_flight,
            self.events,
        ];
        let orders = numbers.map(|number| number.to_string()).join(" ");
        in_role(CLIENT_CORE, &format!("client {orders}"))
    }

    /// Reads what `command` wrote.
    pub(crate) fn read(orders: &str) -> Load {
        let numbers: Vec<usize> = orders.split(' ').filter_map(|n| n.parse().ok()).collect();
        Load {
            client: Client::ALL[numbers[0]],
            http: [Http::One, Http::Two][numbers[1]],
            port: u16::try_from(numbers[2]).expect("a port"),
            requests: numbers[3],
            in_flight: numbers[4],
            events: numbers[5],
        }
    }

    /// The requests of each of so many loops.
    fn shares(&self, loops: usize) -> Vec<usize> {
        let share = |n| self.requests / loops + usize::from(n < self.requests % loops);
        (0..loops).map(share).collect()
    }

    /// The body of the request.
    fn body(&self) -> String {
        body(self.events > 0)
    }
}

/// The body of the request, about as long as that of `forebay run`.
fn body(is_streamed: bool) -> String {
    let more = match is_streamed {
        true => r#","stream":true,"stream_options":{"include_usage":true}"#,
        false => "",
    };
    let prompt = prompt(12_345);
    format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#
    )
}

/// Carries a load out in this process.
pub(crate) fn play(load: &Load) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        match load.client {
            Client::Bare => bare::run(load).await,
            Client::Reqwest => reqwest::run(load).await,
            Client::Files => files::run(load.requests),
        }
    });
}

/// Takes a stream apart at its line ends; what events say is not looked at.
#[derive(Debug, Default)]
struct Splitter {
    line: Vec<u8>,
    events: usize,
}

impl Splitter {
    fn push(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.events += usize::from(self.line.starts_with(b"data: "));
                self.line.clear();
            }
        }
    }
}
