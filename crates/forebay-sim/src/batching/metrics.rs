//! The figures that an engine publishes, under the names that vLLM gives them.
//!
//! Owns the counters, the histograms and their text in Prometheus' format. Never schedules.

use std::fmt::Write as _;

use super::histogram::Histogram;

/// vLLM's bounds for the time to the first token, in seconds.
const FIRST_TOKEN: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];

/// vLLM's bounds for the time between two tokens, in seconds.
const BETWEEN_TOKENS: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// vLLM's bounds for whole requests and their parts, in seconds.
const REQUEST: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model had nothing more to say.
    Stop,
    /// The answer was as long as it was allowed to be.
    Length,
    /// Nobody wanted the rest.
    Abort,
}

impl Finish {
    const ALL: [Finish; 3] = [Finish::Stop, Finish::Length, Finish::Abort];

    fn label(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Abort => "abort",
        }
    }
}

/// A reading of an engine's figures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metrics {
    /// Sequences in the running batch.
    pub(crate) running: usize,
    /// Sequences in the waiting queue.
    pub(crate) waiting: usize,
    /// The share of the KV blocks in use.
    pub(crate) kv_usage: f64,
    /// How often a running sequence lost its blocks to an older one.
    pub(crate) preemptions: u64,
    /// Tokens of prompts whose first output token exists, found in the cache or computed.
    pub(crate) prompt_tokens: u64,
    /// Output tokens.
    pub(crate) generation_tokens: u64,
    /// Prompt tokens that were looked for in the prefix cache.
    pub(crate) prefix_queries: u64,
    /// Prompt tokens that were found there.
    pub(crate) prefix_hits: u64,
    pub(super) ended: [u64; Finish::ALL.len()],
    pub(super) first_token: Histogram,
    pub(super) between_tokens: Histogram,
    pub(super) whole: Histogram,
    pub(super) queued: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            running: 0,
            waiting: 0,
            kv_usage: 0.0,
            preemptions: 0,
            prompt_tokens: 0,
            generation_tokens: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            ended: [0; Finish::ALL.len()],
            first_token: Histogram::new(&FIRST_TOKEN),
            between_tokens: Histogram::new(&BETWEEN_TOKENS),
            whole: Histogram::new(&REQUEST),
            queued: Histogram::new(&REQUEST),
        }
    }
}

impl Metrics {
    /// Counts an end.
    pub(super) fn end(&mut self, finish: Finish) {
        self.ended[finish as usize] += 1;
    }

    /// How many sequences ended so.
    pub(crate) fn count(&self, finish: Finish) -> u64 {
        self.ended[finish as usize]
    }

    /// Appends everything in Prometheus' text format.
    pub(crate) fn write(&self, out: &mut String, model: &str) {
        let model = format!("model_name=\"{}\"", escaped(model));
        let labels = format!("engine=\"0\",{model}");
        for (name, help, value) in self.gauges() {
            head(out, name, help, "gauge");
            let _ = writeln!(out, "{name}{{{labels}}} {value:?}");
        }
        for (name, help, value) in self.counters() {
            head(out, name, help, "counter");
            let _ = writeln!(out, "{name}{{{labels}}} {:?}", value as f64);
        }
        let name = "vllm:request_success_total";
        head(out, name, "Count of ended requests.", "counter");
        for finish in Finish::ALL {
            let reason = format!("finished_reason=\"{}\"", finish.label());
            let count = self.count(finish) as f64;
            let _ = writeln!(out, "{name}{{engine=\"0\",{reason},{model}}} {count:?}");
        }
        for (name, help, histogram) in self.histograms() {
            head(out, name, help, "histogram");
            histogram.write(out, name, &labels);
        }
    }

    fn gauges(&self) -> [(&'static str, &'static str, f64); 3] {
        [
            (
                "vllm:num_requests_running",
                "Number of requests in the running batch.",
                self.running as f64,
            ),
            (
                "vllm:num_requests_waiting",
                "Number of requests waiting to run.",
                self.waiting as f64,
            ),
            (
                "vllm:kv_cache_usage_perc",
                "KV-cache usage. 1 means 100 percent usage.",
                self.kv_usage,
            ),
        ]
    }

    fn counters(&self) -> [(&'static str, &'static str, u64); 5] {
        [
            (
                "vllm:num_preemptions_total",
                "Number of preemptions.",
                self.preemptions,
            ),
            (
                "vllm:prompt_tokens_total",
                "Number of prompt tokens.",
                self.prompt_tokens,
            ),
            (
                "vllm:generation_tokens_total",
                "Number of output tokens.",
                self.generation_tokens,
            ),
            (
                "vllm:prefix_cache_queries_total",
                "Prompt tokens looked for in the prefix cache.",
                self.prefix_queries,
            ),
            (
                "vllm:prefix_cache_hits_total",
                "Prompt tokens found in the prefix cache.",
                self.prefix_hits,
            ),
        ]
    }

    fn histograms(&self) -> [(&'static str, &'static str, &Histogram); 4] {
        [
            (
                "vllm:time_to_first_token_seconds",
                "Time from arrival to the first token.",
                &self.first_token,
            ),
            (
                "vllm:inter_token_latency_seconds",
                "Time between two tokens of a request.",
                &self.between_tokens,
            ),
            (
                "vllm:e2e_request_latency_seconds",
                "Time from arrival to the last token.",
                &self.whole,
            ),
            (
                "vllm:request_queue_time_seconds",
                "Time from arrival to the first step.",
                &self.queued,
            ),
        ]
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// A label's value: backslash, quote and newline need escapes in the text format.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_text_names_every_figure_once_with_its_kind_and_model() {
        let mut metrics = Metrics {
            running: 3,
            kv_usage: 0.25,
            preemptions: 7,
            ..Metrics::default()
        };
        metrics.end(Finish::Length);
        metrics.first_token.observe(Duration::from_millis(30), 2);
        let mut text = String::new();
        metrics.write(&mut text, "a\"b");

        let labels = "engine=\"0\",model_name=\"a\\\"b\"";
        for line in [
            format!("vllm:num_requests_running{{{labels}}} 3.0"),
            format!("vllm:num_requests_waiting{{{labels}}} 0.0"),
            format!("vllm:kv_cache_usage_perc{{{labels}}} 0.25"),
            format!("vllm:num_preemptions_total{{{labels}}} 7.0"),
            "vllm:request_success_total{engine=\"0\",finished_reason=\"length\",\
             model_name=\"a\\\"b\"} 1.0"
                .to_owned(),
            format!("vllm:time_to_first_token_seconds_bucket{{le=\"0.02\",{labels}}} 0.0"),
            format!("vllm:time_to_first_token_seconds_bucket{{le=\"0.04\",{labels}}} 2.0"),
            format!("vllm:e2e_request_latency_seconds_bucket{{le=\"7680.0\",{labels}}} 0.0"),
            "# TYPE vllm:inter_token_latency_seconds histogram".to_owned(),
        ] {
            assert!(
                text.lines().any(|got| got == line),
                "{line} is not in\n{text}"
            );
        }
        let series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        let distinct: BTreeSet<&str> = series.iter().copied().collect();
        assert_eq!(distinct.len(), series.len());
    }
}
