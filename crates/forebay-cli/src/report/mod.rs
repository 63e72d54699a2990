//! stub
pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod tally;
pub(crate) mod units;
