//! Names that do not resolve.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use forebay::event::StopReason;
use forebay::transport::{Asked, Network};
use forebay_sim::{Action, Sim};

use super::sockets::{net, on_loopback, quick};
use crate::harness::{Scenario, first_tries, fixed};

/// What a resolver says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    Address(SocketAddr),
    Unknown,
    CannotTell,
    Nothing,
}

/// A resolver that gives the first answers of a list, then the last one for ever.
#[derive(Debug)]
pub(super) struct Resolver {
    says: Vec<Says>,
    asked: AtomicU32,
}

impl Resolver {
    pub(super) fn new(says: &[Says]) -> Arc<Resolver> {
        Arc::new(Resolver {
            says: says.to_vec(),
            asked: AtomicU32::new(0),
        })
    }
}

impl Network for Resolver {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Asked<'a, Vec<SocketAddr>> {
        let n = self.asked.fetch_add(1, Ordering::Relaxed) as usize;
        let says = self.says[n.min(self.says.len() - 1)];
        let failed = |text: &str| {
            Err(io::Error::other(format!(
                "failed to lookup address information: {text}"
            )))
        };
        Box::pin(async move {
            match says {
                Says::Address(address) => Ok(vec![address]),
                // The words of glibc for EAI_NONAME and EAI_AGAIN.
                Says::Unknown => failed("Name or service not known"),
                Says::CannotTell => failed("Temporary failure in name resolution"),
                Says::Nothing => std::future::pending().await,
            }
        })
    }
}

/// A run whose first answer of the resolver is the last.
async fn with_a_resolver_that_says(says: Says) -> (crate::harness::Ended, u32) {
    let resolver = Resolver::new(&[says]);
    let mut scenario = quick(100);
    scenario.network = Some(Arc::clone(&resolver) as Arc<dyn Network>);
    let sim = Sim::new(scenario.sim.clone());
    let mut endpoint = scenario.endpoint();
    endpoint.base_url.host = "provider.example".into();
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!(ended.summary.stopped, Some(StopReason::Outage), "{says:?}");
    assert_eq!((ended.summary.ok, ended.summary.failed), (0, 0), "{says:?}");
    (ended, resolver.asked.load(Ordering::Relaxed))
}

/// Fault 2: stops at once, with all items pending, when the host's name does not exist.
#[tokio::test(start_paused = true)]
async fn a_name_that_does_not_exist_stops_at_once() {
    let (ended, asked) = with_a_resolver_that_says(Says::Unknown).await;
    assert!(ended.wall < Duration::from_secs(1), "{:?}", ended.wall);
    assert!(asked <= 20, "nothing is tried twice: {asked}");
    let example = ended.summary.stop_example.unwrap();
    assert_eq!(example.provider_code.as_deref(), Some("dns"));
    assert!(
        example.message.contains("provider.example"),
        "{}",
        example.message
    );
}

/// Fault 2: a resolver that fails or hangs is asked again for half a minute before the run stops.
#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_is_asked_again() {
    for says in [Says::CannotTell, Says::Nothing] {
        let (ended, asked) = with_a_resolver_that_says(says).await;
        let wall = ended.wall.as_secs();
        assert!((20..90).contains(&wall), "{says:?}: {wall} s");
        assert!(asked > 20, "{says:?}: {asked}");
    }
}

fn at_a_name(scenario: &Scenario, port: u16) -> forebay::endpoint::Endpoint {
    let mut endpoint = scenario.endpoint();
    endpoint.base_url.host = "provider.example".into();
    endpoint.base_url.port = port;
    endpoint
}

/// Fault 2: goes on when a resolver that failed at first knows the name.
#[tokio::test]
async fn a_resolver_that_failed_at_first_costs_retries() {
    let mut scenario = quick(10);
    scenario.settings.concurrency = fixed(1);
    let (there, sim) = on_loopback(&scenario).await;
    let address = SocketAddr::from(([127, 0, 0, 1], there.base_url.port));
    let says = [Says::CannotTell, Says::CannotTell, Says::Address(address)];
    scenario.network = Some(Resolver::new(&says));
    let endpoint = at_a_name(&scenario, address.port());
    let ended = scenario.run_at(endpoint, sim, net()).await;
    assert_eq!((ended.summary.ok, ended.summary.failed), (10, 0));
    assert_eq!(ended.summary.failed_attempts[0].1, 2);
}

/// Fault 2: uses the addresses that it knows when the resolver fails in the middle of a run.
#[tokio::test]
async fn known_addresses_outlive_the_resolver() {
    for later in [Says::Unknown, Says::CannotTell] {
        let mut scenario = quick(20);
        // Each request needs a connection of its own, and so a name.
        scenario.sim.script = first_tries(9, |_| Action::CloseAfterAnswer);
        scenario.settings.concurrency = fixed(1);
        scenario.settings.retry.max_attempts = 1;
        let (there, sim) = on_loopback(&scenario).await;
        let address = SocketAddr::from(([127, 0, 0, 1], there.base_url.port));
        let resolver = Resolver::new(&[Says::Address(address), later]);
        scenario.network = Some(Arc::clone(&resolver) as Arc<dyn Network>);
        let endpoint = at_a_name(&scenario, address.port());
        let ended = scenario.run_at(endpoint, sim, net()).await;
        assert_eq!((ended.summary.ok, ended.summary.failed), (20, 0));
        assert!(ended.rows.iter().all(|row| row["attempts"] == 1));
        assert!(resolver.asked.load(Ordering::Relaxed) >= 20);
    }
}
