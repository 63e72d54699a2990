//! From a model's name to the endpoint that serves it, and the connections there.
//!
//! Owns the endpoints that the program named, the keys and base URLs of the catalogue's providers,
//! and one transport per base URL. Never sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{env, lock};
use crate::catalogue::Provider;
use crate::config::Timeouts;
use crate::endpoint::{ApiKey, Dialect, Endpoint, HttpVersion};
use crate::error::Error;
use crate::route::{self, Target};
use crate::transport::{Connector, Proxies, Transport};

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// An answer.
    Chat,
    /// Vectors.
    Embeddings,
}

/// Where requests may go, as the builder was told.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) keys: HashMap<String, ApiKey>,
    pub(super) base_urls: HashMap<String, String>,
    pub(super) reads_env: bool,
    pub(super) insecure_http: bool,
    /// For endpoints that name no version themselves.
    pub(super) http: HttpVersion,
}

/// Where requests go.
#[derive(Debug)]
pub(super) struct Places {
    known: Known,
    connector: Connector,
    proxies: Proxies,
    timeouts: Timeouts,
    transports: Mutex<HashMap<(String, HttpVersion), Arc<Transport>>>,
}

impl Known {
    /// The endpoint of a provider.
    ///
    /// # Errors
    /// When it needs a key or a base URL that nobody gave, and when it cannot do what is asked.
    pub(super) fn of_provider(
        &self,
        provider: &Provider,
        purpose: Purpose,
    ) -> Result<Endpoint, Error> {
        let name = provider.name;
        let provider = match purpose {
            Purpose::Chat => *provider,
            Purpose::Embeddings => provider
                .for_embeddings()
                .ok_or_else(|| Error::config(format!("{name} makes no embeddings")))?,
        };
        let read = |variable: &str| match self.reads_env {
            true => env::read(variable),
            false => None,
        };
        let key = match self.keys.get(name) {
            Some(key) => Some(provider.with_header(key.clone(), None)),
            None => provider.key_from(read)?,
        };
        let given = self.base_urls.get(name).cloned();
        let base_url = given.or_else(|| provider.base_url_from(read));
        let endpoint = provider.endpoint(key, base_url.as_deref());
        let mut endpoint = endpoint.map_err(|error| match error.hint() {
            Some(_) => error,
            None => error.with_hint(format!("give the client .key({name:?}, …)")),
        })?;
        if self.reads_env {
            endpoint.headers = env::headers(&provider)?;
        }
        Ok(endpoint)
    }

    /// The program's own endpoint of this name; of several, the one that speaks this dialect.
    fn own(&self, name: &str, dialect: Option<Dialect>) -> Option<&Endpoint> {
        let named = || self.endpoints.iter().filter(|known| known.name == name);
        let exact = named().find(|known| Some(known.dialect) == dialect);
        exact.or_else(|| named().next_back())
    }
}

impl Places {
    pub(super) fn new(
        known: Known,
        (connector, proxies): (Connector, Proxies),
        timeouts: Timeouts,
    ) -> Places {
        Places {
            known,
            connector,
            proxies,
            timeouts,
            transports: Mutex::default(),
        }
    }

    /// The endpoint of a model, and the model's name as sent. An endpoint or a provider that is
    /// named takes the model's name as it is.
    ///
    /// # Errors
    /// When no endpoint serves it, its key is missing, or the way there is open to everybody.
    pub(super) fn find(
        &self,
        model: &str,
        endpoint: Option<&str>,
        purpose: Purpose,
    ) -> Result<(Endpoint, String), Error> {
        let own: Vec<&str> = self.known.endpoints.iter().map(|e| &*e.name).collect();
        let found = route::route(model, endpoint, &own)?;
        let own = |name: &str, dialect| {
            let own = self.known.own(name, dialect)?.clone();
            Some(match purpose {
                Purpose::Chat => own,
                Purpose::Embeddings => Endpoint {
                    dialect: Dialect::Embeddings,
                    ..own
                },
            })
        };
        let endpoint = match &found.target {
            Target::Provider(provider) => match own(provider.name, None) {
                Some(own) => own,
                None => self.known.of_provider(provider, purpose)?,
            },
            Target::Named(name) => own(name, None)
                .ok_or_else(|| Error::config(format!("there is no endpoint {name:?}")))?,
            Target::Simulated(dialect) => own("sim", Some(*dialect)).ok_or_else(|| {
                Error::config(format!(
                    "model {model:?} is of the command's embedded simulator, which the library has not"
                ))
                .with_hint("start `forebay sim` and name its base URL")
            })?,
        };
        let url = &endpoint.base_url;
        if !url.tls && !url.is_local() && !self.known.insecure_http {
            return Err(Error::config(format!(
                "{url} is plain http: key and prompts could be read on the way"
            ))
            .with_hint("use https, or tell the client .insecure_http()"));
        }
        Ok((endpoint, found.model))
    }

    /// The connections to an endpoint, shared by all its models.
    pub(super) fn transport(&self, endpoint: &Endpoint) -> Result<Arc<Transport>, Error> {
        let http = match endpoint.http {
            HttpVersion::Auto => self.known.http,
            HttpVersion::Http1 | HttpVersion::Http2 => endpoint.http,
        };
        let url = (endpoint.base_url.to_string(), http);
        let mut transports = lock(&self.transports);
        if let Some(transport) = transports.get(&url) {
            return Ok(Arc::clone(transport));
        }
        let connector = self.connector.clone();
        let transport = Transport::new(endpoint.base_url.clone(), connector, self.timeouts)?;
        let transport = Arc::new(transport.speaking(http).through(&self.proxies));
        transports.insert(url, Arc::clone(&transport));
        Ok(transport)
    }

    /// Forgets all connections; those that idle are closed.
    pub(super) fn forget(&self) {
        lock(&self.transports).clear();
    }
}
