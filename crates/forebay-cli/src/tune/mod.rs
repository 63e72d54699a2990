//! `forebay tune`: changes the limits of a job that runs, and tells what holds.
//!
//! Owns one conversation with a job through the files of [`mailbox`]. Never touches the journal
//! but to see whether a run holds its lock.

pub(crate) mod mailbox;

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use forebay::config::{LimitChanges, Tuning};
use forebay::error::Error;

use crate::args::TuneArgs;
use crate::report::limits::{self, InForceJson};
use crate::report::{Block, one_line, pretty};
use crate::status;
use mailbox::{Answer, Mailbox, Request, Unread, parse, read};

/// How long an answer is waited for: a job looks once a second, and may be busy for a few.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks for the answer.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks between two tests whether the job still runs: about a second.
const LOOKS_PER_TEST: u32 = 20;

/// Changes what the flags name, and tells what holds then.
///
/// # Errors
/// When there is no journal, no job runs on it, or it does not answer.
pub(crate) fn tune(args: &TuneArgs) -> Result<String, Error> {
    let journal = status::journal_of(&args.file)?;
    let job = Job {
        mailbox: Mailbox::of(&journal),
        journal,
    };
    let answer = job.ask(&Request::new(&tuning(args)))?;
    if let Some(error) = &answer.error {
        return Err(Error::config(format!("the job changed nothing: {error}")));
    }
    Ok(if args.json {
        pretty(&answer)
    } else {
        text(&job.journal, &answer)
    })
}

fn tuning(args: &TuneArgs) -> Tuning {
    Tuning {
        concurrency: args.concurrency,
        limits: LimitChanges {
            rps: args.rps,
            rpm: args.rpm,
            tpm: args.tpm,
            itpm: args.itpm,
            otpm: args.otpm,
            rpd: args.rpd,
        },
        target_utilization: args.target_utilization,
    }
}

/// A job that is running, as far as one can tell from outside.
struct Job {
    journal: PathBuf,
    mailbox: Mailbox,
}

impl Job {
    fn ask(&self, request: &Request) -> Result<Answer, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut is_put = false;
        for look in 0u32.. {
            if look.is_multiple_of(LOOKS_PER_TEST) && !self.runs()? {
                self.mailbox.clear();
                return Err(self.no_job());
            }
            if !is_put {
                is_put = self.mailbox.ask(request).map_err(|error| {
                    let path = self.mailbox.request.display();
                    Error::io(format!("cannot write {path}: {error}"))
                })?;
            }
            if let Some(answer) = self.answer_to(request) {
                let _ = std::fs::remove_file(&self.mailbox.answer);
                return Ok(answer);
            }
            if Instant::now() >= deadline {
                break;
            }
            // Nobody wakes it; it is a pause.
            std::thread::park_timeout(LOOK_EVERY);
        }
        Err(self.gave_up(request, is_put))
    }

    fn runs(&self) -> Result<bool, Error> {
        let file = File::open(&self.journal)
            .map_err(|error| Error::io(format!("cannot read {}: {error}", self.shown())))?;
        Ok(status::is_being_written(&file))
    }

    /// The job's answer to this request, when it is there.
    fn answer_to(&self, request: &Request) -> Option<Answer> {
        let owner = std::fs::metadata(&self.journal).ok().map(|meta| meta.uid());
        let content = read(&self.mailbox.answer, owner).ok()?;
        let answer: Answer = parse(&content).ok()?;
        (answer.nonce == request.nonce).then_some(answer)
    }

    /// Takes the request back, so that it changes nothing later.
    fn gave_up(&self, request: &Request, is_put: bool) -> Error {
        let there = match read(&self.mailbox.request, None) {
            Ok(content) => parse::<Request>(&content).ok(),
            Err(Unread::Absent | Unread::Foreign(_)) => None,
        };
        let seconds = PATIENCE.as_secs();
        let shown = self.shown();
        if there.as_ref() == Some(request) {
            let _ = std::fs::remove_file(&self.mailbox.request);
        }
        match (is_put, there) {
            (true, Some(_)) => Error::io(format!(
                "the job on {shown} took nothing within {seconds} s; nothing was changed"
            ))
            .with_hint("it may be stopped, come to its end, or be another user's"),
            (true, None) => Error::io(format!(
                "the job on {shown} took the request and gave no answer within {seconds} s"
            ))
            .with_hint("look at what holds with `forebay tune` and no flag"),
            (false, _) => Error::io(format!(
                "{} waits to be taken for more than {seconds} s",
                self.mailbox.request.display()
            ))
            .with_hint("it is another `forebay tune`'s: try again, or remove the file"),
        }
    }

    fn no_job(&self) -> Error {
        Error::config(format!("no job is running on {}", self.shown()))
            .with_hint("give the limits to `forebay run`, which goes on with its rows")
    }

    fn shown(&self) -> String {
        one_line(&self.journal.display().to_string())
    }
}

fn text(journal: &Path, answer: &Answer) -> String {
    let (was, now) = (&answer.was, &answer.now);
    let now = now.clone().unwrap_or_default();
    let changes = was.as_ref().and_then(|was| limits::changes(was, &now));
    let shown = one_line(&journal.display().to_string());
    let mut block = Block::titled(&shown);
    if let Some(changes) = changes {
        block.line("changed", &changes);
    }
    if let Some(note) = &answer.note {
        block.line("note", &one_line(note));
    }
    add(&now, &mut block);
    block.into_text()
}

/// What holds now, a line for each kind.
fn add(now: &InForceJson, block: &mut Block) {
    block.line("limit", &now.attempts());
    block.line("rates", &now.rates().unwrap_or("none are set".into()));
    if let Some(learnt) = now.learnt.text() {
        block.line("learnt", &learnt);
    }
    if now.target_utilization < 1.0 {
        let share = limits::share(now.target_utilization);
        block.line("use", &format!("{share} of what the provider allows"));
    }
}
