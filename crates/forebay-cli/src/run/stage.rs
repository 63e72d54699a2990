//! Journal and output of a run: opened before it, put in place after it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use forebay::error::Error;
use forebay::event::Summary;
use forebay::journal::{Journal, OpenOptionsForRun};
use forebay::sink::{self, Append, AtEnd, OutputFormat, Pipe, Sink, Targets};
use forebay::table::Columns;

use super::finished;
use crate::plan::{Destination, Plan};

/// The journal and sink of a run.
pub(super) struct Stage {
    pub(super) journal: Journal,
    pub(super) sink: Output,
    /// Keeps the journal of an output that cannot be resumed until the run is over.
    _folder: Option<tempfile::TempDir>,
}

/// A stage, unless nothing is left to do.
pub(super) enum Opened {
    Stage(Box<Stage>),
    /// Nothing is left to do.
    Complete(String),
}

/// Where rows go while the run goes on.
pub(super) enum Output {
    AtEnd(AtEnd),
    Append(Append),
    Pipe(Pipe),
}

/// Files that were written, each with what it is.
pub(super) type Files = Vec<(String, PathBuf)>;

/// How the output ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything that was to be written is.
    Written,
    /// The reader of a pipe went away.
    NobodyReads,
}

impl Output {
    pub(super) fn as_sink(&mut self) -> &mut dyn Sink {
        match self {
            Output::AtEnd(sink) => sink,
            Output::Append(sink) => sink,
            Output::Pipe(sink) => sink,
        }
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn finish(self) -> Result<Ending, Error> {
        match self {
            Output::Pipe(pipe) => ending_of(pipe.finish()),
            Output::AtEnd(_) | Output::Append(_) => Ok(Ending::Written),
        }
    }
}

/// A reader of standard output who has seen enough is no fault.
fn ending_of(written: std::io::Result<()>) -> Result<Ending, Error> {
    match written {
        Ok(()) => Ok(Ending::Written),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Ending::NobodyReads),
        Err(error) => Err(Error::io(format!(
            "cannot write to standard output: {error}"
        ))),
    }
}

impl Stage {
    pub(super) fn open(plan: &Plan) -> Result<Opened, Error> {
        let mut folder = None;
        let mut journal = match (&plan.output.destination, plan.output.journal()) {
            (_, Some(path)) => match open_journal(plan, path)? {
                Ok(journal) => journal,
                Err(line) => return Ok(Opened::Complete(line)),
            },
            (Destination::StdoutInput, None) => {
                let made = tempfile::tempdir().map_err(|error| {
                    Error::io(format!("cannot make a temporary folder: {error}"))
                })?;
                let path = made.path().join("journal");
                folder = Some(made);
                Journal::open(options(plan, path))?
            }
            (_, None) => Journal::none(),
        };
        let sink = match (&plan.output.destination, &plan.output.path) {
            (Destination::StdoutCompleted, _) => {
                let pipe = Pipe::new(std::io::stdout()).map_err(|error| {
                    Error::io(format!("cannot write to standard output: {error}"))
                })?;
                Output::Pipe(match plan.output.tool {
                    Some(tool) => pipe.shaped(tool),
                    None => pipe,
                })
            }
            (Destination::FileCompleted, Some(path)) => {
                Output::Append(append(plan, &mut journal, path)?)
            }
            _ => Output::AtEnd(AtEnd),
        };
        if journal.damaged() > 0 {
            let _ = writeln!(
                std::io::stderr(),
                "warning: {} damaged records in {}: their rows are sent again",
                journal.damaged(),
                journal.path().display()
            );
        }
        journal.begin(&plan.identity);
        Ok(Opened::Stage(Box::new(Stage {
            journal,
            sink,
            _folder: folder,
        })))
    }

    /// Puts output and errors file in place, when the run is through.
    pub(super) fn put_in_place(
        &mut self,
        plan: &Plan,
        summary: &Summary,
        columns: &Columns,
    ) -> Result<(Files, Ending), Error> {
        if plan.output.destination == Destination::StdoutInput {
            // These rows are nowhere else, so they are printed even when others are pending.
            let printed = sink::print(
                &mut self.journal,
                &mut std::io::stdout().lock(),
                plan.output.tool,
            );
            return ending_of(printed).map(|ending| (Vec::new(), ending));
        }
        if summary.stopped.is_some() {
            let streamed =
                matches!(self.sink, Output::Append(_)) && summary.ok + summary.failed > 0;
            let path = plan.output.path.clone().filter(|_| streamed);
            let files = path
                .map(|path| ("output".to_owned(), path))
                .into_iter()
                .collect();
            return Ok((files, Ending::Written));
        }
        let path = plan.output.path.as_deref();
        let errors = plan.output.errors();
        let lines = plan
            .output
            .tool
            .map_or(OutputFormat::JsonLines, OutputFormat::Tool);
        let output = match (&plan.output.destination, path) {
            (Destination::FileInput(format), Some(path)) => Some((path, *format)),
            (Destination::FileCompleted, Some(path)) if self.journal.is_outdated() => {
                Some((path, lines))
            }
            _ => None,
        };
        let Some(path) = path else {
            return Ok((Vec::new(), Ending::Written));
        };
        let failed = |error| {
            Error::io(format!("cannot write {}: {error}", path.display())).with_hint(
                "no row is lost: they are in the journal; make room and run the same command again",
            )
        };
        if let Output::Append(append) = &self.sink {
            // The journal of a complete run is thrown away.
            append.sync().map_err(failed)?;
        }
        let targets = Targets {
            output,
            errors: errors.as_deref().map(|path| (path, lines)),
            columns,
        };
        let assembly = sink::assemble(&mut self.journal, targets).map_err(failed)?;
        let mut files = vec![("output".to_owned(), path.to_owned())];
        files.extend(assembly.errors.map(|path| ("errors".to_owned(), path)));
        Ok((files, Ending::Written))
    }
}

fn options(plan: &Plan, path: PathBuf) -> OpenOptionsForRun {
    OpenOptionsForRun {
        path,
        settings: plan.identity.clone(),
        fresh: plan.output.fresh,
        retry_failed: plan.output.retry_failed,
        durability: plan.durability,
    }
}

/// Opens the journal beside the output; the inner error says that nothing is left to do.
fn open_journal(plan: &Plan, path: PathBuf) -> Result<Result<Journal, String>, Error> {
    let output = plan.output.path.as_deref().unwrap_or(Path::new("-"));
    let there = std::fs::metadata(output).is_ok_and(|file| file.len() > 0);
    let recorded = std::fs::metadata(&path).is_ok_and(|file| file.len() > 0);
    if there && !recorded && !plan.output.fresh {
        return Err(Error::config(format!(
            "{} exists already and has no journal",
            output.display()
        ))
        .with_hint(
            "it may be another program's: choose another output, or --fresh to replace it",
        ));
    }
    refuse_foreign_errors(plan, recorded)?;
    let journal = Journal::open(options(plan, path.clone()))?;
    match finished::check(plan, &journal, output)? {
        finished::State::Unfinished => Ok(Ok(journal)),
        finished::State::Complete(line) => Ok(Err(line)),
        finished::State::OutputGone => {
            drop(journal);
            let fresh = OpenOptionsForRun {
                fresh: true,
                ..options(plan, path)
            };
            Journal::open(fresh).map(Ok)
        }
    }
}

/// An errors file without a journal is not this run's, and would be replaced or removed.
fn refuse_foreign_errors(plan: &Plan, recorded: bool) -> Result<(), Error> {
    match plan.output.errors().filter(|path| path.exists()) {
        Some(path) if !recorded && !plan.output.fresh => Err(Error::config(format!(
            "{} exists already and has no journal",
            path.display()
        ))
        .with_hint("move it away, choose another output, or --fresh to replace it")),
        _ => Ok(()),
    }
}

/// The growing output file, without what a kill or a retry has made untrue.
fn append(plan: &Plan, journal: &mut Journal, path: &Path) -> Result<Append, Error> {
    let failed =
        |error: std::io::Error| Error::io(format!("cannot write {}: {error}", path.display()));
    let keep_failed = !plan.output.retry_failed;
    Append::to_go_on(journal, path, keep_failed, plan.output.tool).map_err(failed)
}
