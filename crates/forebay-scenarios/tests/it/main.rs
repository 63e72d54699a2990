//! The scenarios as a whole.

/// The pages made of the scenarios are of these scenarios.
mod pages;
/// The short version of each scenario lies within the ranges of its file.
mod short;
