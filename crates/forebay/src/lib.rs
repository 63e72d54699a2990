//! Push very many requests through LLM HTTP APIs.

pub mod config;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod event;
pub mod fields;
pub mod item;
pub mod journal;
pub mod limit;
pub mod money;
pub mod outcome;
pub mod price;
pub mod provider;
pub mod queue;
pub mod retry;
pub mod route;
pub mod row;
pub mod sink;
pub mod source;
pub mod transport;
