//! `forebay sim check`: judges a run by its log, results and journal, after the fact.
//!
//! Opens files and prints; what is judged, and how, is the simulator's `check`.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use forebay::error::Error;
use forebay_sim::check::{Bounds, Evidence, Format, Log, Report, Rows, Sessions, Source, check};

use crate::args::CheckArgs;
use crate::env_vars;
use crate::exit_code::Exit;

/// Judges a run; the text says what was found.
///
/// # Errors
/// When there is nothing to judge, or a file cannot be read.
pub(crate) fn run(args: &CheckArgs) -> Result<(Exit, String), Error> {
    if args.log.is_empty() && args.results.is_none() && args.journal.is_none() {
        return Err(Error::config("there is nothing to check")
            .with_hint("give --log, --results or --journal, best all three"));
    }
    let bounds = bounds(args)?;
    let report = check(evidence(args)?, &bounds).map_err(|error| Error::io(error.to_string()))?;
    let exit = if report.is_clean() {
        Exit::Ok
    } else {
        Exit::SomeFailed
    };
    Ok((exit, shown(&report, args.json)?))
}

fn shown(report: &Report, json: bool) -> Result<String, Error> {
    if !json {
        return Ok(report.to_string());
    }
    let text = serde_json::to_string_pretty(report);
    let text = text.map_err(|error| Error::io(format!("cannot print the report: {error}")))?;
    Ok(text + "\n")
}

fn evidence(args: &CheckArgs) -> Result<Evidence<'static>, Error> {
    let all = |paths: &[PathBuf]| {
        let sources = paths.iter().map(|path| source(path));
        sources.collect::<Result<Vec<_>, Error>>()
    };
    let logs = all(&args.log)?;
    Ok(Evidence {
        log: (!logs.is_empty()).then_some(Log::Files(logs)),
        rows: args.results.as_deref().map(rows).transpose()?,
        errors: beside(args.errors.as_ref(), args, ".errors.jsonl")?,
        journal: beside(args.journal.as_ref(), args, ".journal")?,
        others: all(&args.scan)?,
    })
}

fn bounds(args: &CheckArgs) -> Result<Bounds, Error> {
    let secrets = args.secret_env.iter().map(|name| {
        env_vars::read(name).ok_or_else(|| {
            Error::config(format!("--secret-env: {name} is not set"))
                .with_hint("give the name of a variable, not the secret itself")
        })
    });
    Ok(Bounds {
        items: args.items,
        pending: None,
        max_attempts: args.max_attempts,
        retry_budget: args.retry_budget,
        max_in_flight: args.max_in_flight,
        slack: args.slack,
        exit_code: args.exit_code,
        within: args.within,
        secrets: secrets.collect::<Result<_, _>>()?,
        endpoint: args.endpoint.clone(),
        retry_failed: args.retry_failed,
        shared_log: args.shared_log,
        sessions: match args.last_session {
            true => Sessions::Last,
            false => Sessions::All,
        },
    })
}

/// A file that was named, or the one beside the results if it exists.
fn beside(
    named: Option<&PathBuf>,
    args: &CheckArgs,
    ending: &str,
) -> Result<Option<Source<'static>>, Error> {
    if let Some(path) = named {
        return source(path).map(Some);
    }
    let Some(results) = &args.results else {
        return Ok(None);
    };
    let mut path = OsString::from(results);
    path.push(ending);
    let path = PathBuf::from(path);
    path.exists().then(|| source(&path)).transpose()
}

fn rows(path: &Path) -> Result<Rows<'static>, Error> {
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("jsonl" | "ndjson") => Format::Lines,
        Some("json") => Format::Array,
        _ => {
            let message = format!("cannot check {}: not .jsonl or .json", path.display());
            return Err(Error::config(message)
                .with_hint("let the run write .jsonl: rows in CSV do not tell null from empty"));
        }
    };
    let source = source(path)?;
    Ok(Rows { source, format })
}

fn source(path: &Path) -> Result<Source<'static>, Error> {
    let name = path.display().to_string();
    let file =
        File::open(path).map_err(|error| Error::io(format!("cannot open {name}: {error}")))?;
    Ok(Source::new(name, BufReader::with_capacity(1 << 18, file)))
}
