//! The ear of a run: takes what `forebay tune` asks, and answers.
//!
//! Owns a thread that looks for a request beside the journal, so that a slow disk holds up no
//! attempt. Never changes a limit itself: it orders, and the engine tells what came of it.
//!
//! ```text
//! JOURNAL.tune ─► look, once a second ─► Command::Tune ─► engine
//! JOURNAL.tuned ◄───────── answer ◄───── Event::LimitsTuned ◄─┘
//! ```

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use forebay::engine::{Command, Control};
use forebay::event::Event;
use forebay::limit::InForce;

use crate::machine::Room;
use crate::report::limits::InForceJson;
use crate::report::one_line;
use crate::report::progress::Noter;
use crate::tune::mailbox::{Answer, Envelope, Mailbox, Request, Unread, VERSION, parse, read};

/// How often a request is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the engine may take to obey; a turn of it takes milliseconds.
const OBEYED_WITHIN: Duration = Duration::from_secs(5);

/// What the engine says to the ear: limits before and after a change.
type Change = (InForce, InForce);

/// The engine's side of the ear; the ear ends when this is dropped.
#[derive(Debug)]
pub(super) struct Ear {
    changes: Sender<Change>,
    end: Sender<()>,
    mailbox: Mailbox,
}

/// The thread's side.
struct Listener {
    mailbox: Mailbox,
    control: Control,
    room: Option<Room>,
    noter: Noter,
    changes: Receiver<Change>,
    /// The request that was answered last: one that cannot be removed is not obeyed again.
    last: Option<String>,
    /// Whether a file that is no request was told of.
    complained: bool,
}

impl Ear {
    /// Begins to listen beside this journal; the lock of the journal is held by this run.
    pub(super) fn open(journal: &Path, control: Control, room: Option<Room>, noter: Noter) -> Ear {
        let mailbox = Mailbox::of(journal);
        mailbox.clear();
        let (changes, changed) = channel();
        let (end, ended) = channel();
        let mut listener = Listener {
            mailbox: mailbox.clone(),
            control,
            room,
            noter,
            changes: changed,
            last: None,
            complained: false,
        };
        let listening = std::thread::Builder::new()
            .name("tune".into())
            .spawn(move || {
                while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    listener.look();
                }
                // An answer that was on its way while the run ended.
                listener.mailbox.clear();
            });
        // A run that cannot be tuned is better than none.
        drop(listening);
        Ear {
            changes,
            end,
            mailbox,
        }
    }

    /// Takes in what the engine tells.
    pub(super) fn note(&self, event: &Event<'_>) {
        if let Event::LimitsTuned { was, now } = event {
            let _ = self.changes.send((**was, **now));
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.end.send(());
        self.mailbox.clear();
    }
}

impl Listener {
    fn look(&mut self) {
        let content = match read(&self.mailbox.request, None) {
            Ok(content) => content,
            Err(Unread::Absent) => return,
            Err(Unread::Foreign(why)) => return self.complain(&why),
        };
        let Envelope { nonce } = match parse(&content) {
            Ok(envelope) => envelope,
            Err(why) => return self.complain(&why),
        };
        // The nonce becomes a part of a file's name.
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return self.complain("its nonce is none");
        }
        if self.last.as_ref() == Some(&nonce) {
            return self.remove();
        }
        let answer = self.obey(&content, &nonce);
        self.last = Some(nonce);
        if let Err(error) = self.mailbox.reply(&answer) {
            let path = self.mailbox.answer.display();
            self.say(&format!("cannot answer `forebay tune` in {path}: {error}"));
        }
        self.remove();
    }

    fn obey(&self, content: &[u8], nonce: &str) -> Answer {
        let mut answer = Answer {
            v: VERSION,
            nonce: nonce.to_owned(),
            error: None,
            note: None,
            was: None,
            now: None,
        };
        let tuning = parse::<Request>(content).and_then(|request| request.tuning());
        let mut tuning = match tuning {
            Ok(tuning) => tuning,
            Err(why) => {
                answer.error = Some(format!("it does not understand the request: {why}"));
                return answer;
            }
        };
        if let (Some(room), Some(wanted)) = (self.room, tuning.concurrency) {
            let (concurrency, word) = room.cap(wanted);
            tuning.concurrency = Some(concurrency);
            answer.note = word;
        }
        // An answer that came too late is none to this request.
        while self.changes.try_recv().is_ok() {}
        self.control.send(Command::Tune(tuning));
        match self.changes.recv_timeout(OBEYED_WITHIN) {
            Ok((was, now)) => {
                answer.was = Some(InForceJson::of(&was));
                answer.now = Some(InForceJson::of(&now));
            }
            Err(_) => answer.error = Some("it is coming to its end".into()),
        }
        answer
    }

    /// Tells once of a file that is no request, and gets it out of the way.
    fn complain(&mut self, why: &str) {
        if !self.complained {
            self.complained = true;
            let path = self.mailbox.request.display();
            self.say(&format!(
                "note: {path} is no request of `forebay tune`: {why}"
            ));
        }
        self.remove();
    }

    fn say(&self, line: &str) {
        self.noter.note(&one_line(line));
    }

    fn remove(&self) {
        // What stays there is looked at again, and not obeyed twice.
        let _ = std::fs::remove_file(&self.mailbox.request);
    }
}
