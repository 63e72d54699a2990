//! What the operating system does for a connection, and does not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use forebay::endpoint::Endpoint;
use forebay::engine::{Feed, FeedOptions, feed_in_thread};
use forebay::event::StopReason;
use forebay::transport::{Asked, Connector, Network, tls_config};
use forebay_sim::Sim;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Scenario, fixed, prompts};

/// Sockets.
pub(super) fn net() -> Connector {
    Connector::Net(tls_config(None).unwrap())
}

/// A simulator on a loopback port, and the endpoint to reach it.
pub(super) async fn on_loopback(scenario: &Scenario) -> (Endpoint, Sim) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sim = Sim::new(scenario.sim.clone());
    let endpoint = at(scenario, listener.local_addr().unwrap());
    let server = sim.clone();
    tokio::spawn(async move { server.serve(listener).await });
    (endpoint, sim)
}

pub(super) fn at(scenario: &Scenario, address: SocketAddr) -> Endpoint {
    let mut endpoint = scenario.endpoint();
    endpoint.base_url.host = address.ip().to_string();
    endpoint.base_url.port = address.port();
    endpoint
}

/// Items that are answered at once, on real sockets and in real time.
pub(super) fn quick(n: usize) -> Scenario {
    let mut scenario = Scenario {
        prompts: prompts(n),
        ..Scenario::default()
    };
    scenario.sim.latency = forebay_sim::Latency::Zero;
    scenario
}

/// Something other than the system's way to connect.
struct Connecting<F>(F);

impl<F> std::fmt::Debug for Connecting<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connecting")
    }
}

/// Connects as the system does, unless told otherwise by the number of the try, from 1.
impl<F: Fn(u32) -> Option<io::Error> + Send + Sync> Network for Connecting<(F, AtomicU32)> {
    fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
        let n = self.0.1.fetch_add(1, Ordering::Relaxed) + 1;
        Box::pin(async move {
            match (self.0.0)(n) {
                Some(error) => Err(error),
                None => System.connect(address).await,
            }
        })
    }
}

fn connecting<F>(instead: F) -> Option<Arc<dyn Network>>
where
    F: Fn(u32) -> Option<io::Error> + Send + Sync + 'static,
{
    Some(Arc::new(Connecting((instead, AtomicU32::new(0)))))
}

#[derive(Debug)]
struct System;

impl Network for System {}

/// Fault 1: stops early when nobody ever listens, and leaves every item pending.
#[tokio::test]
async fn a_closed_port_stops_with_everything_pending() {
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut scenario = quick(1);
    scenario.settings.retry.max_attempts = 2;
    let (endpoint, sim) = (at(&scenario, address), Sim::new(scenario.sim.clone()));
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage));
    assert_eq!((ended.summary.pending, ended.summary.failed), (1, 0));
    let message = ended.summary.stop_example.unwrap().message;
    assert!(message.contains("refused"), "{message}");
}

/// A resolver that starts the server when it is asked for the third time.
#[derive(Debug)]
struct LateServer {
    sim: Sim,
    address: SocketAddr,
    asked: AtomicU32,
}

impl Network for LateServer {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Asked<'a, Vec<SocketAddr>> {
        Box::pin(async {
            if self.asked.fetch_add(1, Ordering::Relaxed) == 2 {
                let listener = TcpListener::bind(self.address).await?;
                let sim = self.sim.clone();
                tokio::spawn(async move { sim.serve(listener).await });
            }
            Ok(vec![self.address])
        })
    }
}

/// Fault 1: waits for a server that begins to listen a little late.
#[tokio::test]
async fn a_port_that_opens_late_is_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut scenario = quick(10);
    scenario.settings.concurrency = fixed(1);
    let sim = Sim::new(scenario.sim.clone());
    scenario.network = Some(Arc::new(LateServer {
        sim: sim.clone(),
        address,
        asked: AtomicU32::new(0),
    }));
    let endpoint = at(&scenario, address);
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(ended.summary.failed_attempts[0].0.label(), "connect");
    assert_eq!(ended.summary.failed_attempts[0].1, 2);
}

/// Faults 53, 54: waits for free descriptors and ports, without an attempt or a deadline being spent.
#[tokio::test]
async fn a_lack_of_descriptors_or_ports_is_waited_for() {
    for code in [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL] {
        let mut scenario = quick(20);
        scenario.settings.concurrency = fixed(4);
        scenario.settings.retry.max_attempts = 1;
        // The lack lasts for longer than this.
        scenario.settings.timeouts.connect = Duration::from_millis(100);
        scenario.network =
            connecting(move |n| (n <= 30).then(|| io::Error::from_raw_os_error(code)));
        let (endpoint, sim) = on_loopback(&scenario).await;
        let ended = scenario.run_at(endpoint, sim, net()).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (20, 0), "{code}");
        assert!(ended.summary.failed_attempts.is_empty(), "{code}");
    }
}

/// Fault 53: an attempt that waits for a descriptor takes a connection that becomes free.
#[tokio::test]
async fn a_free_connection_is_as_good_as_a_descriptor() {
    let mut scenario = quick(200);
    scenario.settings.concurrency = fixed(4);
    // The second and all later connections never come about.
    scenario.network = connecting(|n| (n > 1).then(|| io::Error::from_raw_os_error(libc::EMFILE)));
    let (endpoint, sim) = on_loopback(&scenario).await;
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (200, 0));
}

/// Connects as the system does, and looks at what it got.
#[derive(Debug, Default)]
struct Looking(AtomicBool);

impl Network for Looking {
    fn connect(&self, address: SocketAddr) -> Asked<'_, TcpStream> {
        Box::pin(async move {
            let tcp = System.connect(address).await?;
            let socket = SockRef::from(&tcp);
            assert!(tcp.nodelay()? && socket.keepalive()?);
            #[cfg(target_os = "linux")]
            {
                let minute = Duration::from_secs(60);
                assert_eq!(socket.tcp_keepalive_time()?, minute);
                assert_eq!(socket.tcp_keepalive_interval()?, minute);
                assert_eq!(socket.tcp_keepalive_retries()?, 5);
                assert_eq!(socket.tcp_user_timeout()?, Some(3 * minute));
            }
            self.0.store(true, Ordering::Relaxed);
            Ok(tcp)
        })
    }
}

/// Fault 57: has the system ask each minute whether the other side is still there, and give up after three.
#[tokio::test]
async fn quiet_connections_are_kept_alive_and_dead_ones_noticed() {
    let mut scenario = quick(1);
    let looking = Arc::new(Looking::default());
    scenario.network = Some(Arc::clone(&looking) as Arc<dyn Network>);
    let (endpoint, sim) = on_loopback(&scenario).await;
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!(ended.rows[0]["attempts"], 1);
    assert!(looking.0.load(Ordering::Relaxed));
}

/// Fault 61: a panic on the way of one row is that row's failed attempt; its permit comes back.
#[tokio::test]
async fn a_panic_is_one_rows_failure() {
    for (attempts, failed) in [(2, 0), (1, 1)] {
        let mut scenario = quick(5);
        scenario.settings.retry.max_attempts = attempts;
        // With one permit in all, a lost one would hold the run up for ever.
        scenario.settings.concurrency = fixed(1);
        scenario.network = connecting(|n| {
            assert!(n > 1, "a panic that belongs to the test");
            None
        });
        let (endpoint, sim) = on_loopback(&scenario).await;
        let ended = scenario.run_at(endpoint, sim, net()).await;
        assert_eq!(
            (ended.summary.ok, ended.summary.failed),
            (5 - failed, failed)
        );
        for row in ended.rows.iter().filter(|row| row["error"].is_object()) {
            assert_eq!(row["error"]["code"], "panic", "{row}");
            assert!(!row["error"].to_string().contains("belongs to the test"));
        }
    }
}

/// Fault 61: a panic in reading the input is a fault that ends the run, and never the input's end.
#[test]
fn a_panic_in_the_input_is_a_fault() {
    let items = (0..10).map(|n| {
        assert!(n < 3, "a panic that belongs to the test");
        Err(forebay::error::Error::io("never read"))
    });
    let endpoint = quick(1).endpoint();
    let items = items.skip(3);
    let Feed::Channel(mut chunks) =
        feed_in_thread(items, endpoint, FeedOptions::default()).unwrap()
    else {
        panic!("a thread hands over through a channel")
    };
    let last = std::iter::from_fn(|| chunks.blocking_recv())
        .last()
        .unwrap();
    assert!(last.unwrap_err().to_string().contains("panic"));
}

/// Serves no connection before so many have brought a request.
async fn serve_at_once(listener: TcpListener, sim: Sim, wanted: usize) {
    let (arrived, _) = tokio::sync::watch::channel(0);
    while let Ok((tcp, _)) = listener.accept().await {
        let (sim, arrived) = (sim.clone(), arrived.clone());
        tokio::spawn(async move {
            tcp.readable().await.ok()?;
            arrived.send_modify(|n| *n += 1);
            let all = arrived.subscribe().wait_for(|n| *n >= wanted).await.is_ok();
            if all {
                sim.serve_connection(tcp).await;
            }
            Some(())
        });
    }
}

/// Fewer than half of the descriptors that a process may have at the least, as both ends are here.
#[tokio::test]
async fn hundreds_in_flight_have_a_connection_each_at_the_same_time() {
    let at_once = 400;
    let mut scenario = quick(3 * at_once);
    scenario.settings.concurrency = fixed(at_once);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = at(&scenario, listener.local_addr().unwrap());
    let sim = Sim::new(scenario.sim.clone());
    tokio::spawn(serve_at_once(listener, sim.clone(), at_once));
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (1_200, 0));
    assert_eq!(ended.summary.failed_attempts, []);
    assert!(ended.sim.stats().connections >= 400);
}

#[tokio::test(start_paused = true)]
async fn thousands_in_flight_take_no_longer_than_one() {
    let mut scenario = Scenario {
        prompts: prompts(4_000),
        ..Scenario::default()
    };
    scenario.settings.concurrency = fixed(2_000);
    let ended = scenario.run().await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (4_000, 0));
    assert_eq!(ended.summary.failed_attempts, []);
    let stats = ended.sim.stats();
    assert_eq!((stats.connections, stats.max_in_flight), (2_000, 2_000));
    assert!(
        ended.wall < Duration::from_millis(1_500),
        "{:?}",
        ended.wall
    );
}
