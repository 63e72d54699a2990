//! What servers of one's own tell of themselves: the requests that run at once and those that wait.
//!
//! Owns the pages and how they are read. Never asks; the engine does.

use serde::Deserialize;

use super::Answer;
use crate::catalogue::Seed;
use crate::endpoint::Endpoint;

/// vLLM's names of its gauges.
const RUNNING: &str = "vllm:num_requests_running";
const WAITING: &str = "vllm:num_requests_waiting";
/// The most requests that run at once, where a server tells what it was started with.
const MOST: &str = "max_num_seqs=\"";

/// Requests at a server, everybody's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ServerQueue {
    /// Those that it works on.
    pub running: f64,
    /// Those that wait.
    pub waiting: f64,
}

/// The page on which an endpoint tells of itself, if it has one; it stands beside the API's `/v1`.
pub fn server_path(endpoint: &Endpoint) -> Option<String> {
    let page = match endpoint.seed {
        Seed::None | Seed::InFlight(_) => return None,
        Seed::LlamaProps => "props",
        Seed::VllmMetrics => "metrics",
    };
    let path = &endpoint.base_url.path;
    let root = path.strip_suffix("/v1").unwrap_or(path);
    Some(format!("{root}/{page}"))
}

/// The requests that a server serves at once, as its page tells.
pub fn read_seed(seed: Seed, answer: &Answer<'_>) -> Option<f64> {
    if answer.status != 200 {
        return None;
    }
    let n = match seed {
        Seed::None | Seed::InFlight(_) => None,
        Seed::LlamaProps => {
            serde_json::from_slice::<Props>(answer.body)
                .ok()?
                .total_slots
        }
        Seed::VllmMetrics => most_at_once(answer.body).or_else(|| {
            // When others fill it, as much as runs is what it can do.
            let queue = read_queue(answer)?;
            (queue.waiting > 0.0).then_some(queue.running)
        }),
    };
    n.filter(|n| (1.0..=1e6).contains(n))
}

/// What runs and waits at a vLLM server, over all of its engines.
pub fn read_queue(answer: &Answer<'_>) -> Option<ServerQueue> {
    if answer.status != 200 {
        return None;
    }
    let text = std::str::from_utf8(answer.body).ok()?;
    let sum = |name: &str| {
        let values = text.lines().filter_map(|line| value_of(line, name));
        values.fold(None, |sum: Option<f64>, value| {
            Some(sum.unwrap_or_default() + value)
        })
    };
    let (running, waiting) = (sum(RUNNING)?, sum(WAITING)?);
    let is_fine = (0.0..1e9).contains(&running) && (0.0..1e9).contains(&waiting);
    is_fine.then_some(ServerQueue { running, waiting })
}

/// llama.cpp's page, as far as it matters here.
#[derive(Deserialize)]
struct Props {
    total_slots: Option<f64>,
}

/// The value on a line of Prometheus' text format, if the line is of this metric.
fn value_of(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let rest = match rest.strip_prefix('{') {
        // A label may hold a brace, so that the last one counts.
        Some(labelled) => labelled.rsplit_once('}')?.1,
        None => rest,
    };
    // A time may follow; another character is another metric's name.
    let value = rest.strip_prefix(' ')?.split(' ').next()?;
    value.parse().ok()
}

/// The most requests at once, in the labels of a line that tells the configuration.
fn most_at_once(body: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(MOST)?;
    rest.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use crate::headers::Headers;

    use super::*;
    use crate::catalogue::endpoint_of;

    fn page<T>(status: u16, body: &str, read: impl Fn(&Answer<'_>) -> T) -> T {
        read(&Answer {
            status,
            headers: &Headers::default(),
            body: body.as_bytes(),
            now: SystemTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn pages_stand_at_the_root_of_the_server() {
        let path = |name: &str, url: &str| {
            let endpoint = endpoint_of(name, None, Some(url)).unwrap();
            server_path(&endpoint)
        };
        let found = path("llama.cpp", "http://localhost:8080/v1");
        assert_eq!(found.as_deref(), Some("/props"));
        let found = path("vllm", "http://gpu.lan/team/v1");
        assert_eq!(found.as_deref(), Some("/team/metrics"));
        let found = path("vllm", "http://gpu.lan");
        assert_eq!(found.as_deref(), Some("/metrics"));
        for other in ["ollama", "lmstudio", "openai"] {
            assert_eq!(path(other, "http://localhost:1/v1"), None, "{other}");
        }
    }

    #[test]
    fn slots_are_read_from_the_properties() {
        let read = |status, body| page(status, body, |answer| read_seed(Seed::LlamaProps, answer));
        assert_eq!(
            read(200, r#"{"total_slots":4,"model_path":"m.gguf"}"#),
            Some(4.0)
        );
        for odd in [
            "",
            "{}",
            r#"{"total_slots":0}"#,
            r#"{"total_slots":-1}"#,
            r#"{"total_slots":"4"}"#,
            r#"{"total_slots":1e99}"#,
            "<html>",
        ] {
            assert_eq!(read(200, odd), None, "{odd}");
        }
        assert_eq!(read(404, r#"{"total_slots":4}"#), None);
    }

    #[test]
    fn queues_are_read_from_the_metrics_and_summed_over_engines() {
        let text = "# HELP vllm:num_requests_running Number of requests.\n\
            # TYPE vllm:num_requests_running gauge\n\
            vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} 30.0\n\
            vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 34.0 1790000000\n\
            vllm:num_requests_running_more{engine=\"0\"} 999.0\n\
            vllm:num_requests_waiting{engine=\"0\"} 0.0\n\
            vllm:num_requests_waiting 7.0\n\
            vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 7.0\n";
        let queue = page(200, text, read_queue).unwrap();
        assert_eq!((queue.running, queue.waiting), (64.0, 7.0));
        let seed = |text: &str| page(200, text, |answer| read_seed(Seed::VllmMetrics, answer));
        assert_eq!(seed(text), Some(64.0), "others fill it");
        let idle = text.replace("waiting 7.0", "waiting 0.0");
        assert_eq!(seed(&idle), None, "who knows what more it could do");
        let told = format!("{idle}vllm:config_info{{a=\"b\",max_num_seqs=\"256\"}} 1.0\n");
        assert_eq!(seed(&told), Some(256.0));
        for odd in [
            "",
            "vllm:num_requests_running NaN\nvllm:num_requests_waiting 1\n",
        ] {
            assert_eq!(page(200, odd, read_queue), None, "{odd}");
        }
        assert_eq!(page(500, text, read_queue), None);
    }
}
