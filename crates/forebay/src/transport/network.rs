//! The way to the host of an origin or of the proxy before it: its addresses, and sockets to them.
//!
//! Owns what is remembered of a name, the order in which addresses are tried, and the options of
//! sockets. Never waits until the machine has descriptors or ports again; it says that it has
//! none.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::connect::Unconnected;
use crate::outcome::{Failure, FailureKind};

/// How long an address is tried alone when there is a next one; RFC 8305 recommends as much
/// ("connection attempt delay", section 8).
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a resolver may think when earlier addresses are at hand; glibc asks its next server
/// after five seconds.
const SLOW_LOOKUP: Duration = Duration::from_secs(3);
/// Silence after which the other side is asked whether it is still there, distance of these
/// questions, and their number. Anthropic's SDK sets the same, so that no NAT forgets a
/// connection that waits for a long answer.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(60), 5);
/// How long sent bytes and questions may stay without any acknowledgement: three minutes are
/// three of the questions above.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(180);
/// How long free ports are waited for: Linux keeps a closed connection's port for one minute.
const PORTS_WAIT: Duration = Duration::from_secs(120);

/// How many times the usual time a connect takes when its first packet is taken for lost: a host
/// whose listen queue is full drops it without a word.
const LOST_AFTER: u32 = 4;
/// What is waited for at least: half of what Linux grants a known connection (`TCP_RTO_MIN`), and
/// longer than a busy process needs to look.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// From here on the system itself sends the first packet again (RFC 6298, section 2).
const SYSTEM_PATIENCE: Duration = Duration::from_secs(1);

/// What the standard library puts before the resolver's own words.
const LOOKUP_FAILED: &str = "failed to lookup address information: ";

/// Something that the operating system is asked for.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// What a transport asks of the operating system. The methods as they are do it; an
/// implementation may put something else in their place, such as a resolver of its own.
pub trait Network: Send + Sync + fmt::Debug {
    /// The addresses of a host, the best first. A name that does not exist is an error of the
    /// kind [`io::ErrorKind::NotFound`], or one in the words of the system's resolver.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Asked<'a, Vec<SocketAddr>> {
        Box::pin(async move {
            // In a thread of its own, as the system's resolver blocks.
            let addresses = tokio::net::lookup_host((host, port)).await?;
            Ok(addresses.collect())
        })
    }

    /// A connected socket with its options set.
    fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
        Box::pin(async move {
            let tcp = TcpStream::connect(address).await?;
            set_options(&tcp);
            Ok(tcp)
        })
    }
}

/// The operating system itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct System;

impl Network for System {}

/// A socket without one of these still works, only worse.
fn set_options(tcp: &TcpStream) {
    // Requests are small and whole; waiting for more to send only delays them.
    let _ = tcp.set_nodelay(true);
    let socket = SockRef::from(tcp);
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    let _ = socket.set_tcp_keepalive(&keepalive.with_retries(retries));
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

/// The way to one origin.
#[derive(Debug)]
pub(super) struct Way {
    network: Arc<dyn Network>,
    known: Mutex<Known>,
    /// Held by the one who asks the resolver; the others wait for the same answer.
    asking: tokio::sync::Mutex<()>,
    /// Counts the sockets asked for, so that they are spread over all addresses.
    turn: AtomicUsize,
    /// Microseconds that a connect took lately, on the average; 0 while that is not known.
    usual_us: AtomicU64,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// The addresses that the resolver named last.
    addresses: Vec<SocketAddr>,
    /// The answer to the last question, and how many were asked.
    last: Option<Result<Vec<SocketAddr>, Failure>>,
    questions: u64,
    /// Those of them that another one was faster than when they were tried last.
    silent: Vec<SocketAddr>,
}

/// A connected socket, and how long the steps to it took.
#[derive(Debug)]
pub(super) struct Socketed {
    pub(super) tcp: TcpStream,
    pub(super) dns: Duration,
    pub(super) connect: Duration,
}

impl Way {
    pub(super) fn new(network: Arc<dyn Network>) -> Way {
        Way {
            network,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::new(()),
            turn: AtomicUsize::new(0),
            usual_us: AtomicU64::new(0),
        }
    }

    /// A socket to the address that accepts one first.
    ///
    /// Addresses are tried one after the other, each with a small head start on the next.
    pub(super) async fn open(&self, host: &str, port: u16) -> Result<Socketed, Unconnected> {
        let began = Instant::now();
        let addresses = self.addresses(host, port).await?;
        let found = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let order = order(&addresses, &self.lock().silent, turn);
        match self.race(order).await {
            Ok(tcp) => Ok(Socketed {
                tcp,
                dns: found - began,
                connect: found.elapsed(),
            }),
            Err(errors) => {
                let why = match errors.last() {
                    Some((_, error)) => error.to_string(),
                    None => "the name has no address".to_owned(),
                };
                let message = format!("cannot connect to {host}:{port}: {why}");
                Err(Unconnected {
                    failure: Failure::new(FailureKind::Connect, message),
                    wait: wait_for_free(&errors),
                })
            }
        }
    }

    /// The first socket that any of these addresses gives, or what each of them said.
    async fn race(&self, order: Vec<SocketAddr>) -> Result<TcpStream, Tried> {
        let mut rest = order.into_iter();
        let mut errors = Vec::new();
        let mut tries = FuturesUnordered::new();
        let mut open = Vec::new();
        loop {
            if let Some(address) = rest.next() {
                open.push(address);
                tries.push(async move { (address, self.connect(address).await) });
            } else if tries.is_empty() {
                return Err(errors);
            }
            let ended = match rest.len() {
                // Nothing is left to save time for.
                0 => tries.next().await,
                _ => match timeout(HEAD_START, tries.next()).await {
                    Ok(ended) => ended,
                    Err(_) => continue,
                },
            };
            match ended {
                Some((address, Ok(tcp))) => {
                    self.note(address, open);
                    return Ok(tcp);
                }
                Some((address, Err(error))) => errors.push((address, error)),
                None => {}
            }
        }
    }

    /// A socket to an address. A try that takes much longer than others did is given up for a new
    /// one, each with twice the time of the one before: the system would wait for a second until
    /// it sends a lost first packet again, and so long nobody else may connect in its place.
    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let usual = Duration::from_micros(self.usual_us.load(Ordering::Relaxed));
        let mut patience = match usual.is_zero() {
            true => SYSTEM_PATIENCE,
            false => (usual * LOST_AFTER).max(LEAST_PATIENCE),
        };
        while patience < SYSTEM_PATIENCE {
            let began = Instant::now();
            if let Ok(ended) = timeout(patience, self.network.connect(address)).await {
                return ended.inspect(|_| self.took(began.elapsed()));
            }
            patience *= 2;
        }
        let began = Instant::now();
        let ended = self.network.connect(address).await;
        ended.inspect(|_| self.took(began.elapsed()))
    }

    /// Notes how long a connect took; an eighth of the news counts, as in TCP (RFC 6298).
    fn took(&self, time: Duration) {
        let news = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let usual = match self.usual_us.load(Ordering::Relaxed) {
            0 => news,
            usual => usual - usual / 8 + news / 8,
        };
        // Of two who note at the same time one is enough.
        self.usual_us.store(usual.max(1), Ordering::Relaxed);
    }

    /// Notes which of the addresses that were tried answered first: it is tried before the others.
    fn note(&self, first: SocketAddr, tried: Vec<SocketAddr>) {
        let mut known = self.lock();
        known.silent.retain(|silent| !tried.contains(silent));
        let others = tried.into_iter().filter(|address| *address != first);
        known.silent.extend(others);
    }

    /// The addresses of the host; those who ask at the same time share one question.
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let questions = self.lock().questions;
        let _asking = self.asking.lock().await;
        {
            let known = self.lock();
            if let Some(last) = known.last.as_ref().filter(|_| known.questions > questions) {
                return last.clone();
            }
        }
        let answer = self.ask(host, port).await;
        let mut known = self.lock();
        known.questions += 1;
        if let Ok(addresses) = &answer {
            known.addresses.clone_from(addresses);
            known.silent.retain(|silent| addresses.contains(silent));
        }
        known.last = Some(answer.clone());
        answer
    }

    async fn ask(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let known = self.lock().addresses.clone();
        let lookup = self.network.resolve(host, port);
        let found = if known.is_empty() {
            lookup.await
        } else {
            let found = timeout(SLOW_LOOKUP, lookup).await;
            found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            // Names of providers seldom move, and resolvers often fail.
            Ok(_) | Err(_) if !known.is_empty() => Ok(known),
            Ok(none) => Ok(none),
            Err(error) => Err(unresolved(host, &error)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // The guarded operations cannot panic halfway.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What addresses said that gave no socket.
type Tried = Vec<(SocketAddr, io::Error)>;

/// The order in which addresses are tried: the family that the resolver names first goes first and
/// the two take turns (RFC 8305, section 4); within a family each address is the first in its
/// turn, so that connections are spread over all; those that were silent come last.
fn order(addresses: &[SocketAddr], silent: &[SocketAddr], turn: usize) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let family = |is_v6: bool| -> Vec<SocketAddr> {
        let mut family: Vec<_> = addresses
            .iter()
            .copied()
            .filter(|address| address.is_ipv6() == is_v6)
            .collect();
        let start = turn.checked_rem(family.len()).unwrap_or(0);
        family.rotate_left(start);
        family
    };
    let mut one = family(first.is_ipv6()).into_iter();
    let mut other = family(!first.is_ipv6()).into_iter();
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(one.next());
        order.extend(other.next());
    }
    order.sort_by_key(|address| silent.contains(address));
    order
}

/// `dns`: the name does not exist. `dns_unavailable`: nobody could tell.
fn unresolved(host: &str, error: &io::Error) -> Failure {
    let code = if is_unknown_name(error) {
        "dns"
    } else {
        "dns_unavailable"
    };
    let words = error.to_string();
    let words = words.trim_start_matches(LOOKUP_FAILED);
    let why = format!("cannot resolve {host}: {words}");
    Failure {
        provider_code: Some(code.to_owned()),
        ..Failure::new(FailureKind::Connect, why)
    }
}

/// Whether a resolver says that a name does not exist, rather than that it cannot tell.
///
/// The standard library keeps the resolver's code to itself and shows only its words; they are
/// not translated, as the locale is never set.
fn is_unknown_name(error: &io::Error) -> bool {
    const WORDS: [&str; 5] = [
        // glibc: EAI_NONAME, EAI_NODATA.
        "Name or service not known",
        "No address associated with hostname",
        // musl: EAI_NONAME, EAI_NODATA.
        "Name does not resolve",
        "Name has no usable address",
        // Apple and the BSDs: EAI_NONAME.
        "nodename nor servname provided",
    ];
    let text = error.to_string();
    error.kind() == io::ErrorKind::NotFound || WORDS.iter().any(|words| text.contains(words))
}

/// How long waiting may help against these errors, when it may.
fn wait_for_free(errors: &[(SocketAddr, io::Error)]) -> Option<Duration> {
    let is = |error: &io::Error, codes: &[i32]| {
        let code = error.raw_os_error();
        code.is_some_and(|code| codes.contains(&code))
    };
    let no_files = |(_, error): &(SocketAddr, io::Error)| is(error, &[libc::EMFILE, libc::ENFILE]);
    let no_ports = |(_, error): &(SocketAddr, io::Error)| is(error, &[libc::EADDRNOTAVAIL]);
    if errors.iter().any(no_files) {
        // Descriptors come back as attempts end, so only the attempt's own deadline ends this.
        return Some(Duration::MAX);
    }
    // A machine without IPv6 says the same of every IPv6 address, for ever.
    let v4 = errors
        .iter()
        .any(|error| error.0.is_ipv4() && no_ports(error));
    let all = !errors.is_empty() && errors.iter().all(no_ports);
    (v4 || all).then_some(PORTS_WAIT)
}

#[cfg(test)]
mod tests;
