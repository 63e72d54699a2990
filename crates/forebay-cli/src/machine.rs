//! What the machine allows: open files.

use std::num::NonZeroUsize;

use forebay::config::Concurrency;
use forebay::endpoint::HttpVersion;
use forebay::transport::STREAMS_PER_CONNECTION;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a run needs besides its connections: input, output, journal, the runtime.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit on open files to the hard one; what is then allowed, if it is limited.
pub(crate) fn raise_open_files() -> Option<u64> {
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    }
}

/// The attempts in flight that open files allow.
///
/// An attempt has one connection, or a share of one over HTTP/2, and idle connections are those of earlier attempts; a simulated
/// provider in the same process holds the other end of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    files: u64,
    most: NonZeroUsize,
}

impl Room {
    /// What this many open files allow.
    pub(crate) fn of(files: u64, is_simulated: bool, http: HttpVersion) -> Room {
        let files_each = if is_simulated { 2 } else { 1 };
        let connections = files.saturating_sub(OTHER_FILES) / files_each;
        let attempts_each = match http {
            // The server may pick either.
            HttpVersion::Auto | HttpVersion::Http1 => 1,
            HttpVersion::Http2 => STREAMS_PER_CONNECTION,
        };
        let room = usize::try_from(connections).unwrap_or(usize::MAX);
        let room = room.saturating_mul(attempts_each);
        Room {
            files,
            most: NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// The setting within what is allowed, and a word on it when a wish is cut.
    ///
    /// As many as are tried when nobody names a number are nobody's wish.
    pub(crate) fn cap(self, concurrency: Concurrency) -> (Concurrency, Option<String>) {
        let Room { files, most } = self;
        let wish = match concurrency {
            Concurrency::Fixed(wanted) => Some(wanted),
            Concurrency::Auto { max } => Some(max).filter(|max| *max != Concurrency::MOST),
            Concurrency::Rule(_) => None,
        };
        let word = wish.filter(|wanted| most < *wanted).map(|wanted| {
            format!(
                "this process may open {files} files, so at most {most} attempts are in flight \
                 instead of {wanted} (see `ulimit -n`)"
            )
        });
        (concurrency.at_most(most), word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capped(files: u64, wanted: Concurrency) -> (String, bool) {
        let (concurrency, word) = Room::of(files, false, HttpVersion::Auto).cap(wanted);
        (format!("{concurrency:?}"), word.is_some())
    }

    #[test]
    fn a_number_that_was_asked_for_is_not_lowered_silently() {
        let n = |n| NonZeroUsize::new(n).unwrap();
        let fixed = Concurrency::Fixed(n(500));
        assert_eq!(capped(256, fixed), ("Fixed(192)".into(), true));
        assert_eq!(capped(4_096, fixed), ("Fixed(500)".into(), false));
        assert_eq!(capped(3, fixed), ("Fixed(1)".into(), true));
        let auto = Concurrency::Auto { max: n(500) };
        assert_eq!(capped(256, auto), ("Auto { max: 192 }".into(), true));
    }

    #[test]
    fn as_many_as_are_tried_by_default_are_lowered_silently() {
        let shown = ("Auto { max: 192 }".into(), false);
        assert_eq!(capped(256, Concurrency::DEFAULT), shown);
        let shown = ("Auto { max: 2000 }".into(), false);
        assert_eq!(capped(4_096, Concurrency::DEFAULT), shown);
    }

    #[test]
    fn a_simulated_provider_needs_files_too() {
        let (concurrency, _) = Room::of(256, true, HttpVersion::Http1).cap(Concurrency::DEFAULT);
        assert_eq!(format!("{concurrency:?}"), "Auto { max: 96 }");
    }

    #[test]
    fn streams_share_the_files_of_their_connection() {
        let wanted = Concurrency::Fixed(NonZeroUsize::new(19_000).unwrap());
        let (concurrency, word) = Room::of(256, false, HttpVersion::Http2).cap(wanted);
        assert_eq!(
            (format!("{concurrency:?}"), word),
            ("Fixed(19000)".into(), None)
        );
    }
}
