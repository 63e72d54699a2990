//! What a batching engine is made of.
//!
//! Owns the numbers and their defaults. Never schedules anything.

use serde::Deserialize;

/// A back end that batches continuously, described by the numbers that vLLM is started with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Batching {
    /// The most sequences that run in one step; at least one. Default 256.
    pub max_num_seqs: usize,
    /// The most tokens that one step computes, prefill and decode together; at least one.
    /// Default 8192.
    pub max_num_batched_tokens: u64,
    /// Whether a prompt may be split over several steps. Without it, no sequence may be longer
    /// than `max_num_batched_tokens`. Default true.
    pub chunked_prefill: bool,
    /// The KV blocks there are. Default 8192.
    pub kv_blocks: u32,
    /// The tokens that a KV block holds; at least one. Default 16.
    pub block_size: u32,
    /// The share of the KV blocks that admission leaves free, so that the sequences that run
    /// already can grow; between 0 and 0.5. Default 0.01.
    pub watermark: f64,
    /// Whether full blocks are found again by what they hold. Default true.
    pub prefix_cache: bool,
    /// The most sequences, waiting and running together, beyond which a further one is refused;
    /// none by default. vLLM's `--max-num-queued-reqs` counts the running ones too.
    pub max_num_queued_reqs: Option<usize>,
    /// The most tokens of a prompt and its answer together. Default 32768.
    pub max_model_len: u64,
    /// Whether the server is one like llama.cpp's: its sequences are slots, whose number `/props`
    /// tells, and there is no `/metrics`. Default false.
    pub slots: bool,
    /// What a step costs. Default [`StepTime::Published`].
    pub step_time: StepTime,
}

impl Default for Batching {
    /// vLLM's own defaults for a server, on a card with 16 GiB left for the KV cache of a model
    /// of 8 billion parameters with grouped-query attention, at 128 KiB a token.
    fn default() -> Batching {
        Batching {
            max_num_seqs: 256,
            max_num_batched_tokens: 8192,
            chunked_prefill: true,
            kv_blocks: 8192,
            block_size: 16,
            watermark: 0.01,
            prefix_cache: true,
            max_num_queued_reqs: None,
            max_model_len: 32_768,
            slots: false,
            step_time: StepTime::Published,
        }
    }
}

/// The most KV blocks: a simulated one takes some bytes, and more tokens than these hold, 268
/// million at 16 each, no single engine has.
const MOST_BLOCKS: u32 = 1 << 24;

impl Batching {
    /// The first number that cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        let wrong = |name: &str, value: String, range: String| {
            Err(format!("batching.{name} is {value}: give a number {range}"))
        };
        if !(0.0..=0.5).contains(&self.watermark) {
            let value = self.watermark.to_string();
            return wrong("watermark", value, "from 0 to 0.5".to_owned());
        }
        if !(1..=MOST_BLOCKS).contains(&self.kv_blocks) {
            let value = self.kv_blocks.to_string();
            return wrong("kv-blocks", value, format!("from 1 to {MOST_BLOCKS}"));
        }
        for (name, value) in [
            ("block-size", u64::from(self.block_size)),
            ("max-num-seqs", self.max_num_seqs as u64),
            ("max-num-batched-tokens", self.max_num_batched_tokens),
            ("max-model-len", self.max_model_len),
        ] {
            if value == 0 {
                return wrong(name, value.to_string(), "above 0".to_owned());
            }
        }
        Ok(())
    }
}

/// The time that one step of a batching engine takes; never less than a millisecond.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StepTime {
    /// The polynomials that NVIDIA Dynamo's mocker publishes: for n tokens of prefill
    /// 4.21e-7·n² + 1.518e-2·n + 16.5 ms, and for decoding −25.74·p² + 54.01·p + 5.74 ms with p
    /// the share of the KV blocks in use. A step that does both takes the sum.
    #[default]
    Published,
    /// Points of a measurement, in rising order, with straight lines between them; before the
    /// first point and after the last the time stays the same.
    Table {
        /// How many sequences decode, and the milliseconds that it takes.
        decode: Vec<(u64, f64)>,
        /// How many tokens of prefill are computed, and the milliseconds on top; empty if
        /// prefill costs nothing.
        #[serde(default)]
        prefill: Vec<(u64, f64)>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_sets_what_it_names_and_nothing_else() {
        let text = r#"{"kv-blocks": 64, "max-num-queued-reqs": 9,
            "step-time": {"table": {"decode": [[1, 6], [64, 20.5]]}}}"#;
        let expected = Batching {
            kv_blocks: 64,
            max_num_queued_reqs: Some(9),
            step_time: StepTime::Table {
                decode: vec![(1, 6.0), (64, 20.5)],
                prefill: Vec::new(),
            },
            ..Batching::default()
        };
        assert_eq!(serde_json::from_str::<Batching>(text).unwrap(), expected);
        let published: Batching = serde_json::from_str(r#"{"step-time": "published"}"#).unwrap();
        assert_eq!(published, Batching::default());
    }

    #[test]
    fn a_name_that_is_not_known_is_an_error() {
        let error = serde_json::from_str::<Batching>(r#"{"kv-block": 64}"#).unwrap_err();
        assert!(error.to_string().contains("kv-block"), "{error}");
    }

    #[test]
    fn numbers_that_cannot_be_are_told() {
        assert_eq!(Batching::default().check(), Ok(()));
        let wrong = |batching: Batching| batching.check().unwrap_err();
        let watermark = wrong(Batching {
            watermark: f64::NAN,
            ..Batching::default()
        });
        assert_eq!(
            watermark,
            "batching.watermark is NaN: give a number from 0 to 0.5"
        );
        let blocks = wrong(Batching {
            kv_blocks: 0,
            ..Batching::default()
        });
        assert_eq!(
            blocks,
            "batching.kv-blocks is 0: give a number from 1 to 16777216"
        );
    }
}
