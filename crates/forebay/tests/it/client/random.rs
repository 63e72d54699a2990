//! Whatever happens to calls, nothing of them is left.

use super::*;
use forebay_sim::Action;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use proptest::prelude::*;

/// How somebody makes a call, and when they lose patience.
#[derive(Debug, Clone)]
struct Caller {
    begins_after_ms: u64,
    patience_ms: u64,
    streams: bool,
    pieces: usize,
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let caller = (0..3_000u64, 0..20_000u64, any::<bool>(), 0..6usize);
    let caller = caller.prop_map(|(begins_after_ms, patience_ms, streams, pieces)| Caller {
        begins_after_ms,
        patience_ms,
        streams,
        pieces,
    });
    prop::collection::vec(caller, 1..40)
}

async fn live(client: Client, n: usize, caller: Caller) {
    tokio::time::sleep(Duration::from_millis(caller.begins_after_ms)).await;
    let request = client.chat(GPT).user(format!("one two three {n}"));
    let call = async {
        if !caller.streams {
            let _ = request.send().await;
            return;
        }
        let mut stream = request.stream();
        for _ in 0..caller.pieces {
            if !matches!(stream.next().await, Some(Ok(_))) {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(caller.patience_ms), call).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_permit_comes_back(callers in callers(), faults in any::<u64>(), limit in 1..6usize) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async move {
            let script = move |call: &forebay_sim::Call<'_>| {
                match (faults >> (call.seq % 61)) & 7 {
                    0 => Action::status(500),
                    1 => Action::status(429),
                    2 => Action::DelayThen(Duration::from_secs(5), Box::new(Action::Answer)),
                    3 => Action::CutAfter(1),
                    _ => Action::Answer,
                }
            };
            let sim = Sim::new(Config {
                script: Some(std::sync::Arc::new(script)),
                ..config()
            });
            let client = builder(&sim).concurrency(limit).build().unwrap();
            let lives = callers.into_iter().enumerate();
            let mut lives: FuturesUnordered<_> = lives
                .map(|(n, caller)| live(client.clone(), n, caller))
                .collect();
            while lives.next().await.is_some() {}
            assert_eq!(client.calls_under_way(), 0);
            assert!(has_all_permits(&client), "{client:?}");
            // The places are all free again: as many calls as may be in flight are, at once.
            let calls = (0..limit).map(|n| client.chat("gpt-4o").user(format!("last {n}")).send());
            let ended = futures_util::future::join_all(calls).await;
            assert_eq!(ended.len(), limit);
            assert_eq!(client.close().await, 0);
        });
    }
}
