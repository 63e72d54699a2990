//! The way to an origin's host: its addresses, and sockets to them.
//!
//! Owns what is remembered of a name, the order in which addresses are tried, and the options of
//! sockets. Never waits until the machine has descriptors or ports again; it says that it has
//! none.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connect::Unconnected;
use crate::endpoint::BaseUrl;
use crate::outcome::{Failure, FailureKind};

/// How long one address of a name is tried when there is a next one: a route that leads nowhere must
/// not use up the whole deadline.
const PER_ADDRESS: Duration = Duration::from_secs(4);
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
    /// The addresses that the resolver named last.
    known: Mutex<Vec<SocketAddr>>,
}

impl Way {
    pub(super) fn new(network: Arc<dyn Network>) -> Way {
        Way {
            network,
            known: Mutex::new(Vec::new()),
        }
    }

    /// A socket to the first address that accepts one.
    pub(super) async fn open(&self, origin: &BaseUrl) -> Result<TcpStream, Unconnected> {
        let (host, port) = (&*origin.host, origin.port);
        let mut errors = Vec::new();
        let mut addresses = self.addresses(host, port).await?.into_iter().peekable();
        while let Some(address) = addresses.next() {
            let connecting = self.network.connect(address);
            let connected = match addresses.peek() {
                Some(_) => timeout(PER_ADDRESS, connecting).await,
                // Nothing is left to save time for.
                None => Ok(connecting.await),
            };
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(tcp) => return Ok(tcp),
                Err(error) => errors.push((address, error)),
            }
        }
        let message = match errors.last() {
            Some((_, error)) => format!("cannot connect to {host}:{port}: {error}"),
            None => format!("cannot connect to {host}:{port}: the name has no address"),
        };
        Err(Unconnected {
            failure: Failure::new(FailureKind::Connect, message),
            wait: wait_for_free(&errors),
        })
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let known = self.lock().clone();
        let lookup = self.network.resolve(host, port);
        let found = if known.is_empty() {
            lookup.await
        } else {
            let found = timeout(SLOW_LOOKUP, lookup).await;
            found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match found {
            Ok(found) if !found.is_empty() => {
                self.lock().clone_from(&found);
                Ok(found)
            }
            // Names of providers seldom move, and resolvers often fail.
            Ok(_) | Err(_) if !known.is_empty() => Ok(known),
            Ok(none) => Ok(none),
            Err(error) => Err(unresolved(host, &error)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        // A list is only ever replaced as a whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
mod tests {
    use super::*;

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_resolver_that_fails() {
        let code = |text: &str| {
            let text = format!("{LOOKUP_FAILED}{text}");
            let failure = unresolved("h.example", &io::Error::other(text));
            assert!(!failure.message.contains("lookup"), "{}", failure.message);
            failure.provider_code
        };
        assert_eq!(code("Name or service not known").as_deref(), Some("dns"));
        assert_eq!(code("Name does not resolve").as_deref(), Some("dns"));
        for text in [
            "Temporary failure in name resolution",
            "Try again",
            "Too many open files",
        ] {
            assert_eq!(code(text).as_deref(), Some("dns_unavailable"), "{text}");
        }
    }

    /// Knows a name once and never says anything again.
    #[derive(Debug, Default)]
    struct Hanging(std::sync::atomic::AtomicBool);

    impl Network for Hanging {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Asked<'a, Vec<SocketAddr>> {
            let again = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move {
                if again {
                    std::future::pending::<()>().await;
                }
                Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_is_not_waited_for_when_addresses_are_known() {
        let way = Way::new(Arc::new(Hanging::default()));
        let first = way.addresses("h", 80).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(way.addresses("h", 80).await.unwrap(), first);
        assert!(began.elapsed() < SLOW_LOOKUP * 2);
    }

    /// Nobody at these addresses ever answers; keeps those that were tried.
    #[derive(Debug)]
    struct BlackHoles(Vec<SocketAddr>, Mutex<Vec<SocketAddr>>);

    impl Network for BlackHoles {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Asked<'a, Vec<SocketAddr>> {
            Box::pin(async { Ok(self.0.clone()) })
        }

        fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
            self.1.lock().unwrap().push(address);
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_address_that_has_a_next_one_is_given_up_early() {
        let addresses: Vec<SocketAddr> = (1..=2).map(|n| ([192, 0, 2, n], 80).into()).collect();
        let origin = BaseUrl::parse("http://h").unwrap();
        for n in [1, 2] {
            let holes = Arc::new(BlackHoles(addresses[..n].to_vec(), Mutex::default()));
            let way = Way::new(Arc::clone(&holes) as Arc<dyn Network>);
            let opened = timeout(Duration::from_secs(60), way.open(&origin)).await;
            assert!(opened.is_err(), "the connect deadline is somebody else's");
            assert_eq!(*holes.1.lock().unwrap(), addresses[..n]);
        }
    }

    #[test]
    fn only_a_lack_that_may_pass_is_waited_for() {
        let v4: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let v6: SocketAddr = "[::1]:1".parse().unwrap();
        let wait = |errors: &[(SocketAddr, i32)]| {
            let errors: Vec<_> = errors
                .iter()
                .map(|(address, code)| (*address, io::Error::from_raw_os_error(*code)))
                .collect();
            wait_for_free(&errors)
        };
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[(v4, libc::ECONNREFUSED)]), None);
        assert_eq!(wait(&[(v4, libc::EMFILE)]), Some(Duration::MAX));
        assert_eq!(wait(&[(v4, libc::EADDRNOTAVAIL)]), Some(PORTS_WAIT));
        assert_eq!(wait(&[(v6, libc::EADDRNOTAVAIL)]), Some(PORTS_WAIT));
        let no_ipv6 = [(v4, libc::ECONNREFUSED), (v6, libc::EADDRNOTAVAIL)];
        assert_eq!(wait(&no_ipv6), None);
    }
}
