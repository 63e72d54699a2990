//! Commands that are refused: what they were, what they said, how they ended.
//!
//! Each case runs in a folder of its own and must leave it as it was. The transcript of a group
//! of cases is one snapshot, so that messages can be read, and reviewed, together.

use std::fmt::Write as _;

use crate::harness::{Ended, Folder, Forebay};

/// What was said so far.
#[derive(Default)]
pub(crate) struct Transcript(String);

impl Transcript {
    /// Runs a command that is refused with this code and leaves its folder as it was.
    #[track_caller]
    pub(crate) fn refused(
        &mut self,
        what: &str,
        folder: &Folder,
        arguments: &[&str],
        code: i32,
    ) -> Ended {
        let forebay = folder.forebay(&[&["run"], arguments].concat());
        self.refused_as(what, folder, arguments, (forebay, code))
    }

    /// The same for a command with an environment or an input of its own.
    #[track_caller]
    pub(crate) fn refused_as(
        &mut self,
        what: &str,
        folder: &Folder,
        arguments: &[&str],
        (forebay, code): (Forebay, i32),
    ) -> Ended {
        let before = folder.names();
        let ended = forebay.run();
        ended.assert_code(code);
        assert_eq!(folder.names(), before, "{what} left or took something");
        assert_eq!(ended.stdout, "", "{what}");
        let arguments: Vec<_> = arguments.iter().map(|word| quoted(word)).collect();
        let _ = write!(
            self.0,
            "# {what}\n$ forebay run {}\n{}exit code {code}\n\n",
            arguments.join(" "),
            ended.stderr
        );
        ended
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.escape_debug())
    }
}
