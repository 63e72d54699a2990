//! A server that costs as little as possible: every request gets the same answer.
//!
//! Owns what it says and when. Reads no more of a request than its length, so that it is not the
//! limit of what is measured; tables show how busy it was. HTTP/1.1 and HTTP/2 (by prior
//! knowledge) on one port.

mod answer;
mod http1;
mod http2;

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::process::{Child, ChildStdout, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};

use crate::process::{SERVER_CORE, in_role};

/// Connections that may wait to be accepted: as many as Linux allows by itself
/// (`net.core.somaxconn`); tokio asks for 1,024.
const BACKLOG: i32 = 4096;

/// What the server does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    /// From a request to its answer, or to the first chunk of it.
    pub(crate) latency: Duration,
    /// Chunks of a stream; 0 for a plain answer.
    pub(crate) chunks: usize,
    /// From one chunk to the next; 0 writes them all at once.
    pub(crate) pause: Duration,
    /// Whether the answer has one word only, instead of about 1,119 bytes.
    pub(crate) is_short: bool,
    /// After so many requests no more are answered; 0 answers all.
    pub(crate) stall_after: u64,
}

impl Plan {
    fn write(&self) -> String {
        let numbers = [
            self.latency.as_micros() as u64,
            self.chunks as u64,
            self.pause.as_micros() as u64,
            u64::from(self.is_short),
            self.stall_after,
        ];
        numbers.map(|number| number.to_string()).join(" ")
    }

    fn read(orders: &str) -> Plan {
        let numbers: Vec<u64> = orders.split(' ').filter_map(|n| n.parse().ok()).collect();
        Plan {
            latency: Duration::from_micros(numbers[0]),
            chunks: numbers[1] as usize,
            pause: Duration::from_micros(numbers[2]),
            is_short: numbers[3] == 1,
            stall_after: numbers[4],
        }
    }
}

/// The server in a process of its own, on its core; ends with this.
pub(crate) struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn start(plan: Plan) -> Server {
        let mut command = in_role(SERVER_CORE, &format!("server {}", plan.write()));
        // Its input ends with this process, however that ends, and the server with its input.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let out = child.stdout.take().expect("a pipe");
        let mut lines = BufReader::new(out).lines();
        let port = lines
            .next()
            .and_then(Result::ok)
            .and_then(|line| line.parse().ok());
        let port = port.expect("its port");
        Server { child, lines, port }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the server to have got its first request.
    pub(crate) fn first_request(&mut self) {
        self.lines.next().expect("a line").expect("a pipe");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What connections share.
struct Shared {
    plan: Plan,
    /// The body of a plain answer.
    body: Bytes,
    /// The events of a stream.
    events: Vec<Bytes>,
    requests: AtomicU64,
}

impl Shared {
    /// Counts a request and waits until it is to be answered.
    async fn take(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 1 {
            say("first request");
        }
        if self.plan.stall_after > 0 && number > self.plan.stall_after {
            std::future::pending::<()>().await;
        }
        if !self.plan.latency.is_zero() {
            tokio::time::sleep(self.plan.latency).await;
        }
    }
}

/// Tells the measuring process something.
fn say(line: &str) {
    let mut out = std::io::stdout();
    // Without a listener the measurement is over.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Serves until it is killed, or until nobody measures any more.
pub(crate) fn play(orders: &str) {
    std::thread::spawn(|| {
        // Nothing is ever written to it.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let plan = Plan::read(orders);
    let shared = Rc::new(Shared {
        plan,
        body: answer::body(plan.is_short),
        events: answer::events(plan.chunks),
        requests: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        rustix::net::listen(&listener, BACKLOG).expect("a longer queue");
        say(&listener
            .local_addr()
            .expect("an address")
            .port()
            .to_string());
        loop {
            // Without room for another socket the client is told by its missing answer.
            if let Ok((socket, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(socket, Rc::clone(&shared)));
            }
        }
    });
}

async fn serve(socket: TcpStream, shared: Rc<Shared>) {
    socket.set_nodelay(true).expect("a socket");
    // HTTP/2 begins with `PRI`, and no request of ours with a P that is not POST.
    let mut preface = [0; 2];
    loop {
        match socket.peek(&mut preface).await {
            Ok(2..) => break,
            Ok(1) => tokio::task::yield_now().await,
            _ => return,
        }
    }
    match &preface {
        b"PR" => http2::serve(socket, shared).await,
        _ => http1::serve(socket, &shared).await,
    }
}
