//! The simulator from the outside, byte for byte, over in-memory pipes in paused time.

/// Anthropic: messages whole and streamed, token counts, models, errors.
mod anthropic;
/// A back end that batches continuously, through its answers and its figures.
mod batching;
/// Each fault of the catalogue, byte for byte, and its page.
mod catalogue;
/// The judge is content with a clean run, and catches every doctored one.
mod check;
/// A client that knows only bytes.
mod client;
/// What each dialect answers and rejects.
mod dialects;
/// Faults drawn by probability strike and are counted.
mod faults;
/// Gemini: content whole and streamed, token counts, models, errors.
mod gemini;
/// Requests are read and connections kept as HTTP/1.1 says.
mod http;
/// HTTP/2: the same answers, and faults of its own.
mod http2;
/// Answers take the time they are told to take.
mod latency;
/// Limits reject, tell, refill and correct.
mod limits;
/// The log holds what was received and what was fully sent, and nothing else.
mod log;
/// Real sockets: the same answers, and true resets.
mod loopback;
/// Anthropic's message batches: their life, results and pages.
mod message_batches;
/// OpenAI's chat completions, responses and embeddings: every field, every event, every oddity.
mod openai;
/// OpenAI's files and batches, from their upload to their end.
mod openai_batches;
/// Profiles shape what a client sees.
mod profiles;
/// A proxy delays, slices, cuts, resets and swallows, and passes all else.
mod proxy;
/// Rules strike what they say, and the same rows each time.
mod rules;
/// Each order of a script does what it says.
mod script;
/// Streamed answers: true frames, in order, when they are due, and torn as told.
mod streams;
