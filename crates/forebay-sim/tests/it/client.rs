//! A small HTTP client for tests; it keeps no rules but those the tests are about.

use std::sync::Arc;

use forebay_sim::{Action, Answers, Call, Config, Dialect, Latency, Sim};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The data of each event of a streamed answer.
    pub(crate) fn events(&self) -> Vec<String> {
        let text = String::from_utf8(self.body.clone()).expect("a text body");
        let data = |frame: &str| {
            let line = frame.lines().find_map(|line| line.strip_prefix("data: "));
            line.map(str::to_owned)
        };
        text.split("\n\n").filter_map(data).collect()
    }

    /// The answer's text, in either dialect.
    pub(crate) fn text(&self) -> String {
        let json = self.json();
        let openai = &json["choices"][0]["message"]["content"];
        let text = openai.as_str().or(json["content"][0]["text"].as_str());
        text.expect("a text").to_owned()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client<IO> {
    pub(crate) io: IO,
    buffer: Vec<u8>,
}

impl Client<DuplexStream> {
    pub(crate) fn connect(sim: &Sim) -> Self {
        Client::over(sim.connect())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Client<IO> {
    pub(crate) fn over(io: IO) -> Self {
        Client {
            io,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, request: impl AsRef<[u8]>) {
        self.io
            .write_all(request.as_ref())
            .await
            .expect("an open connection");
    }

    /// Reads an answer; `None` if the connection ends before it is whole.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take_answer() {
                return Some(answer);
            }
            match self.io.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await.expect("a whole answer")
    }

    /// Reads until these bytes have come.
    pub(crate) async fn read_until(&mut self, bytes: &[u8]) {
        while !self.buffer.windows(bytes.len()).any(|w| w == bytes) {
            let read = self.io.read_buf(&mut self.buffer).await;
            assert!(matches!(read, Ok(1..)), "the connection ended before");
        }
    }

    /// What has come and was not taken as an answer.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while let Ok(1..) = self.io.read_buf(&mut self.buffer).await {}
        std::mem::take(&mut self.buffer)
    }

    fn take_answer(&mut self) -> Option<Answer> {
        let head_end = self.buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.buffer[..head_end].to_vec()).expect("a text head");
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let is_chunked =
            |(name, value): &(String, String)| name == "transfer-encoding" && value == "chunked";
        if headers.iter().any(is_chunked) {
            let (body, len) = dechunk(&self.buffer[head_end..])?;
            self.buffer.drain(..head_end + len);
            return Some(Answer {
                status,
                headers,
                body,
            });
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length"));
        if self.buffer.len() < head_end + length {
            return None;
        }
        let body = self.buffer[head_end..head_end + length].to_vec();
        self.buffer.drain(..head_end + length);
        Some(Answer {
            status,
            headers,
            body,
        })
    }
}

/// A simulator without latency that echoes.
pub(crate) fn quick() -> Config {
    Config {
        latency: Latency::Zero,
        answers: Answers::Echo,
        keep_log: true,
        ..Config::default()
    }
}

/// A quick simulator with a script.
pub(crate) fn scripted(script: impl Fn(&Call<'_>) -> Action + Send + Sync + 'static) -> Sim {
    Sim::new(Config {
        script: Some(Arc::new(script)),
        ..quick()
    })
}

/// The body of a whole chunked answer, and the bytes that it takes.
fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        let end = bytes.get(at + size..at + size + 2)?;
        assert_eq!(end, b"\r\n", "the end of a chunk");
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// A request with a body, to a dialect's path, with a key.
pub(crate) fn post(dialect: Dialect, body: &str) -> String {
    let (path, headers) = match dialect {
        Dialect::OpenAi => ("/v1/chat/completions", "authorization: Bearer k\r\n"),
        Dialect::Anthropic => (
            "/v1/messages",
            "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
        ),
        Dialect::Gemini => ("/v1beta/models/m:generateContent", "x-goog-api-key: k\r\n"),
    };
    raw_post(path, headers, body)
}

pub(crate) fn raw_post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// A valid body for both dialects with one user message.
pub(crate) fn body(prompt: &str, max_tokens: u64) -> String {
    let prompt = Value::from(prompt);
    format!(
        r#"{{"model":"m","max_tokens":{max_tokens},"messages":[{{"role":"user","content":{prompt}}}]}}"#
    )
}

/// An OpenAI request with one user message.
pub(crate) fn say(prompt: &str) -> String {
    post(Dialect::OpenAi, &body(prompt, 100))
}
