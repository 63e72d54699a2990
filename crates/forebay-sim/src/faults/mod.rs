//! The faults a provider can have, by name, and the rules by which they strike.
//!
//! Owns the catalogue, the choice of a fault for a request, and what each one orders. Never
//! carries an order out; the connection does.
//!
//! ```text
//! script -> model name -> rules -> [faults] by probability -> an order, or a normal answer
//! ```
//!
//! A fault strikes
//!
//! - each request whose model is `fault-NAME`, or `sim/fault-NAME`; with `:N` behind it only the
//!   first `N` times that a body is received, after which it is answered normally;
//! - what a [`Rule`] says: by prompt, row, attempt, time, probability and so on;
//! - by probability, as [`Rules::faults`] has it.
//!
//! Draws depend on the seed, the body and how often it was received, never on the order of
//! arrival, so that two runs with one seed strike the same rows.
//!
//! ```
//! use forebay_sim::faults::{Fault, catalogue};
//!
//! let fault: Fault = "cut-after-17-bytes".parse()?;
//! assert_eq!(fault.entry().name, "cut-after-N-bytes");
//! assert_eq!("stal".parse::<Fault>().unwrap_err().nearest()[0], "stall");
//! assert!(catalogue().any(|entry| entry.rows.contains(&8)));
//! # Ok::<(), forebay_sim::faults::UnknownFault>(())
//! ```

mod choice;
mod drawn;
mod entry;
mod fault;
mod file;
mod nth;
mod orders;
mod rules;
mod table;

pub(crate) use choice::{Strikes, decide, is_fault_model};
pub(crate) use drawn::Drawn;
pub use entry::FaultEntry;
pub use fault::{Fault, UnknownFault};
pub use file::BadRules;
pub use nth::{Nth, Probability, Seconds};
pub use orders::{HeaderLines, Reply, Shaping};
pub use rules::{Rule, Rules};

/// Everything that can be named, in the order of the catalogue's page.
pub fn catalogue() -> impl Iterator<Item = &'static FaultEntry> {
    table::TABLES.into_iter().flatten()
}
