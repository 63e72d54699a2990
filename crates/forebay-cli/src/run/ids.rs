//! Items' own keys: each may occur once.

use forebay::error::Error;
use forebay::item::Item;
use forebay::journal::{Entry, Key, KeyTable};
use forebay::outcome::{Failure, FailureKind};
use forebay::source::{Format, Prompting, Requests, Source};

use crate::plan::Plan;

/// Reads the whole input once when its items have keys of their own, and refuses duplicates
/// before anything is sent. A pipe cannot be read twice; see [`unique`].
///
/// # Errors
/// When a key occurs twice, or the input cannot be read.
pub(super) fn check(plan: &Plan, source: &Source) -> Result<(), Error> {
    let has_ids = plan.prompting.id_field.is_some()
        || source.columns().iter().any(|column| column == "custom_id");
    if !has_ids || source.counter().is_none() {
        return Ok(());
    }
    let mut seen = Seen::new();
    // Only the keys matter here, not what the items show.
    let prompting = Prompting {
        images: Vec::new(),
        ..plan.prompting.clone()
    };
    for item in Source::open(plan.input.clone(), prompting)? {
        let item = item?;
        if let Some((id, first)) = seen.earlier(&item)? {
            return Err(Error::config(format!(
                "items {first} and {} both have the key {id:?} (counted from 0)",
                item.index
            ))
            .with_hint(match plan.input.format {
                Some(Format::Requests(Requests::OpenAiBatch | Requests::AnthropicBatch)) => {
                    "give each line a custom_id of its own"
                }
                _ => "make keys unique, or name another --id-field",
            }));
        }
    }
    Ok(())
}

/// Turns items whose key occurred before into unusable ones.
pub(super) fn unique(source: Source) -> impl Iterator<Item = Result<Item, Error>> + Send {
    let mut seen = Seen::new();
    source.map(move |item| {
        let mut item = item?;
        if let Some((id, first)) = seen.earlier(&item)? {
            let why = format!("the key {id:?} is that of item {first} already");
            item.request = Err(Failure::new(FailureKind::InvalidItem, why));
        }
        Ok(item)
    })
}

/// The keys so far; a table that need not fit into memory.
struct Seen(KeyTable);

impl Seen {
    fn new() -> Seen {
        Seen(KeyTable::new(&std::env::temp_dir()))
    }

    /// The key of an item and the index of the one that had it before.
    fn earlier(&mut self, item: &Item) -> Result<Option<(String, u64)>, Error> {
        let Some(id) = &item.custom_id else {
            return Ok(None);
        };
        let failed = |error| Error::io(format!("cannot keep track of keys: {error}"));
        let key = Key::of("custom_id", id.as_bytes());
        let before = self.0.find(key).map_err(failed)?;
        if let Some(before) = before {
            return Ok(Some((id.clone(), before.offset)));
        }
        let entry = Entry {
            key,
            offset: item.index,
            fields: 0,
            ok: true,
            index: 0,
        };
        self.0.insert(entry).map_err(failed)?;
        Ok(None)
    }
}
