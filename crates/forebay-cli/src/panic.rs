//! What is said when forebay itself is at fault.
//!
//! Owns the line on stderr. Never repeats a panic's own text, which may quote a prompt, an answer
//! or a key.

use std::fmt;
use std::io::Write as _;
use std::panic::{self, Location};

/// From now on a panic of any thread tells its place and nothing else.
pub(crate) fn tell_only_the_place() {
    panic::set_hook(Box::new(|panic| {
        // Nobody may be reading standard error.
        let _ = writeln!(std::io::stderr(), "{}", line(panic.location()));
    }));
}

fn line(place: Option<&Location<'_>>) -> String {
    let place: &dyn fmt::Display = match &place {
        Some(place) => place,
        None => &"an unknown place",
    };
    format!("error: forebay panicked at {place}; this is a defect of forebay, please report it")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_tells_its_place_and_not_its_text() {
        let told = Arc::new(Mutex::new(String::new()));
        let here = Arc::clone(&told);
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            here.lock().unwrap().push_str(&line(panic.location()));
        }));
        let ended = panic::catch_unwind(|| panic!("the prompt is {}", "a secret"));
        panic::set_hook(before);
        assert!(ended.is_err());
        let told = told.lock().unwrap();
        assert!(told.contains("panic.rs:"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
