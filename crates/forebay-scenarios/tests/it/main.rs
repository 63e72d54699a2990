//! The scenarios as a whole.

/// The short version of each scenario lies within the ranges of its file.
mod short;
