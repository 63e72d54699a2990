//! Lists of models, asked of the simulated provider in each dialect.

use std::time::Duration;

use forebay::config::Timeouts;
use forebay::endpoint::{Dialect, Endpoint};
use forebay::engine;
use forebay::outcome::{Failure, FailureKind};
use forebay::provider::ServedModel;
use forebay::transport::{Connector, MemoryConnector, Transport};
use forebay_sim::{Config, Sim};

use crate::harness::Scenario;

/// More than two pages of a thousand, the most that a page may have.
const MANY: usize = 2_500;

fn endpoint(provider: Dialect) -> Endpoint {
    let scenario = Scenario {
        provider,
        ..Scenario::default()
    };
    scenario.endpoint()
}

async fn ask(endpoint: &Endpoint, config: Config) -> Result<Vec<ServedModel>, Failure> {
    let sim = Sim::new(config);
    let connector = MemoryConnector::new(move |pipe| {
        let server = sim.clone();
        tokio::spawn(async move { server.serve_connection(pipe).await });
    });
    let timeouts = Timeouts {
        total: Duration::from_secs(60),
        ..Timeouts::default()
    };
    let connector = Connector::Memory(connector);
    let transport = Transport::new(endpoint.base_url.clone(), connector, timeouts).unwrap();
    engine::models(&transport, endpoint).await
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_in_every_dialect() {
    let names: Vec<String> = (0..MANY).map(|n| format!("model-{n:04}")).collect();
    for dialect in Dialect::ALL {
        let config = Config {
            models: names.clone(),
            ..Config::default()
        };
        let served = ask(&endpoint(dialect), config).await.unwrap();
        let served: Vec<String> = served.into_iter().map(|model| model.id).collect();
        assert!(served == names, "{}: {}", dialect.name(), served.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_a_list_is_a_failure() {
    let mut endpoint = endpoint(Dialect::Chat);
    endpoint.base_url.path = "/elsewhere".into();
    let failure = ask(&endpoint, Config::default()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    endpoint.key = None;
    endpoint.base_url.path = "/v1".into();
    let failure = ask(&endpoint, Config::default()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Auth);
}
