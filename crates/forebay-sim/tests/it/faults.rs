use forebay_sim::{Config, Faults, Sim};

use crate::client::{Client, quick, say};

#[tokio::test(start_paused = true)]
async fn faults_strike_as_often_as_told_and_the_same_each_time() {
    let run = async || {
        let sim = Sim::new(Config {
            faults: Faults {
                error_rate: vec![(500, 0.1), (529, 0.1)],
                reset: 0.1,
                cut: 0.1,
                stall: 0.0,
            },
            ..quick()
        });
        let mut statuses = Vec::new();
        for n in 0..400 {
            let mut client = Client::connect(&sim);
            client.send(say(&n.to_string())).await;
            statuses.push(client.answer().await.map(|answer| answer.status));
        }
        (statuses, sim.stats())
    };
    let (statuses, stats) = run().await;
    let share = |status| statuses.iter().filter(|s| **s == status).count();
    for (status, expected) in [
        (Some(500), 40),
        (Some(529), 40),
        (None, 80),
        (Some(200), 240),
    ] {
        let got = share(status);
        assert!(
            got.abs_diff(expected) < 30,
            "{status:?}: expected about {expected}, got {got}"
        );
    }
    assert_eq!(stats.dropped as usize, share(None));
    assert_eq!(stats.errors as usize, share(Some(500)) + share(Some(529)));
    assert_eq!(run().await, (statuses, stats));
}
