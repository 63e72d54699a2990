//! What a batching engine is made of.
//!
//! Owns the numbers and their defaults. Never schedules anything.

use serde::Deserialize;

/// A back end that batches continuously, described by the numbers that vLLM is started with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
            step_time: StepTime::Published,
        }
    }
}

/// The time that one step of a batching engine takes; never less than a millisecond.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
        let text = r#"{"kv_blocks": 64, "max_num_queued_reqs": 9,
            "step_time": {"table": {"decode": [[1, 6], [64, 20.5]]}}}"#;
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
        let published: Batching = serde_json::from_str(r#"{"step_time": "published"}"#).unwrap();
        assert_eq!(published, Batching::default());
    }

    #[test]
    fn a_name_that_is_not_known_is_an_error() {
        let error = serde_json::from_str::<Batching>(r#"{"kv_block": 64}"#).unwrap_err();
        assert!(error.to_string().contains("kv_block"), "{error}");
    }
}
