//! What the server says: an answer of the chat dialect, plain or as a stream of events.

use bytes::Bytes;

/// Words of a plain answer, so that it has about 1,119 bytes, its head included.
const WORDS: usize = 44;

/// The body of a plain answer.
pub(super) fn body(is_short: bool) -> Bytes {
    let (words, text) = match is_short {
        true => (1, "ok".to_owned()),
        false => (WORDS, "the answer ".repeat(WORDS).trim_end().to_owned()),
    };
    let total = 190 + words;
    Bytes::from(format!(
        concat!(
            r#"{{"id":"chatcmpl-BenchBenchBenchBenchBenchBench","object":"chat.completion","#,
            r#""created":1760000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"#,
            r#""message":{{"role":"assistant","content":"{text}","refusal":null}},"#,
            r#""logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":190,"#,
            r#""completion_tokens":{words},"total_tokens":{total},"#,
            r#""prompt_tokens_details":{{"cached_tokens":0}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":0}}}},"#,
            r#""system_fingerprint":"fp_0123456789"}}"#
        ),
        text = text,
        words = words,
        total = total,
    ))
}

/// The events of a stream with so many chunks: a word each, then the end with the usage.
pub(super) fn events(chunks: usize) -> Vec<Bytes> {
    // Three of them are the end of the text, the usage and the mark.
    let words = chunks.saturating_sub(3);
    let head = concat!(
        r#"data: {"id":"chatcmpl-BenchBenchBenchBenchBenchBench","object":"#,
        r#""chat.completion.chunk","created":1760000000,"model":"gpt-4o-mini-2024-07-18","#,
        r#""system_fingerprint":"fp_0123456789","#
    );
    let word = |n: usize| {
        format!(
            "{head}\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{:02}\"}},\
             \"logprobs\":null,\"finish_reason\":null}}],\"usage\":null}}\n\n",
            n % 100
        )
    };
    let end = format!(
        "{head}\"choices\":[{{\"index\":0,\"delta\":{{}},\"logprobs\":null,\
         \"finish_reason\":\"stop\"}}],\"usage\":null}}\n\n"
    );
    let usage = format!(
        "{head}\"choices\":[],\"usage\":{{\"prompt_tokens\":190,\"completion_tokens\":{words},\
         \"total_tokens\":{}}}}}\n\n",
        190 + words
    );
    let mut events: Vec<Bytes> = (0..words).map(|n| Bytes::from(word(n))).collect();
    if chunks > 0 {
        events.extend([end, usage, "data: [DONE]\n\n".to_owned()].map(Bytes::from));
    }
    events
}
