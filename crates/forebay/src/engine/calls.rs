//! What the requests to one path have in common, made once.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;

use crate::endpoint::Endpoint;
use crate::outcome::{Failure, FailureKind};
use crate::provider;
use crate::transport::{Call, Transport};

/// Paths that are remembered: a run has one or two, a file of other people's requests some more.
const MOST: usize = 64;

/// The calls of an endpoint by path.
#[derive(Debug)]
pub(super) struct Calls {
    headers: HeaderMap,
    known: HashMap<Arc<str>, Arc<Call>>,
}

impl Calls {
    pub(super) fn new(endpoint: &Endpoint) -> Calls {
        Calls {
            headers: provider::headers(endpoint),
            known: HashMap::new(),
        }
    }

    /// What requests to this path begin with.
    ///
    /// # Errors
    /// When it cannot be part of a URL.
    pub(super) fn of(
        &mut self,
        transport: &Transport,
        path: &Arc<str>,
    ) -> Result<Arc<Call>, Failure> {
        if let Some(call) = self.known.get(path) {
            return Ok(Arc::clone(call));
        }
        let call = transport
            .call(path, &self.headers)
            .map_err(|error| Failure::new(FailureKind::InvalidItem, error.to_string()))?;
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let call = Arc::new(call);
        self.known.insert(Arc::clone(path), Arc::clone(&call));
        Ok(call)
    }
}
