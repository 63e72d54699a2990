//! The lanes to the models that were called.
//!
//! Owns which names lead to the same lane, and how many are remembered. Never decides what a name
//! means.

use std::collections::HashMap;
use std::sync::Arc;

use super::places::Purpose;
use crate::endpoint::Dialect;
use crate::engine::Lane;

/// Names that are remembered: far more than anybody calls on purpose.
const MOST_NAMES: usize = 1024;

/// What was asked for: an endpoint, if it was named, the model's name, and what of it.
pub(super) type Asked = (Option<String>, String, Purpose);

/// Where that leads: an endpoint, its dialect, and the model's name there.
pub(super) type Place = (String, Dialect, String);

/// All lanes of a client.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    by_place: HashMap<Place, Arc<Lane>>,
    /// With the model's name as sent.
    by_name: HashMap<Asked, (Arc<Lane>, String)>,
}

impl Lanes {
    /// The lane of what was asked for before, and the model's name as sent.
    pub(super) fn find(&self, asked: &Asked) -> Option<(Arc<Lane>, String)> {
        let (lane, model) = self.by_name.get(asked)?;
        Some((Arc::clone(lane), model.clone()))
    }

    /// The lane to a place, made when there is none, and the model's name as sent.
    pub(super) fn open(
        &mut self,
        asked: Asked,
        place: Place,
        make: impl FnOnce(&str) -> Lane,
    ) -> (Arc<Lane>, String) {
        self.make_room();
        let model = place.2.clone();
        let lane = self.by_place.entry(place);
        let lane = Arc::clone(lane.or_insert_with(|| Arc::new(make(&model))));
        let found = (lane, model);
        self.by_name.insert(asked, found.clone());
        found
    }

    /// Forgets lanes on which nothing is under way once there are very many, as when names come
    /// from strangers; what was learnt there is learnt again.
    fn make_room(&mut self) {
        if self.by_name.len() >= MOST_NAMES {
            self.by_name.clear();
            self.by_place.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EngineSettings, Timeouts};
    use crate::endpoint::{BaseUrl, Endpoint, TokenField};
    use crate::transport::{Connector, MemoryConnector, Transport};

    fn lane() -> Lane {
        let endpoint = Endpoint {
            name: "box".into(),
            dialect: Dialect::Chat,
            base_url: BaseUrl::parse("http://localhost").unwrap(),
            key: None,
            headers: Vec::new(),
            token_field: TokenField::MaxTokens,
            rate_headers: crate::catalogue::RateHeaders::Unknown,
            seed: crate::catalogue::Seed::None,
            http: crate::endpoint::HttpVersion::Auto,
        };
        let pipes = Connector::Memory(MemoryConnector::new(drop));
        let transport = Transport::new(endpoint.base_url.clone(), pipes, Timeouts::default());
        let settings = EngineSettings::default();
        Lane::new(endpoint, transport.unwrap().into(), settings, None)
    }

    fn open(lanes: &mut Lanes, model: &str) -> Arc<Lane> {
        let asked = (None, model.to_owned(), Purpose::Chat);
        let place = ("box".to_owned(), Dialect::Chat, model.to_owned());
        lanes.open(asked, place, |_| lane()).0
    }

    #[test]
    fn names_from_strangers_do_not_fill_the_memory() {
        let mut lanes = Lanes::default();
        let in_use = open(&mut lanes, "in use");
        for n in 0..5_000 {
            let _ = open(&mut lanes, &format!("model {n}"));
        }
        assert!(lanes.by_place.len() <= MOST_NAMES + 1);
        assert!(lanes.by_name.len() <= MOST_NAMES);
        assert!(Arc::ptr_eq(&in_use, &open(&mut lanes, "in use")));
    }
}
