//! Load generators that other people wrote, where they are installed: wrk and oha.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::options::Http;
use crate::process::{CLIENT_CORE, Lap, is_installed, measure_output, on_core};
use crate::server::Server;

use super::body;

/// How long wrk runs, which cannot be told a number of requests.
const WRK_S: usize = 3;

/// A program found on the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// Reads answers without parsing them: the floor on HTTP/1.1, which is all it speaks.
    Wrk,
    /// A generator on hyper.
    Oha,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Wrk => "wrk",
            Tool::Oha => "oha",
        }
    }

    /// Whether it is there.
    pub(crate) fn is_installed(self) -> bool {
        is_installed(self.name(), "--version")
    }

    pub(crate) fn speaks(self, http: Http) -> bool {
        self == Tool::Oha || http == Http::One
    }

    fn command(self, server: &Server, load: (Http, usize, usize), folder: &Path) -> Command {
        let (http, requests, in_flight) = load;
        let url = format!("http://127.0.0.1:{}/v1/chat/completions", server.port);
        let mut command = on_core(CLIENT_CORE, self.name());
        match self {
            Tool::Wrk => {
                let script = folder.join("request.lua");
                let lua = format!(
                    "wrk.method = 'POST'\nwrk.body = [[{}]]\n\
                     wrk.headers['content-type'] = 'application/json'\n\
                     wrk.headers['authorization'] = 'Bearer none'\n",
                    body(false)
                );
                fs::write(&script, lua).expect("room on the disk");
                command.args(["-t1", &format!("-c{in_flight}"), &format!("-d{WRK_S}s")]);
                command.arg("-s").arg(script).arg(url);
            }
            Tool::Oha => {
                let in_flight = in_flight.to_string();
                // Connections and streams on each of them.
                let (connections, streams) = match http {
                    Http::One => (in_flight.clone(), "1".to_owned()),
                    Http::Two => {
                        let wanted = in_flight.parse::<usize>().unwrap_or(1);
                        let connections = wanted.div_ceil(100);
                        let streams = wanted.div_ceil(connections);
                        (connections.to_string(), streams.to_string())
                    }
                };
                command.args(["--no-tui", "-n", &requests.to_string(), "-c", &connections]);
                if http == Http::Two {
                    command.args(["--http2", "-p", &streams]);
                }
                command.args(["-m", "POST", "-T", "application/json", "-d", &body(false)]);
                command.args(["-H", "authorization: Bearer none"]).arg(url);
            }
        }
        command.stderr(Stdio::null());
        command
    }
}

/// Measures a tool; `None` when it does not say how many requests it made.
pub(crate) fn measure(
    tool: Tool,
    server: &Server,
    load: (Http, usize, usize),
    folder: &Path,
) -> Option<Lap> {
    let mut command = tool.command(server, load, folder);
    let (measured, output) = measure_output(&mut command, server.pid());
    let requests = match tool {
        // "  120345 requests in 3.00s, 128.12MB read"
        Tool::Wrk => output
            .lines()
            .find_map(|line| line.trim().split_once(" requests in "))
            .and_then(|(number, _)| number.parse().ok())?,
        Tool::Oha => load.1 as f64,
    };
    Some(Lap { measured, requests })
}
