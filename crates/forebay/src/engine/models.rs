//! Asks an endpoint which models it serves.

use bytes::Bytes;

use crate::endpoint::Endpoint;
use crate::outcome::{Failure, FailureKind};
use crate::provider::{self, ServedModel};
use crate::transport::Transport;

/// Pages that are asked for at most: a hundred thousand models, far more than anybody serves.
const PAGES: usize = 100;

/// The models that an endpoint serves, in its own order.
///
/// A request per page, each tried once.
///
/// # Errors
/// When the endpoint cannot be reached, refuses, or answers with something else than such a list.
///
/// # Cancel safety
/// Dropping the future closes its connection; such a request costs nothing.
pub async fn models(
    transport: &Transport,
    endpoint: &Endpoint,
) -> Result<Vec<ServedModel>, Failure> {
    let headers = provider::headers(endpoint);
    let mut models = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let path = provider::models_path(endpoint, after.as_deref());
        let call = transport
            .call(&path, &headers)
            .map_err(|error| Failure::new(FailureKind::Malformed, error.to_string()))?
            .get();
        let answer = transport.exchange(&call, &Bytes::new()).await;
        let answer = answer.map_err(|none| none.failure)?;
        let page = provider::read_models(
            endpoint,
            &provider::Answer {
                status: answer.status,
                headers: &answer.headers,
                body: &answer.body,
                now: answer.arrived,
            },
        )?;
        models.extend(page.models);
        // A server that repeats itself must not be asked for ever.
        if page.next.is_none() || page.next == after {
            break;
        }
        after = page.next;
    }
    Ok(models)
}
