//! A server that keeps what it is sent, byte for byte, and answers that all is well.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use crate::harness::PATIENCE;

const OPENAI: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
const ANTHROPIC: &str = r#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"fine"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}"#;

/// A request as it was received.
pub(crate) struct Received {
    /// The request line and the headers, as written.
    pub(crate) head: String,
    pub(crate) body: Value,
    /// The body as it was received.
    pub(crate) bytes: Vec<u8>,
}

impl Received {
    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = headers.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    /// The path of the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// A server of both dialects that lives as long as the test.
pub(crate) struct Server {
    port: u16,
    received: Receiver<Received>,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(&stream, &sender));
            }
        });
        Server { port, received }
    }

    /// A base URL of it with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Received {
        self.received.recv_timeout(PATIENCE).unwrap()
    }

    /// Whether there is no further request.
    pub(crate) fn is_idle(&self) -> bool {
        self.received.try_recv().is_err()
    }
}

fn serve(mut stream: &TcpStream, sender: &Sender<Received>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut received = Received {
        head,
        body: Value::Null,
        bytes: Vec::new(),
    };
    let length = received.header("content-length").first()?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    received.body = serde_json::from_slice(&body).ok()?;
    received.bytes = body;
    let answer = match received.path().ends_with("/messages") {
        true => ANTHROPIC,
        false => OPENAI,
    };
    sender.send(received).ok()?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}
