//! What a client is made of.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use super::{Client, Inner};
use crate::catalogue;
use crate::config::{Concurrency, EngineSettings, Limits, RetrySettings, Timeouts};
use crate::endpoint::{ApiKey, Endpoint};
use crate::error::Error;
use crate::money::Usd;
use crate::price::{Price, PriceTable};
use crate::transport::{Connector, tls_config};

/// Settings of a [`Client`] to be.
///
/// What is wrong with one of them is told by [`ClientBuilder::build`].
#[derive(Debug, Default)]
pub struct ClientBuilder {
    reads_env: bool,
    keys: Vec<(String, String)>,
    base_urls: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    concurrency: Option<usize>,
    settings: EngineSettings,
    prices: Vec<(String, Price)>,
    connector: Option<Connector>,
}

impl ClientBuilder {
    /// Looks for keys and base URLs in the environment, under the names that the providers' own
    /// SDKs use; what is set here counts before that.
    #[must_use]
    pub fn env(mut self) -> ClientBuilder {
        self.reads_env = true;
        self
    }

    /// The API key of a provider, by its name in the [`catalogue`].
    #[must_use]
    pub fn key(mut self, provider: &str, key: &str) -> ClientBuilder {
        self.keys.push((provider.to_owned(), key.to_owned()));
        self
    }

    /// The base URL of a provider, in place of its own: `http://localhost:8000/v1`.
    #[must_use]
    pub fn base_url(mut self, provider: &str, url: &str) -> ClientBuilder {
        self.base_urls.push((provider.to_owned(), url.to_owned()));
        self
    }

    /// An endpoint of one's own; its models are `ENDPOINT/NAME`.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> ClientBuilder {
        self.endpoints.push(endpoint);
        self
    }

    /// How many attempts may be in flight, per endpoint and model. Default 20.
    #[must_use]
    pub fn concurrency(mut self, attempts: usize) -> ClientBuilder {
        self.concurrency = Some(attempts);
        self
    }

    /// Rates that hold per endpoint and model. Default: none.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> ClientBuilder {
        self.settings.limits = limits;
        self
    }

    /// How failed attempts are tried again. Default: up to five attempts that count.
    #[must_use]
    pub fn retry(mut self, retry: RetrySettings) -> ClientBuilder {
        self.settings.retry = retry;
        self
    }

    /// Deadlines of one attempt.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> ClientBuilder {
        self.settings.timeouts = timeouts;
        self
    }

    /// The price of a model, in place of what the embedded table says.
    #[must_use]
    pub fn price(mut self, model: &str, price: Price) -> ClientBuilder {
        self.prices.push((model.to_owned(), price));
        self
    }

    /// The way to the network: other certificates, or pipes in memory for tests. Default: TCP,
    /// and TLS with Mozilla's certificate authorities.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> ClientBuilder {
        self.connector = Some(connector);
        self
    }

    /// Seed of the random part of waits. Default: another one each time.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> ClientBuilder {
        self.settings.seed = seed;
        self
    }

    /// Builds the client; nothing is connected yet.
    ///
    /// # Errors
    /// When a key, a base URL or a number is unusable, when a provider is not known, and when TLS
    /// cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let mut settings = self.settings;
        if let Some(attempts) = self.concurrency {
            let attempts = NonZeroUsize::new(attempts)
                .ok_or_else(|| Error::config("a concurrency of 0 would never send anything"))?;
            settings.concurrency = Concurrency::Fixed(attempts);
        }
        if settings.seed == 0 {
            settings.seed = fastrand::u64(1..);
        }
        settings.max_cost = None::<Usd>;
        let mut endpoints = HashMap::new();
        for name in self
            .keys
            .iter()
            .chain(&self.base_urls)
            .map(|(name, _)| name)
        {
            let provider = catalogue::get(name)?;
            let of = |list: &[(String, String)]| {
                let found = list.iter().rev().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            };
            let key = match of(&self.keys) {
                Some(key) => Some(ApiKey::new(&key)?),
                None if self.reads_env => provider.key_from(super::env::read)?,
                None => None,
            };
            let base_url = match of(&self.base_urls) {
                None if self.reads_env => provider.base_url_from(super::env::read),
                given => given,
            };
            let endpoint = provider.endpoint(key, base_url.as_deref())?;
            endpoints.insert(name.clone(), endpoint);
        }
        for endpoint in self.endpoints {
            endpoints.insert(endpoint.name.clone(), endpoint);
        }
        let connector = match self.connector {
            Some(connector) => connector,
            None => Connector::Net(tls_config(None)?),
        };
        let mut prices = PriceTable::embedded();
        for (model, price) in self.prices {
            prices.set(&model, price);
        }
        Ok(Client::of(Inner {
            endpoints,
            reads_env: self.reads_env,
            connector,
            settings,
            prices,
            transports: Default::default(),
            lanes: Default::default(),
            is_closed: Default::default(),
            n_calls: Default::default(),
            call_ended: Default::default(),
        }))
    }
}
