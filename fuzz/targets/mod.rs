//! What is done with arbitrary bytes, and what has to hold then.
//!
//! One function per parser: it panics when something does not hold. Run by libFuzzer (see
//! `fuzz/README.md`), and on any toolchain by the library's integration tests.

mod answers;
mod events;
mod http;
mod journals;
mod rows;

pub use answers::{anthropic_answer, error_answer, gemini_answer, openai_answer, responses_answer};
pub use events::sse;
pub use http::http_answer;
pub use journals::journal;
pub use rows::input_rows;

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the names of their folders in the corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("sse", sse),
    ("openai_answer", openai_answer),
    ("anthropic_answer", anthropic_answer),
    ("responses_answer", responses_answer),
    ("gemini_answer", gemini_answer),
    ("error_answer", error_answer),
    ("http_answer", http_answer),
    ("journal", journal),
    ("input_rows", input_rows),
];
