//! What tokens cost: an embedded price table, and the user's own prices over it.
//!
//! Owns the table, the order in which names are looked up in it, and the sums. Never guesses: a
//! model without a known price has none, which is not the same as a price of 0. Never counts or
//! caps money; that is the limiter's work.
//!
//! ```text
//! provider, model ── names::candidates ──► user's prices, then the table's line ── parse ──► Price
//! Price + Usage ── cost ──► Usd
//! ```

mod names;
mod parse;
mod rates;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use memchr::memmem;

pub use rates::{Price, Tier};

use crate::catalogue;
use crate::fields;

/// The table as shipped; `data/README.md` names its source and licence.
static PACKED: &[u8] = include_bytes!("../../data/model_prices.json.gz");

/// The prices of models: the embedded table and the user's own prices, which win.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    own: BTreeMap<String, Price>,
}

/// What the table says about a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// The name it has in the table; shorter than the name asked for when that was a snapshot,
    /// say.
    pub name: String,
    /// What its tokens cost.
    pub price: Price,
    /// Who serves it, in LiteLLM's words; `None` for a model that only the user named.
    pub provider: Option<String>,
    /// What it is for: `chat`, `responses`, `embedding` or `completion`.
    pub mode: Option<String>,
    /// The most input tokens it takes.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens it writes.
    pub max_output_tokens: Option<u64>,
    /// The day on which the provider switches it off, as `YYYY-MM-DD`.
    pub deprecation_date: Option<String>,
}

impl PriceTable {
    /// The day on which the embedded table was taken.
    pub const SNAPSHOT: &str = "2026-11-20";

    /// The embedded table alone.
    ///
    /// Costs nothing: the table is unpacked at the first look-up, once per process.
    pub fn embedded() -> PriceTable {
        PriceTable::default()
    }

    /// Sets the user's own price of a model, named as sent or as `provider/model`.
    pub fn set(&mut self, model: &str, price: Price) {
        self.own.insert(model.to_owned(), price);
    }

    /// The entry of a model at a provider; `None` when its price is unknown.
    ///
    /// `provider` is an endpoint's name and `model` the name as sent. The first of these names
    /// that has a price is taken: `provider/model`, `model`, `model` without its cloud region,
    /// `model` after its first slash, then the same without a date or version at the end. The
    /// user's own price of either of the first two names beats all of the table. In the table, a
    /// provider of the catalogue goes by its name there, such as `together_ai` for `together`.
    ///
    /// Scans the table, some microseconds for each name tried: look up once per model, not once
    /// per item.
    pub fn find(&self, provider: &str, model: &str) -> Option<ModelInfo> {
        let own = [format!("{provider}/{model}"), model.to_owned()];
        let own = own.iter().find_map(|name| self.own_entry(name));
        let listed_as = catalogue::find(provider).map_or(provider, |known| known.price_name);
        let names = names::candidates(listed_as, model);
        own.or_else(|| {
            names
                .iter()
                .find_map(|name| self.own_entry(name).or_else(|| listed(name)))
        })
    }

    /// All models whose name matches, in order of name, each with its entry.
    ///
    /// A pattern with `*` must match the whole name, each `*` standing for any text; another
    /// pattern matches anywhere in the name. Upper and lower case are the same.
    pub fn matching(&self, pattern: &str) -> Vec<(String, ModelInfo)> {
        let matcher = names::Pattern::new(pattern);
        let mut found: BTreeMap<String, ModelInfo> = table()
            .lines()
            .filter_map(split_line)
            .filter(|(name, _)| matcher.matches(name))
            .filter_map(|(name, entry)| Some((name.to_owned(), parse::entry(name, entry)?)))
            .collect();
        for name in self.own.keys().filter(|name| matcher.matches(name)) {
            if let Some(info) = self.own_entry(name) {
                found.insert(name.clone(), info);
            }
        }
        found.into_iter().collect()
    }

    /// The entry of a model that the user priced: the table's, if any, with the user's price.
    fn own_entry(&self, name: &str) -> Option<ModelInfo> {
        let price = self.own.get(name)?.clone();
        let listed = listed(name).unwrap_or_else(|| ModelInfo {
            name: name.to_owned(),
            ..ModelInfo::default()
        });
        Some(ModelInfo { price, ..listed })
    }
}

/// Whether a model's name matches a pattern, as [`PriceTable::matching`] has it.
pub fn name_matches(pattern: &str, name: &str) -> bool {
    names::Pattern::new(pattern).matches(name)
}

/// The table's entry of exactly this name.
fn listed(name: &str) -> Option<ModelInfo> {
    let mut needle = vec![b'\n'];
    fields::push_json_str(&mut needle, name);
    needle.push(b':');
    let text = table();
    let start = memmem::find(text.as_bytes(), &needle)? + 1;
    let (_, entry) = split_line(text[start..].lines().next()?)?;
    parse::entry(name, entry)
}

/// A line of the table as a model's name and its JSON object.
fn split_line(line: &str) -> Option<(&str, &str)> {
    let (name, entry) = line.strip_prefix('"')?.split_once("\":")?;
    Some((name, entry.trim_end_matches(',')))
}

/// The unpacked table. A test checks that it unpacks, so the empty table of an error never shows.
fn table() -> &'static str {
    static TABLE: OnceLock<String> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The unpacked size is about 927 kB; a larger table only costs a second allocation.
        let mut text = String::with_capacity(1 << 20);
        match GzDecoder::new(PACKED).read_to_string(&mut text) {
            Ok(_) => text,
            Err(_) => String::new(),
        }
    })
}
