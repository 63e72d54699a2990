//! What a client is made of.
//!
//! Owns the settings and the checks that [`ClientBuilder::build`] makes. Never shows a key, and
//! never looks into the environment unless it was told to.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::places::{Known, Places, Purpose};
use super::{Client, Inner, env};
use crate::catalogue;
use crate::config::{Concurrency, EngineSettings, Limits, RetrySettings, Timeouts};
use crate::endpoint::{ApiKey, BaseUrl, Endpoint, HttpVersion};
use crate::error::Error;
use crate::price::{Price, PriceTable};
use crate::transport::{Connector, Proxies, tls_config};

/// How long calls wait for an endpoint that is down: as long as a person would. A run of a file
/// waits for an hour.
const MAX_OUTAGE: Duration = Duration::from_secs(60);

/// Settings of a [`Client`] to be.
///
/// What is wrong with one of them is told by [`ClientBuilder::build`].
pub struct ClientBuilder {
    allows: Allows,
    keys: Vec<(String, String)>,
    base_urls: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    concurrency: Option<Wanted>,
    settings: EngineSettings,
    prices: Vec<(String, Price)>,
    certificates: Option<Vec<u8>>,
    connector: Option<Connector>,
    proxies: Proxies,
}

/// Attempts in flight as they were asked for.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Fixed(usize),
    Auto(usize),
}

impl Wanted {
    fn checked(self) -> Result<Concurrency, Error> {
        let (Wanted::Fixed(attempts) | Wanted::Auto(attempts)) = self;
        let attempts = NonZeroUsize::new(attempts)
            .ok_or_else(|| Error::config("a concurrency of 0 would never send anything"))?;
        Ok(match self {
            Wanted::Fixed(_) => Concurrency::Fixed(attempts),
            Wanted::Auto(_) => Concurrency::Auto { max: attempts },
        })
    }
}

/// What only happens to clients that were told so.
#[derive(Debug, Default)]
struct Allows {
    env: bool,
    insecure_http: bool,
    http: HttpVersion,
}

impl Default for ClientBuilder {
    fn default() -> ClientBuilder {
        let retry = RetrySettings {
            max_outage: MAX_OUTAGE,
            ..RetrySettings::default()
        };
        ClientBuilder {
            allows: Allows::default(),
            keys: Vec::new(),
            base_urls: Vec::new(),
            endpoints: Vec::new(),
            concurrency: None,
            settings: EngineSettings {
                retry,
                ..EngineSettings::default()
            },
            prices: Vec::new(),
            certificates: None,
            connector: None,
            proxies: Proxies::default(),
        }
    }
}

impl ClientBuilder {
    /// Looks for keys, base URLs and headers in the environment, under the names that the
    /// providers' own SDKs use, and for further certificate authorities in `SSL_CERT_FILE`; what
    /// is set here counts before that.
    #[must_use]
    pub fn env(mut self) -> ClientBuilder {
        self.allows.env = true;
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

    /// An endpoint of one's own; its models are `ENDPOINT/NAME`. One that is named like a provider
    /// takes that one's place.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> ClientBuilder {
        self.endpoints.push(endpoint);
        self
    }

    /// How many attempts may be in flight, per endpoint and model, whatever happens.
    ///
    /// Default: [`Concurrency::DEFAULT`], which finds out while requests are sent how many the
    /// endpoint serves well, up to [`Concurrency::MOST`] of them. Of this and
    /// [`auto_concurrency`](ClientBuilder::auto_concurrency), the last one counts.
    #[must_use]
    pub fn concurrency(mut self, attempts: usize) -> ClientBuilder {
        self.concurrency = Some(Wanted::Fixed(attempts));
        self
    }

    /// The most attempts in flight, per endpoint and model, when it is found out how many the
    /// endpoint serves well; at least 1. Default: [`Concurrency::MOST`].
    #[must_use]
    pub fn auto_concurrency(mut self, max: usize) -> ClientBuilder {
        self.concurrency = Some(Wanted::Auto(max));
        self
    }

    /// The share of what a provider allows that this client may use, above 0 and at most 1, for
    /// keys that others use too. It applies to what is found out about the provider, not to
    /// [`limits`](ClientBuilder::limits). Default 1.
    #[must_use]
    pub fn target_utilization(mut self, share: f64) -> ClientBuilder {
        self.settings.target_utilization = share;
        self
    }

    /// Rates that hold per endpoint and model. Default: none.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> ClientBuilder {
        self.settings.limits = limits;
        self
    }

    /// How failed attempts are tried again. Default: up to five attempts that count, and a
    /// minute of waiting for an endpoint that is down (half of it while nothing has ever
    /// succeeded).
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

    /// How long [`Client::close`] waits for calls under way. Default 30 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> ClientBuilder {
        self.settings.grace = grace;
        self
    }

    /// The price of a model, in place of what the embedded table says.
    #[must_use]
    pub fn price(mut self, model: &str, price: Price) -> ClientBuilder {
        self.prices.push((model.to_owned(), price));
        self
    }

    /// Certificate authorities to trust besides Mozilla's, as PEM.
    #[must_use]
    pub fn certificates(mut self, pem: &[u8]) -> ClientBuilder {
        self.certificates = Some(pem.to_vec());
        self
    }

    /// Allows plain http to hosts that are not local, where keys and prompts can be read on the
    /// way.
    #[must_use]
    pub fn insecure_http(mut self) -> ClientBuilder {
        self.allows.insecure_http = true;
        self
    }

    /// The version of HTTP that is spoken with endpoints that name none themselves.
    ///
    /// Default: [`HttpVersion::Auto`]. [`HttpVersion::Http2`] over plain http needs a server that
    /// knows of it beforehand.
    #[must_use]
    pub fn http(mut self, version: HttpVersion) -> ClientBuilder {
        self.allows.http = version;
        self
    }

    /// The way to the network: TLS settings of one's own, or pipes in memory for tests. Default:
    /// TCP, and TLS with Mozilla's certificate authorities.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> ClientBuilder {
        self.connector = Some(connector);
        self
    }

    /// The proxies that requests go through, but for those to this machine. Default: none,
    /// whatever the environment says.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> ClientBuilder {
        self.proxies = proxies;
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
        if let Some(wanted) = self.concurrency {
            settings.concurrency = wanted.checked()?;
        }
        let share = settings.target_utilization;
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::config(format!(
                "a target utilization of {share} is not above 0 and at most 1"
            )));
        }
        if settings.seed == 0 {
            settings.seed = fastrand::u64(1..);
        }
        let known = known(self.keys, self.base_urls, self.endpoints, &self.allows)?;
        let connector = match (self.connector, self.certificates) {
            (Some(connector), _) => connector,
            (None, Some(pem)) => Connector::Net(tls_config(Some(&pem))?),
            (None, None) if known.reads_env => Connector::Net(env_tls()?),
            (None, None) => Connector::Net(tls_config(None)?),
        };
        let mut prices = PriceTable::embedded();
        for (model, price) in self.prices {
            prices.set(&model, price);
        }
        Ok(Client::of(Inner {
            places: Places::new(known, (connector, self.proxies), settings.timeouts),
            settings,
            prices,
            lanes: Default::default(),
            gate: Default::default(),
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key is as it was given here, and a base URL may hold a password: nobody checked yet.
        let names = |told: &[(String, String)]| -> Vec<String> {
            told.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("ClientBuilder")
            .field("allows", &self.allows)
            .field("keys_for", &names(&self.keys))
            .field("base_urls_for", &names(&self.base_urls))
            .field("endpoints", &self.endpoints)
            .field("concurrency", &self.concurrency)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What was told about places, checked.
fn known(
    keys: Vec<(String, String)>,
    base_urls: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    allows: &Allows,
) -> Result<Known, Error> {
    let mut known = Known {
        endpoints,
        reads_env: allows.env,
        insecure_http: allows.insecure_http,
        http: allows.http,
        ..Known::default()
    };
    let mut told = Vec::new();
    for (name, key) in keys {
        let key = ApiKey::new(&key).map_err(|error| error.at(&format!("for {name}")))?;
        told.push(catalogue::get(&name)?);
        known.keys.insert(name, key);
    }
    for (name, url) in base_urls {
        BaseUrl::parse(&url).map_err(|error| error.at(&format!("for {name}")))?;
        told.push(catalogue::get(&name)?);
        known.base_urls.insert(name, url);
    }
    // What is missing shows now rather than at the first call.
    for provider in told {
        known.of_provider(provider, Purpose::Chat)?;
    }
    Ok(known)
}

/// TLS with the certificate authorities that the environment adds.
fn env_tls() -> Result<Arc<rustls::ClientConfig>, Error> {
    let Some(path) = env::read(env::SSL_CERT_FILE) else {
        return tls_config(None);
    };
    let pem = std::fs::read(&path).map_err(|error| {
        let what = format!("cannot read {} {path}: {error}", env::SSL_CERT_FILE);
        Error::config(what)
    })?;
    tls_config(Some(&pem))
}
