//! The transport by itself, without an engine.

use std::time::Duration;

use bytes::Bytes;
use forebay::config::Timeouts;
use forebay::endpoint::{BaseUrl, HttpVersion};
use forebay::transport::{Answer, Call, Connector, MemoryConnector, NoAnswer, Transport};
use forebay_sim::{Config, Latency, Sim};
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use http::{HeaderMap, HeaderValue};

const VERSIONS: [HttpVersion; 2] = [HttpVersion::Http1, HttpVersion::Http2];

/// A transport to a simulator behind pipes that answers after half a second.
fn direct(version: HttpVersion) -> (Transport, Call, Sim) {
    let sim = Sim::new(Config {
        latency: Latency::Fixed(Duration::from_millis(500)),
        ..Config::default()
    });
    let server = sim.clone();
    let pipes = MemoryConnector::new(move |pipe| {
        let server = server.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    });
    let origin = BaseUrl::parse("http://sim.local").unwrap();
    let connector = Connector::Memory(pipes);
    let transport = Transport::new(origin, connector, Timeouts::default())
        .unwrap()
        .speaking(version);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer k"));
    let call = transport.call("/v1/chat/completions", &headers).unwrap();
    (transport, call, sim)
}

fn body(n: usize) -> Bytes {
    let text = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"item {n}"}}]}}"#);
    text.into()
}

async fn ask(transport: &Transport, call: &Call, n: usize) -> Result<Answer, NoAnswer> {
    transport.exchange(call, &body(n)).await
}

/// Fault 53: no more connections than are allowed; what is beyond waits for one.
#[tokio::test(start_paused = true)]
async fn no_more_connections_are_opened_than_are_allowed() {
    for (version, most, at_once) in [(HttpVersion::Http1, 10, 10), (HttpVersion::Http2, 1, 100)] {
        let (transport, call, sim) = direct(version);
        let transport = transport.most_connections(most);
        let asked = (0..300).map(|n| ask(&transport, &call, n));
        let answers = join_all(asked).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.as_ref().unwrap().status == 200)
        );
        let stats = sim.stats();
        assert_eq!(stats.connections, most as u64, "{version:?}");
        assert_eq!(stats.max_in_flight, at_once, "{version:?}");
    }
}

/// Fault 60: an exchange that is dropped takes nothing of the others along.
#[tokio::test(start_paused = true)]
async fn an_exchange_that_is_dropped_ends_alone() {
    for (version, connections) in VERSIONS.into_iter().zip([20, 1]) {
        let (transport, call, sim) = direct(version);
        let patience = Duration::from_millis(100);
        let dropped = join_all((0..10).map(|n| {
            tokio::time::timeout(patience, ask(&transport, &call, n)).map(|late| late.is_err())
        }));
        let kept = join_all((10..20).map(|n| ask(&transport, &call, n)));
        let (dropped, kept) = join(dropped, kept).await;
        assert!(dropped.iter().all(|is_late| *is_late));
        assert!(
            kept.iter()
                .all(|answer| answer.as_ref().unwrap().status == 200)
        );
        let stats = sim.stats();
        assert_eq!(stats.connections, connections, "{version:?}");
        assert_eq!(
            (stats.answered_ok, stats.dropped, stats.in_flight),
            (10, 10, 0)
        );
        // And what is left is good for more.
        assert!(ask(&transport, &call, 20).await.is_ok());
        assert_eq!(sim.stats().connections, connections, "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_steps_of_an_exchange_are_timed() {
    for version in VERSIONS {
        let (transport, call, _sim) = direct(version);
        for n in 0..2 {
            let timings = ask(&transport, &call, n).await.unwrap().timings;
            assert_eq!(timings.opening.is_some(), n == 0, "{version:?}");
            assert_eq!(timings.http2, version == HttpVersion::Http2);
            let first_byte = timings.first_byte.as_millis();
            assert!((500..520).contains(&first_byte), "{first_byte} ms");
        }
    }
}

/// A connection that was idle for long is closed, and the next request opens another.
#[tokio::test(start_paused = true)]
async fn connections_that_idle_for_long_are_closed() {
    for version in VERSIONS {
        let (transport, call, sim) = direct(version);
        ask(&transport, &call, 0).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        transport.sweep();
        ask(&transport, &call, 1).await.unwrap();
        assert_eq!(sim.stats().connections, 1, "{version:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        transport.sweep();
        ask(&transport, &call, 2).await.unwrap();
        assert_eq!(sim.stats().connections, 2, "{version:?}");
    }
}
