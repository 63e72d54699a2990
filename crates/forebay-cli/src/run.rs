//! `forebay run`: a file of items in, a row for each out.

mod finished;
mod ids;
mod signals;
mod stage;
mod tuned;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay::answers::Answers;
use forebay::engine::{self, Command, Control, FeedOptions, Stats};
use forebay::error::Error;
use forebay::event::{Event, StopReason, Summary};
use forebay::journal::Totals;
use forebay::price::PriceTable;
use forebay::source::{Counter, Source};
use forebay::transport::{Connector, Transport};

use crate::args::{ProgressArg, RunArgs};
use crate::exit_code::Exit;
use crate::machine::Room;
use crate::plan::Plan;
use crate::report::progress::{Earlier, Progress, ProgressMode};
use crate::report::summary::{self, Closing};
use crate::report::tally::Tally;
use crate::report::units;
use crate::{cache, dry_run, machine, models, network};
pub(crate) use signals::end_process_on_signals;
use stage::{Ending, Opened, Stage};
use tuned::Ear;

/// Runs.
///
/// # Errors
/// When the run cannot start, or its output cannot be put in place.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Error> {
    let plan = Plan::resolve(args)?;
    if args.dry_run {
        let warn = |line: &str| Notes { quiet: args.quiet }.line(line);
        let cache = cache::look(&args.cache, &plan, warn)?;
        let answers = cache.as_ref().map(|cache| cache as &dyn Answers);
        return dry_run::dry_run(&plan, answers);
    }
    let connector = network::connector()?;
    let mut source = Source::open(plan.input.clone(), plan.prompting.clone())?;
    check_input(&plan, &mut source, args.strict)?;
    match Stage::open(&plan)? {
        Opened::Stage(stage) => perform(args, plan, source, (*stage, connector)),
        Opened::Complete(line) => {
            let say = Notes { quiet: args.quiet };
            say.line(&line);
            Ok(Exit::Ok)
        }
    }
}

/// Lines about a run on stderr, unless it is to be quiet.
#[derive(Debug, Clone, Copy)]
struct Notes {
    quiet: bool,
}

impl Notes {
    fn line(self, line: &str) {
        if !self.quiet {
            // Nobody may be reading standard error; the rows matter more.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

/// Runs the engine, puts the output in place, and sums up.
fn perform(
    args: &RunArgs,
    mut plan: Plan,
    source: Source,
    (mut stage, connector): (Stage, Connector),
) -> Result<Exit, Error> {
    let say = Notes { quiet: args.quiet };
    for note in &plan.notes {
        say.line(note);
    }
    network::start_simulator(&mut plan.server, args.quiet)?;
    let is_simulated = plan.server.is_simulated();
    let http = plan.endpoint().http;
    let room = machine::raise_open_files().map(|files| Room::of(files, is_simulated, http));
    if let Some(room) = room {
        let (concurrency, word) = room.cap(plan.settings.concurrency);
        plan.settings.concurrency = concurrency;
        if let Some(word) = word {
            say.line(&format!("warning: {word}"));
        }
    }
    let cache = cache::open(&args.cache, &plan, |line| say.line(line))?;
    plan.settings.answers = cache.clone().map(|cache| cache as Arc<dyn Answers>);
    let earlier = stage.journal.history().total();
    announce_resume(&stage, &earlier, say);
    let fingerprint = finished::fingerprint(&plan.input);
    let kept_messages = source.n_kept_messages();
    let columns = source.column_types();
    let stats = Arc::new(Stats::default());
    let progress = start_progress(args, &plan, &stats, &earlier);
    let mut tally = Tally::default();
    let reporting = (&stats, &progress, &mut tally);
    let driven = drive((&plan, room), (source, connector), &mut stage, reporting);
    progress.finish();
    cache::close(cache.as_ref(), |line| say.line(line));
    let (summary, signal) = driven?;
    let n = kept_messages.load(Ordering::Relaxed);
    if n > 0 && plan.prompting.prompt.is_some() {
        say.line(&format!(
            "forebay: {n} items have messages of their own; the prompt was not applied to them"
        ));
    }
    let (files, printed) = stage.put_in_place(&plan, &summary, &columns)?;
    let Stage { journal, sink, .. } = stage;
    let nobody_reads = [printed, sink.finish()?].contains(&Ending::NobodyReads);
    if nobody_reads || summary.stopped == Some(StopReason::OutputClosed) {
        return Ok(Exit::BrokenPipe);
    }
    let unserved = match summary.stopped {
        Some(StopReason::NotFound) => {
            let model = &plan.prompting.parameters.model;
            network::block_on(models::not_served(&plan.server, model))?
        }
        _ => None,
    };
    let closing = Closing {
        summary: &summary,
        unserved,
        tally: &tally,
        earlier: &earlier,
        price_known: plan.model.is_some(),
        price_date: PriceTable::SNAPSHOT,
        files: &files,
        next: next_step(&plan, &summary, &tally),
        simulated: plan.server.is_simulated(),
        items: stats.snapshot().items,
    };
    say.line(summary::text(&closing).trim_end());
    if args.quiet
        && let Some(line) = summary::stop_line(&closing)
    {
        let _ = writeln!(std::io::stderr(), "error: {line}");
    }
    if let Some(path) = &args.summary_json {
        std::fs::write(path, summary::json(&closing))
            .map_err(|error| Error::io(format!("cannot write {}: {error}", path.display())))?;
    }
    finished::settle(&plan, journal, &closing, fingerprint);
    Ok(exit_of(&summary, signal))
}

fn announce_resume(stage: &Stage, earlier: &Totals, say: Notes) {
    if !stage.journal.history().sessions.is_empty() {
        say.line(&format!(
            "forebay: going on with {}: {} ok, {} failed so far",
            stage.journal.path().display(),
            units::count(earlier.ok),
            units::count(earlier.failed_count())
        ));
    }
}

fn start_progress(args: &RunArgs, plan: &Plan, stats: &Arc<Stats>, earlier: &Totals) -> Progress {
    let before = Earlier {
        ok: earlier.ok,
        failed: earlier.failed_count(),
        cost: earlier.cost,
        wall: Duration::from_secs_f64(earlier.wall_s.max(0.0)),
    };
    let price_known = plan.model.is_some();
    Progress::start(progress_mode(args), Arc::clone(stats), price_known, before)
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

type Reporting<'a> = (&'a Arc<Stats>, &'a Progress, &'a mut Tally);

fn drive(
    (plan, room): (&Plan, Option<Room>),
    (source, connector): (Source, Connector),
    stage: &mut Stage,
    (stats, progress, tally): Reporting<'_>,
) -> Result<(Summary, Option<Exit>), Error> {
    let runtime = network::runtime()?;
    let endpoint = plan.endpoint();
    let transport = Transport::new(endpoint.base_url.clone(), connector, plan.settings.timeouts)?
        .speaking(endpoint.http)
        .through(plan.server.proxies());
    let (control, receiver) = engine::control();
    let stop_counting = Arc::new(AtomicBool::new(false));
    if let Some(counter) = source.counter() {
        count_in_thread(counter, control.clone(), Arc::clone(&stop_counting));
    }
    let options = FeedOptions {
        answers: plan.settings.answers.clone(),
        at_hand: !source.may_wait(),
    };
    let feed = engine::feed_in_thread(ids::unique(source), endpoint.clone(), options)?;
    // Only a journal beside an output is found by anybody else.
    let journal = plan.output.journal();
    let ear = journal.map(|path| Ear::open(&path, control.clone(), room, progress.noter()));
    let mut observer = |event: &Event<'_>| {
        if let Some(ear) = &ear {
            ear.note(event);
        }
        for line in tally.note(event) {
            progress.note(&line);
        }
    };
    let signals = signals::listen(control)?;
    let ended = runtime.block_on(engine::run(engine::Run {
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
    }));
    signals.engine_ended();
    stop_counting.store(true, Ordering::Relaxed);
    // A sync or a name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok((ended?, signals.first()))
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

fn next_step(plan: &Plan, summary: &Summary, tally: &Tally) -> Option<String> {
    plan.output.path.as_ref()?;
    if summary.stopped.is_some() {
        Some("run the same command again: finished rows are kept".into())
    } else if summary.failed > 0 && summary.kept.1 == 0 && tally.only_invalid_items_failed() {
        Some("mend the input and run the same command again: finished rows are kept".into())
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
