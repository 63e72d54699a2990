//! What the machine allows: open files.

use super::Notes;
use forebay::config::{Concurrency, EngineSettings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a run needs besides its connections: input, output, journal, the runtime.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit on open files, and lowers the attempts in flight to what it allows.
pub(super) fn raise_limits(settings: &mut EngineSettings, say: Notes) {
    let Concurrency::Fixed(wanted) = settings.concurrency;
    let limits = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(_) => limits.current,
    };
    let Some(allowed) = allowed else { return };
    let most = usize::try_from(allowed.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    if let Some(most) = std::num::NonZeroUsize::new(most)
        && most < wanted
    {
        settings.concurrency = Concurrency::Fixed(most);
        say.line(&format!(
            "warning: this process may open {allowed} files, so at most {most} attempts are in \
             flight instead of {wanted} (see `ulimit -n`)"
        ));
    }
}
