//! What the machine allows: open files.

use std::num::NonZeroUsize;

use forebay::config::{Concurrency, EngineSettings};
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

/// Lowers the attempts in flight to what this many open files allow, and says so.
///
/// An attempt has one connection, and idle connections are those of earlier attempts; a simulated
/// provider in the same process holds the other end of each.
pub(crate) fn cap_in_flight(
    settings: &mut EngineSettings,
    allowed: u64,
    is_simulated: bool,
) -> Option<String> {
    let files_each = if is_simulated { 2 } else { 1 };
    let room = allowed.saturating_sub(OTHER_FILES) / files_each;
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let most = NonZeroUsize::new(room).unwrap_or(NonZeroUsize::MIN);
    let wanted = match settings.concurrency {
        Concurrency::Fixed(wanted) | Concurrency::Auto { max: wanted } => wanted,
        Concurrency::Rule(_) => return None,
    };
    settings.concurrency = settings.concurrency.at_most(most);
    // As many as are tried when nobody names a number are nobody's wish.
    let is_wish = matches!(settings.concurrency, Concurrency::Fixed(_));
    (is_wish && most < wanted).then(|| format!(
        "warning: this process may open {allowed} files, so at most {most} attempts are in flight \
         instead of {wanted} (see `ulimit -n`)"
    ))
}
