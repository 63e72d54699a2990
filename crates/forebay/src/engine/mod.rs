//! The engine: the only place where policy meets the wire.
//!
//! Owns the two drivers: the loop that takes items from a feed, admits attempts, settles them, and
//! records rows; and the lane, which makes one call in its caller's own task. Never prints, and
//! never reads a file of input itself.
//!
//! ```text
//!  feed ─► dispatcher ─► queue ─► limiter.admit ─► journal: sent ─► flush ─► attempt
//!              ▲                                                                │
//!              ├── retry: back to the queue, holding no permit ◄────────────────┤
//!              └── outcome ─► journal: done ─► flush ─► sink, event ◄───────────┘
//! ```
//! One task drives a run; each of its turns handles whatever is ready, then writes the
//! journal once, then starts attempts. So what is not yet recorded is never more than what may
//! be in flight, and there is no lock per row.

#[cfg(feature = "run")]
mod admission;
mod attempt;
#[cfg(feature = "run")]
mod attempts;
mod calls;
#[cfg(feature = "run")]
mod clock;
#[cfg(feature = "run")]
mod control;
#[cfg(feature = "run")]
mod dispatcher;
#[cfg(feature = "run")]
mod drain;
#[cfg(feature = "run")]
mod driver;
#[cfg(feature = "run")]
mod feed;
#[cfg(feature = "run")]
mod flight;
mod lane;
#[cfg(feature = "run")]
mod memory;
mod models;
#[cfg(feature = "run")]
mod output;
#[cfg(feature = "run")]
mod pack;
#[cfg(feature = "run")]
mod recall;
#[cfg(feature = "run")]
mod record;
#[cfg(feature = "run")]
mod seeds;
#[cfg(feature = "run")]
mod speakers;
#[cfg(feature = "run")]
mod start;
#[cfg(feature = "run")]
mod stats;
#[cfg(feature = "run")]
mod verdict;

#[cfg(feature = "run")]
pub use control::{Command, Control, ControlReceiver, control};
#[cfg(feature = "run")]
pub use driver::{Run, run};
#[cfg(feature = "run")]
pub use feed::{Chunk, Feed, FeedOptions, Prepared, feed_in_thread, prepare};
pub(crate) use lane::{Answered, Asked, Lane, Told};
pub use models::models;
#[cfg(feature = "run")]
pub use recall::{Recalled, recall};
#[cfg(feature = "run")]
pub use stats::{Snapshot, Stats};
