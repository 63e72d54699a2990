//! The clients that Python programs use today, run by scripts in `scripts/bench`.

use std::path::Path;

use serde_json::Value;

use crate::process::{CLIENT_CORE, Lap, Measured, measure_output, on_core};
use crate::server::Server;

use super::body;

/// A client in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PythonClient {
    /// aiohttp by hand: a session, a loop per request in flight.
    Aiohttp,
    /// openai's own client, which uses httpx.
    AsyncOpenAi,
}

impl PythonClient {
    pub(crate) const ALL: [PythonClient; 2] = [PythonClient::Aiohttp, PythonClient::AsyncOpenAi];

    pub(crate) fn name(self) -> &'static str {
        match self {
            PythonClient::Aiohttp => "aiohttp by hand",
            PythonClient::AsyncOpenAi => "AsyncOpenAI",
        }
    }

    /// Its share of a round's requests, so that a round does not take minutes.
    fn share(self) -> usize {
        match self {
            PythonClient::Aiohttp => 10,
            PythonClient::AsyncOpenAi => 50,
        }
    }

    fn script(self) -> &'static str {
        match self {
            PythonClient::Aiohttp => concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../scripts/bench/aiohttp_client.py"
            ),
            PythonClient::AsyncOpenAi => concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../scripts/bench/openai_client.py"
            ),
        }
    }
}

/// Measures a client; what it takes to start is not counted, since imports alone take a second.
pub(crate) fn measure(
    python: &Path,
    client: PythonClient,
    server: &Server,
    (requests, in_flight): (usize, usize),
) -> Lap {
    // Each loop makes some requests at least.
    let requests = (requests / client.share()).max(in_flight * 4);
    let mut command = on_core(CLIENT_CORE, python.to_str().expect("a path in UTF-8"));
    command
        .arg(client.script())
        .args([server.port.to_string(), requests.to_string()])
        .args([in_flight.to_string(), body(false)]);
    let (around, output) = measure_output(&mut command, server.pid());
    let said: Value = serde_json::from_str(output.trim()).expect("its line of numbers");
    let seconds = |name: &str| said[name].as_f64().expect("a number");
    Lap {
        measured: Measured {
            user_s: seconds("user_s"),
            system_s: seconds("system_s"),
            wall_s: seconds("wall_s"),
            server_s: around.server_s,
        },
        requests: requests as f64,
    }
}
