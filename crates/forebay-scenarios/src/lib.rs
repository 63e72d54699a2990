//! Scenarios: how well the limits that find themselves do, on every kind of provider.
//!
//! A [`Scenario`] names a simulated back end, the rows that are sent to it, and the ranges in which
//! the statistics of a run have to lie. A run is the production engine against the simulator's
//! HTTP server, over in-memory pipes in paused time; other rules for the attempts in flight run in
//! the same harness.
//!
//! ```text
//! scenarios/NAME.toml ─► scenario ─┐
//!                         rule ────┼─► run ─► Trace ─► score ─► Score ─► table | plot | check
//!                         seed ────┘
//! ```
//!
//! What it never does: decide anything for the library, or wait in real time.

pub mod check;
pub mod job;
pub mod optimum;
pub mod plot;
pub mod ranges;
pub mod rules;
pub mod run;
pub mod scenario;
pub mod score;
pub mod search;
pub mod suite;
pub mod svg;
pub mod table;
pub mod workload;

pub use rules::Rule;
pub use run::{Trace, run};
pub use scenario::Scenario;
pub use score::Score;
