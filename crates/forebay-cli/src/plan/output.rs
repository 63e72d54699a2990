//! Where rows go, and whether they may.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use forebay::error::Error;
use forebay::journal::parent_of;
use forebay::sink::{OutputFormat, Tool};

use crate::args::{OrderArg, RunArgs};

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output, as rows finish.
    StdoutCompleted,
    /// Standard output, in input order at the end.
    StdoutInput,
    /// A JSON Lines file that grows as rows finish.
    FileCompleted,
    /// A file in input order, put in place at the end.
    FileInput(OutputFormat),
}

/// The output, resolved.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    pub(crate) destination: Destination,
    /// The output file; `None` for standard output.
    pub(crate) path: Option<PathBuf>,
    /// The tool as which rows are written, when they are not Forebay's own.
    pub(crate) tool: Option<Tool>,
    pub(crate) fresh: bool,
    pub(crate) retry_failed: bool,
    pub(crate) keep_journal: bool,
}

impl OutputPlan {
    /// The journal beside the output.
    pub(crate) fn journal(&self) -> Option<PathBuf> {
        self.path
            .as_deref()
            .map(|path| with_suffix(path, ".journal"))
    }

    /// The file for failed rows alone; some tools have none.
    pub(crate) fn errors(&self) -> Option<PathBuf> {
        let path = self.path.as_deref();
        path.filter(|_| self.tool.is_none_or(Tool::has_errors_file))
            .map(|path| with_suffix(path, ".errors.jsonl"))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Resolves and checks the output.
pub(super) fn plan(args: &RunArgs, usual: Option<Tool>) -> Result<OutputPlan, Error> {
    let path = args.output.clone().filter(|path| path != Path::new("-"));
    let destination = match (&path, args.order) {
        (None, Some(OrderArg::Input)) => Destination::StdoutInput,
        (None, Some(OrderArg::Completed) | None) => Destination::StdoutCompleted,
        (Some(path), order) => {
            let format = format_of(args, path, usual)?;
            check(path)?;
            match (order, format) {
                (Some(OrderArg::Completed), OutputFormat::JsonLines | OutputFormat::Tool(_)) => {
                    Destination::FileCompleted
                }
                (
                    Some(OrderArg::Completed),
                    OutputFormat::Json | OutputFormat::Csv | OutputFormat::Parquet,
                ) => {
                    return Err(Error::config(format!(
                        "--order completed cannot append rows to {}: its form needs them all",
                        path.display()
                    ))
                    .with_hint("use a .jsonl output, or leave --order out"));
                }
                (Some(OrderArg::Input) | None, format) => Destination::FileInput(format),
            }
        }
    };
    if path.is_none() && (args.fresh || args.retry_failed || args.keep_journal) {
        return Err(Error::config(
            "--fresh, --retry-failed and --keep-journal need an output file",
        )
        .with_hint("name one with --output FILE"));
    }
    let output = OutputPlan {
        tool: tool_of(args, path.as_deref(), usual)?,
        destination,
        path,
        fresh: args.fresh,
        retry_failed: args.retry_failed,
        keep_journal: args.keep_journal,
    };
    check_inputs(&output, args)?;
    Ok(output)
}

/// The form of an output file: the flag's, else that of its name; lines are the usual tool's.
fn format_of(args: &RunArgs, path: &Path, usual: Option<Tool>) -> Result<OutputFormat, Error> {
    if let Some(tool) = tool_of(args, Some(path), usual)? {
        return Ok(OutputFormat::Tool(tool));
    }
    match args.output_format.as_deref() {
        Some(name) => OutputFormat::of(Path::new(&format!("output.{name}"))),
        None => OutputFormat::of(path),
    }
}

/// The tool as which rows are written.
fn tool_of(
    args: &RunArgs,
    path: Option<&Path>,
    usual: Option<Tool>,
) -> Result<Option<Tool>, Error> {
    let tool = match args.output_format.as_deref() {
        Some(name) => Tool::by_name(name),
        None => match path {
            Some(path) if OutputFormat::of(path)? == OutputFormat::JsonLines => usual,
            Some(_) | None => None,
        },
    };
    let fault = match tool {
        Some(Tool::Cookbook) if usual != tool => "needs the requests of a cookbook input",
        Some(_) if args.embed => "cannot go with --embed: an answer is that of many items",
        _ => return Ok(tool),
    };
    let name = tool.map_or("", Tool::name);
    Err(Error::config(format!("--output-format {name} {fault}"))
        .with_hint("leave it out for rows of Forebay's own"))
}

fn check(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let folder = parent_of(path);
    match std::fs::metadata(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::io(format!("the folder of {shown} does not exist"))
                .with_hint(format!("make it first: mkdir -p {}", folder.display())));
        }
        Err(error) => {
            return Err(Error::io(format!(
                "cannot use the folder of {shown}: {error}"
            )));
        }
        Ok(folder) if !folder.is_dir() => {
            return Err(Error::io(format!("the folder of {shown} is not a folder")));
        }
        Ok(_) => {}
    }
    let Ok(there) = std::fs::metadata(path) else {
        return Ok(());
    };
    if there.is_dir() {
        return Err(Error::io(format!("{shown} is a folder"))
            .with_hint("name a file in it, such as results.jsonl"));
    }
    Ok(())
}

/// Refuses outputs of which one is the input: it would be overwritten or removed.
fn check_inputs(output: &OutputPlan, args: &RunArgs) -> Result<(), Error> {
    let outputs = [output.path.clone(), output.errors(), output.journal()];
    for path in outputs.into_iter().flatten() {
        let Ok(there) = std::fs::metadata(&path) else {
            continue;
        };
        for input in &args.inputs {
            let same = std::fs::metadata(input)
                .is_ok_and(|input| (input.ino(), input.dev()) == (there.ino(), there.dev()));
            if same {
                let shown = path.display();
                return Err(
                    Error::config(format!("{shown} is the input and the output"))
                        .with_hint("choose another output: the input would be overwritten"),
                );
            }
        }
    }
    Ok(())
}
