//! The environment: the one place of the library that reads it, and only for clients that were
//! told to.

/// The value of a variable; an empty one counts as not set.
pub(super) fn read(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}
