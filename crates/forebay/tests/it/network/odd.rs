//! Servers that are old, odd, elsewhere or in a hurry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::event::StopReason;
use forebay::transport::{Connector, MemoryConnector};
use forebay_sim::{Action, Sim};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::between::{Answer, Between, Step};
use super::sockets::{net, on_loopback};
use crate::harness::{Scenario, first_tries, fixed, prompts};

/// Fault 58: takes answers of HTTP/1.0 servers, of servers that close after each, and after interim answers.
#[tokio::test(start_paused = true)]
async fn old_and_odd_servers_are_understood() {
    type Case = (&'static str, fn(&Answer) -> Vec<u8>, bool);
    let cases: [Case; 10] = [
        ("HTTP/1.0", |a| a.with_head("HTTP/1.0 200 OK\r\n\r\n"), true),
        (
            "no length",
            |a| a.with_head("HTTP/1.1 200 OK\r\n\r\n"),
            true,
        ),
        ("FIN unannounced", Answer::whole, true),
        (
            "100 first",
            |a| [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), a.whole()].concat(),
            false,
        ),
        (
            "102 and 103 first",
            |a| {
                let interim = "HTTP/1.1 102 Processing\r\n\r\n\
                    HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
                [interim.as_bytes(), &a.whole()].concat()
            },
            false,
        ),
        (
            "no reason",
            |a| a.with_head(&a.head.replacen("200 OK", "200", 1)),
            false,
        ),
        (
            "empty reason",
            |a| a.with_head(&a.head.replacen("200 OK", "200 ", 1)),
            false,
        ),
        (
            "odd reason",
            |a| a.with_head(&a.head.replacen("200 OK", "200 why not? (ok)", 1)),
            false,
        ),
        (
            "shouted headers",
            |a| a.with_head(&a.head.to_uppercase()),
            false,
        ),
        (
            "chunks with extensions and trailers",
            |a| {
                let size = format!("{:X};why=not\r\n", a.body.len());
                let end = b"\r\n0\r\nx-checksum: 1\r\n\r\n";
                let parts = [size.as_bytes(), &a.body, end].concat();
                Answer::made("transfer-encoding: chunked\r\n", &parts)
            },
            false,
        ),
    ];
    for (name, rewrite, closes) in cases {
        let scenario = Scenario {
            prompts: prompts(60),
            ..Scenario::default()
        };
        let sim = Sim::new(scenario.sim.clone());
        let between = Between::new(&sim, move |_, answer| {
            let mut steps = vec![Step::Send(rewrite(answer))];
            steps.extend(closes.then_some(Step::Close));
            steps
        });
        let ended = scenario.run_over(sim, between.connector()).await;
        assert_eq!(ended.summary.ok, 60, "{name}");
        assert!(
            ended.rows.iter().all(|row| row["attempts"] == 1),
            "{name}: {:?}",
            ended.summary.failed_attempts
        );
    }
}

/// Fault 59: follows no redirect, sends the key nowhere else, and says where the matter lies.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    for status in [301, 302, 303, 307, 308] {
        let mut scenario = Scenario {
            prompts: prompts(1),
            ..Scenario::default()
        };
        let location = format!("http://127.0.0.1:{port}/v1/chat/completions?token=s3cret");
        scenario.sim.script = first_tries(9, move |_| Action::Reply {
            status,
            headers: vec![("location".into(), location.clone())],
            body: Vec::new(),
        });
        let (endpoint, sim) = on_loopback(&scenario).await;
        let ended = scenario.run_at(endpoint, sim, net()).await;
        assert_eq!(ended.summary.stopped, Some(StopReason::NotFound));
        let example = ended.summary.stop_example.unwrap();
        assert_eq!(example.status, Some(status));
        assert!(example.message.contains("redirect"), "{}", example.message);
        assert!(!format!("{example:?}").contains("s3cret"), "{example:?}");
    }
    let nobody = futures_util::FutureExt::now_or_never(elsewhere.accept());
    assert!(nobody.is_none(), "somebody followed");
}

/// Fault 24: reads a refusal that comes before a large request is sent whole, and does not send it again.
#[tokio::test(start_paused = true)]
async fn an_early_refusal_of_a_large_request_is_read() {
    for linger in [true, false] {
        let mut scenario = Scenario {
            prompts: vec![format!("item {}", "x".repeat(1 << 20)), "item 1".into()],
            ..Scenario::default()
        };
        scenario.settings.concurrency = fixed(1);
        let sim = Sim::new(scenario.sim.clone());
        let server = sim.clone();
        let connections = Arc::new(AtomicU64::new(0));
        let connector = MemoryConnector::new(move |mut pipe| {
            let n = connections.fetch_add(1, Ordering::Relaxed);
            let server = server.clone();
            tokio::spawn(async move {
                if n > 0 {
                    return server.serve_connection(pipe).await;
                }
                let _ = pipe.read(&mut [0; 1000]).await;
                let refusal = "HTTP/1.1 413 Too Large\r\nconnection: close\r\n\
                    content-length: 2\r\n\r\n{}";
                let _ = pipe.write_all(refusal.as_bytes()).await;
                if linger {
                    let _ = pipe.shutdown().await;
                    while pipe.read(&mut [0; 1000]).await.is_ok_and(|n| n > 0) {}
                }
            });
        });
        let ended = scenario.run_over(sim, Connector::Memory(connector)).await;
        assert_eq!(
            ended.error_kinds(),
            ["bad_request"],
            "linger: {linger} {:?}",
            ended.summary.failed_attempts
        );
        assert_eq!(ended.summary.ok, 1);
    }
}
