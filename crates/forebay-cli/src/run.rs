//! `forebay run`: a file of items in, a row for each out.

mod finished;
mod ids;
mod machine;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forebay::engine::{self, Command, Control, Stats};
use forebay::error::Error;
use forebay::event::{Event, StopReason, Summary};
use forebay::journal::{Journal, OpenOptionsForRun};
use forebay::price::PriceTable;
use forebay::sink::{self, Append, AtEnd, OutputFormat, Pipe, Sink, Targets};
use forebay::source::{Counter, Source};
use forebay::transport::{Connector, Transport, tls_config};

use crate::args::{ProgressArg, RunArgs};
use crate::exit_code::Exit;
use crate::plan::{Destination, Plan};
use crate::report::progress::{Progress, ProgressMode};
use crate::report::summary::{self, Closing};
use crate::report::tally::Tally;
use crate::{dry_run, env_vars, simulated};

/// Runs.
///
/// # Errors
/// When the run cannot start, or its output cannot be put in place.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Error> {
    let plan = Plan::resolve(args)?;
    if args.dry_run {
        return dry_run::dry_run(&plan);
    }
    let mut source = Source::open(plan.input.clone(), plan.prompting.clone())?;
    check_input(&plan, &mut source, args.strict)?;
    let stage = match Stage::open(&plan)? {
        Opened::Stage(stage) => stage,
        Opened::Complete(line) => {
            if !args.quiet {
                eprintln!("{line}");
            }
            return Ok(Exit::Ok);
        }
    };
    stage.perform(args, plan, source)
}

fn check_input(plan: &Plan, source: &mut Source, strict: bool) -> Result<(), Error> {
    if strict {
        let report = source.check_all()?;
        if report.invalid > 0 {
            let examples = report.examples.join("\n  ");
            return Err(Error::config(format!(
                "{} of {} items are unusable, and --strict is given:\n  {examples}",
                report.invalid, report.items
            ))
            .with_hint("mend them, or leave --strict out to get error rows for them"));
        }
    }
    ids::check(plan, source)
}

/// The journal and sink of a run.
struct Stage {
    journal: Journal,
    sink: Output,
    /// Keeps the journal of an output that cannot be resumed until the run is over.
    _folder: Option<tempfile::TempDir>,
}

enum Opened {
    Stage(Box<Stage>),
    /// Nothing is left to do.
    Complete(String),
}

enum Output {
    AtEnd(AtEnd),
    Append(Append),
    Pipe(Pipe),
}

impl Output {
    fn as_sink(&mut self) -> &mut dyn Sink {
        match self {
            Output::AtEnd(sink) => sink,
            Output::Append(sink) => sink,
            Output::Pipe(sink) => sink,
        }
    }
}

impl Stage {
    fn open(plan: &Plan) -> Result<Opened, Error> {
        let mut folder = None;
        let mut journal = match (&plan.output.destination, plan.output.journal()) {
            (Destination::StdoutCompleted, _) | (_, None) if !spools(plan) => Journal::none(),
            (_, Some(path)) => match open_journal(plan, path)? {
                Ok(journal) => journal,
                Err(line) => return Ok(Opened::Complete(line)),
            },
            (_, None) => {
                let made = tempfile::tempdir().map_err(|error| {
                    Error::io(format!("cannot make a temporary folder: {error}"))
                })?;
                let path = made.path().join("journal");
                folder = Some(made);
                Journal::open(options(plan, path))?
            }
        };
        let sink = match (&plan.output.destination, &plan.output.path) {
            (Destination::StdoutCompleted, _) => {
                let pipe = Pipe::new(std::io::stdout()).map_err(|error| {
                    Error::io(format!("cannot write to standard output: {error}"))
                })?;
                Output::Pipe(pipe)
            }
            (Destination::FileCompleted, Some(path)) => {
                Output::Append(append(plan, &journal, path)?)
            }
            _ => Output::AtEnd(AtEnd),
        };
        if journal.damaged() > 0 {
            eprintln!(
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

    fn perform(
        mut self: Box<Self>,
        args: &RunArgs,
        mut plan: Plan,
        source: Source,
    ) -> Result<Exit, Error> {
        if plan.server.is_simulated() {
            let port = simulated::start(forebay_sim::Config::default())?;
            plan.server.set_port(port);
            if !args.quiet {
                eprintln!("forebay: the answers are simulated (sim/ model): no provider is asked");
            }
        }
        machine::raise_limits(&mut plan.settings, args.quiet);
        let earlier = self.journal.history().total();
        let resumed = !self.journal.history().sessions.is_empty();
        if resumed && !args.quiet {
            eprintln!(
                "forebay: going on with {}: {} ok, {} failed so far",
                self.journal.path().display(),
                earlier.ok,
                earlier.failed_count()
            );
        }
        let fingerprint = finished::fingerprint(&plan.input);
        let kept_messages = source.n_kept_messages();
        let stats = Arc::new(Stats::default());
        let progress = Progress::start(
            progress_mode(args),
            Arc::clone(&stats),
            plan.model.is_some(),
        );
        let mut tally = Tally::default();
        let driven = drive(&plan, source, &mut self, (&stats, &progress, &mut tally));
        progress.finish();
        let (summary, signal) = driven?;
        let n = kept_messages.load(Ordering::Relaxed);
        if n > 0 && plan.prompting.prompt.is_some() && !args.quiet {
            eprintln!(
                "forebay: {n} items have messages of their own; the prompt was not applied to them"
            );
        }
        let files = self.put_in_place(&plan, &summary)?;
        let Stage { journal, sink, .. } = *self;
        if let Output::Pipe(pipe) = sink
            && let Err(error) = pipe.finish()
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return Ok(Exit::BrokenPipe);
        }
        let closing = Closing {
            summary: &summary,
            tally: &tally,
            earlier: &earlier,
            price_known: plan.model.is_some(),
            price_date: PriceTable::SNAPSHOT,
            files: &files,
            next: next_step(&plan, &summary),
            simulated: plan.server.is_simulated(),
            items: stats.snapshot().items,
        };
        if !args.quiet {
            eprint!("{}", summary::text(&closing));
        }
        if let Some(path) = &args.summary_json {
            std::fs::write(path, summary::json(&closing))
                .map_err(|error| Error::io(format!("cannot write {}: {error}", path.display())))?;
        }
        finished::settle(&plan, journal, &summary, fingerprint);
        Ok(exit_of(&summary, signal))
    }

    /// Puts output and errors file in place, when the run is through.
    fn put_in_place(
        &mut self,
        plan: &Plan,
        summary: &Summary,
    ) -> Result<Vec<(String, PathBuf)>, Error> {
        if summary.stopped.is_some() {
            let streamed = matches!(self.sink, Output::Append(_));
            let path = plan.output.path.clone().filter(|_| streamed);
            return Ok(path
                .map(|path| ("output".to_owned(), path))
                .into_iter()
                .collect());
        }
        let path = plan.output.path.as_deref();
        let errors = plan.output.errors();
        let output = match (&plan.output.destination, path) {
            (Destination::FileInput(format), Some(path)) => Some((path, *format)),
            (Destination::FileCompleted, Some(path)) if self.journal.is_outdated() => {
                Some((path, OutputFormat::JsonLines))
            }
            (Destination::StdoutInput, _) => {
                return sink::print(&mut self.journal, &mut std::io::stdout().lock())
                    .map(|()| Vec::new())
                    .map_err(|error| {
                        Error::io(format!("cannot write to standard output: {error}"))
                    });
            }
            _ => None,
        };
        let Some(path) = path else {
            return Ok(Vec::new());
        };
        let targets = Targets {
            output,
            errors: errors.as_deref(),
        };
        let assembly = sink::assemble(&mut self.journal, targets).map_err(|error| {
            Error::io(format!("cannot write {}: {error}", path.display())).with_hint(
                "no row is lost: they are in the journal; make room and run the same command again",
            )
        })?;
        let mut files = vec![("output".to_owned(), path.to_owned())];
        files.extend(assembly.errors.map(|path| ("errors".to_owned(), path)));
        Ok(files)
    }
}

/// Whether rows for standard output wait in a temporary journal.
fn spools(plan: &Plan) -> bool {
    plan.output.destination == Destination::StdoutInput
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

/// The growing output file, without what a kill or a retry has made untrue.
fn append(plan: &Plan, journal: &Journal, path: &Path) -> Result<Append, Error> {
    let failed =
        |error: std::io::Error| Error::io(format!("cannot write {}: {error}", path.display()));
    if journal.history().sessions.is_empty() {
        std::fs::remove_file(path)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })
            .map_err(failed)?;
    } else {
        sink::rebuild_stream(journal, path, !plan.output.retry_failed).map_err(failed)?;
    }
    Append::open(path).map_err(failed)
}

type Reporting<'a> = (&'a Arc<Stats>, &'a Progress, &'a mut Tally);

fn drive(
    plan: &Plan,
    source: Source,
    stage: &mut Stage,
    (stats, progress, tally): Reporting<'_>,
) -> Result<(Summary, Option<Exit>), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::io(format!("cannot start: {error}")))?;
    let roots = match env_vars::read(env_vars::SSL_CERT_FILE) {
        Some(path) => Some(std::fs::read(&path).map_err(|error| {
            Error::config(format!("cannot read {path} (SSL_CERT_FILE): {error}"))
        })?),
        None => None,
    };
    let connector = Connector::Net(tls_config(roots.as_deref())?);
    let endpoint = plan.endpoint();
    let transport = Transport::new(endpoint.base_url.clone(), connector, plan.settings.timeouts)?;
    let (control, receiver) = engine::control();
    let stop_counting = Arc::new(AtomicBool::new(false));
    if let Some(counter) = source.counter() {
        count_in_thread(counter, control.clone(), Arc::clone(&stop_counting));
    }
    let feed = engine::feed_in_thread(ids::unique(source), endpoint.clone())?;
    let mut observer = |event: &Event<'_>| {
        for line in tally.note(event) {
            progress.note(&line);
        }
    };
    let ended = runtime.block_on(async {
        let signals = signals::listen(control)?;
        let summary = engine::run(engine::Run {
            endpoint,
            transport: &transport,
            settings: &plan.settings,
            model: plan.model.as_ref(),
            feed,
            journal: &mut stage.journal,
            sink: stage.sink.as_sink(),
            observer: &mut observer,
            control: receiver,
            stats,
        })
        .await?;
        Ok((summary, signals.first()))
    });
    stop_counting.store(true, Ordering::Relaxed);
    // A sync or a name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Counts the items beside the run, so that progress can tell how far it is.
fn count_in_thread(counter: Counter, control: Control, stop: Arc<AtomicBool>) {
    let counting = std::thread::Builder::new()
        .name("count".into())
        .spawn(move || {
            if let Some(items) = counter.count(&stop) {
                control.send(Command::Items(items));
            }
        });
    // Without a count there is no percentage; the run itself does not need it.
    drop(counting);
}

fn progress_mode(args: &RunArgs) -> ProgressMode {
    use std::io::IsTerminal as _;
    match args.progress {
        _ if args.quiet => ProgressMode::None,
        Some(ProgressArg::Bar) => ProgressMode::Bar,
        Some(ProgressArg::Plain) => ProgressMode::Plain,
        Some(ProgressArg::Json) => ProgressMode::Json,
        Some(ProgressArg::None) => ProgressMode::None,
        None if std::io::stderr().is_terminal() => ProgressMode::Bar,
        None => ProgressMode::Plain,
    }
}

fn next_step(plan: &Plan, summary: &Summary) -> Option<String> {
    plan.output.path.as_ref()?;
    if summary.stopped.is_some() {
        Some("run the same command again: finished rows are kept".into())
    } else if summary.failed + summary.kept.1 > 0 {
        Some("run the same command with --retry-failed to send failed items again".into())
    } else {
        None
    }
}

fn exit_of(summary: &Summary, signal: Option<Exit>) -> Exit {
    match &summary.stopped {
        Some(StopReason::Interrupted) => signal.unwrap_or(Exit::Interrupted),
        Some(StopReason::Io { .. }) => Exit::Io,
        Some(_) => Exit::StoppedEarly,
        None if summary.failed + summary.kept.1 > 0 => Exit::SomeFailed,
        None => Exit::Ok,
    }
}
