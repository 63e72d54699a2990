use std::sync::Arc;
use std::time::Duration;

use forebay_sim::proxy::{Direction, End, Passed, Proxy, ProxyConfig, Slice};
use forebay_sim::{Event, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::client::{Client, quick, say};

const SECOND: Duration = Duration::from_secs(1);

/// A client and a server with a proxy between them.
fn between(config: ProxyConfig) -> (DuplexStream, DuplexStream, JoinHandle<Passed>) {
    let ((client, near), (far, server)) = (duplex(1 << 20), duplex(1 << 20));
    let proxy = Proxy::new(config);
    let passing = tokio::spawn(async move { proxy.splice(near, far).await });
    (client, server, passing)
}

/// A client of a simulator behind a proxy.
fn behind(sim: &Sim, config: ProxyConfig) -> (Client<DuplexStream>, JoinHandle<Passed>) {
    let (client, near) = duplex(1 << 20);
    let (proxy, server) = (Proxy::new(config), sim.connect());
    let passing = tokio::spawn(async move { proxy.splice(near, server).await });
    (Client::over(client), passing)
}

#[tokio::test(start_paused = true)]
async fn without_toxics_it_passes_everything_at_once_both_ways() {
    let sim = Sim::new(quick());
    let (mut client, passing) = behind(&sim, ProxyConfig::default());
    let begun = Instant::now();
    let request = say("x");
    assert_eq!(client.ask(&request).await.text(), "x");
    assert_eq!(client.ask(&request).await.text(), "x");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    drop(client);
    let passed = passing.await.unwrap();
    assert_eq!(passed.up, 2 * request.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn closing_one_way_leaves_the_other_open() {
    let (mut client, mut server, passing) = between(ProxyConfig::default());
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    server.read_to_end(&mut asked).await.unwrap();
    server.write_all(b"answer").await.unwrap();
    drop(server);
    let mut answered = Vec::new();
    client.read_to_end(&mut answered).await.unwrap();
    assert_eq!((&*asked, &*answered), (&b"question"[..], &b"answer"[..]));
    let expected = Passed {
        up: 8,
        down: 6,
        end: End::Closed,
    };
    assert_eq!(passing.await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn latency_delays_each_way_and_keeps_the_order() {
    let (mut client, mut server, _passing) = between(ProxyConfig {
        latency: SECOND,
        jitter: SECOND / 2,
        ..ProxyConfig::default()
    });
    let begun = Instant::now();
    let mut sent = Vec::new();
    for n in 0..100_u8 {
        client.write_all(&[n]).await.unwrap();
        sent.push(n);
        tokio::time::sleep(SECOND / 100).await;
    }
    let mut received = vec![0; 100];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(received, sent);
    // A second of sending, then half a second to one and a half for the last byte.
    let took = begun.elapsed();
    assert!(took >= SECOND * 3 / 2 && took <= SECOND * 5 / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_kept_and_slices_are_small() {
    let (mut client, mut server, _passing) = between(ProxyConfig {
        bandwidth: Some(1000),
        direction: Direction::Up,
        ..ProxyConfig::default()
    });
    let begun = Instant::now();
    client.write_all(&[7; 50_000]).await.unwrap();
    client.shutdown().await.unwrap();
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), 50_000);
    assert_eq!(begun.elapsed().as_secs(), 50);

    let (mut client, mut server, _passing) = between(ProxyConfig {
        slice: Some(Slice {
            size: 10,
            delay: SECOND,
        }),
        ..ProxyConfig::default()
    });
    client.write_all(&[7; 100]).await.unwrap();
    let mut piece = [0; 100];
    let mut left = 100;
    while left > 0 {
        let read = server.read(&mut piece).await.unwrap();
        assert!((5..=15).contains(&read) || read == left, "{read}");
        left -= read;
    }
}

#[tokio::test(start_paused = true)]
async fn connections_end_after_so_many_bytes_and_no_more_pass() {
    let sim = Sim::new(quick());
    let (mut client, _passing) = behind(&sim, ProxyConfig::default());
    client.send(say("x")).await;
    client.read_until(b"}").await;
    for (bytes, reset, end) in [
        (0, false, End::Limit),
        (1, false, End::Limit),
        (200, false, End::Limit),
        (200, true, End::Reset),
    ] {
        let sim = Sim::new(quick());
        let (limit, reset) = if reset {
            (None, Some(bytes))
        } else {
            (Some(bytes), None)
        };
        let (mut client, passing) = behind(
            &sim,
            ProxyConfig {
                limit_data: limit,
                reset_after: reset,
                direction: Direction::Down,
                ..ProxyConfig::default()
            },
        );
        client.send(say("x")).await;
        assert_eq!(client.rest().await.len() as u64, bytes);
        let passed = passing.await.unwrap();
        assert_eq!((passed.down, passed.end), (bytes, end));
    }
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_passes_nothing_and_closes_when_told() {
    let sim = Sim::new(quick());
    let hole = |seconds| ProxyConfig {
        timeout: Some(SECOND * seconds),
        direction: Direction::Down,
        ..ProxyConfig::default()
    };
    let (mut client, passing) = behind(&sim, hole(30));
    let begun = Instant::now();
    client.send(say("x")).await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(begun.elapsed(), SECOND * 30);
    assert_eq!(passing.await.unwrap().end, End::TimedOut);
    // The server did answer: what is lost on the way back is what gets paid twice.
    assert_eq!(sim.log().last().unwrap().event, Event::Answer);

    let (mut client, passing) = behind(&sim, hole(0));
    client.send(say("x")).await;
    assert!(timeout(SECOND * 86_400, client.rest()).await.is_err());
    drop(client);
    passing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn toxicity_strikes_a_share_and_the_same_for_a_seed() {
    let run = async |seed| {
        let proxy = Proxy::new(ProxyConfig {
            seed,
            down: true,
            toxicity: 0.3,
            ..ProxyConfig::default()
        });
        let mut struck = Vec::new();
        for _ in 0..200 {
            let ((client, near), (far, server)) = (duplex(64), duplex(64));
            drop((client, server));
            struck.push(proxy.splice(near, far).await.end == End::Reset);
        }
        struck
    };
    let struck = run(1).await;
    let share = struck.iter().filter(|struck| **struck).count();
    assert!((40..80).contains(&share), "{share}");
    assert_eq!(run(1).await, struck);
    assert_ne!(run(2).await, struck);
}

#[tokio::test(start_paused = true)]
async fn a_slow_close_comes_later() {
    let (mut client, server, _passing) = between(ProxyConfig {
        slow_close: SECOND * 9,
        direction: Direction::Down,
        ..ProxyConfig::default()
    });
    let begun = Instant::now();
    drop(server);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(begun.elapsed(), SECOND * 9);
}

#[tokio::test]
async fn on_sockets_a_reset_is_a_true_one() {
    let sim = Sim::new(quick());
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = server.local_addr().unwrap();
    let serving = sim.clone();
    tokio::spawn(async move { serving.serve(server).await });
    let proxy = async |config| {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(Arc::new(Proxy::new(config)).serve(listener, target));
        address
    };
    let good = proxy(ProxyConfig::default()).await;
    let mut client = Client::over(TcpStream::connect(good).await.unwrap());
    assert_eq!(client.ask(say("x")).await.text(), "x");

    let bad = proxy(ProxyConfig {
        reset_after: Some(10),
        direction: Direction::Up,
        ..ProxyConfig::default()
    });
    let mut client = TcpStream::connect(bad.await).await.unwrap();
    client.write_all(say("x").as_bytes()).await.unwrap();
    let mut received = Vec::new();
    let error = client.read_to_end(&mut received).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(received, b"");

    let down = proxy(ProxyConfig {
        down: true,
        ..ProxyConfig::default()
    });
    let mut client = TcpStream::connect(down.await).await.unwrap();
    assert!(client.read_to_end(&mut received).await.is_err());
}
