//! How the command ends, as a number.

use std::process::ExitCode;

/// The exit codes of `forebay`, a stable contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every row is ok.
    Ok = 0,
    /// The run finished and some rows failed.
    SomeFailed = 1,
    /// A flag, setting or combination is wrong; nothing was sent.
    Usage = 2,
    /// A file cannot be read or written.
    Io = 3,
    /// The run stopped early (key, quota, budget, outage); rows are pending.
    StoppedEarly = 4,
    /// Interrupted from the keyboard; rows are pending.
    Interrupted = 130,
    /// Nobody reads the output any more; what was not written is pending.
    BrokenPipe = 141,
    /// Terminated by a signal; rows are pending.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
