//! The scenarios as a whole.

/// The pages name each scenario, and none that is gone.
mod pages;
/// The short version of each scenario lies within the ranges of its file.
mod short;
