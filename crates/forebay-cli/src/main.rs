//! The `forebay` command.

mod args;
mod ask;
mod cache;
mod check;
mod config_file;
mod dry_run;
mod env_vars;
mod exit_code;
mod fault_list;
mod help;
mod machine;
mod models;
mod nearest;
mod network;
mod panic;
mod plan;
mod prices;
mod providers;
mod proxy;
mod report;
mod run;
mod sim;
mod simulated;
mod status;
mod tune;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use forebay::error::{Error, ErrorKind};

use args::{CacheCommand, Cli, Command, PricesArgs, SimCommand};
use config_file::ConfigFile;
use exit_code::Exit;

/// Many small, short-lived allocations per row: a little faster than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    panic::tell_only_the_place();
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Ask(args) => ask::ask(args),
        Command::Status(args) => status::status(&args.file, args.json).map(print),
        Command::Tune(args) => tune::tune(args).map(print),
        Command::Providers(args) => providers::providers(args).map(print),
        Command::Models(args) => models::models(args),
        Command::Cache(args) => match &args.command {
            CacheCommand::Stats(args) => cache::stats(args).map(print),
            CacheCommand::Clear(args) => cache::clear(args).map(print),
        },
        Command::Prices(args) => prices(args).map(print),
        Command::Sim(args) => match &args.command {
            Some(SimCommand::Check(args)) => check::run(args).map(|(exit, text)| {
                let printed = print(text);
                if printed == Exit::Ok { exit } else { printed }
            }),
            Some(SimCommand::Proxy(args)) => proxy::run(args),
            None => sim::sim(args),
        },
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            complain(&error);
            match error.kind() {
                ErrorKind::Io => Exit::Io.into(),
                _ => Exit::Usage.into(),
            }
        }
    }
}

fn prices(args: &PricesArgs) -> Result<String, Error> {
    let config = ConfigFile::find(args.config.as_deref())?;
    prices::prices(&config.price_table(), args.pattern.as_deref(), args.json)
}

/// Prints to standard output; a reader who has seen enough is no fault.
fn print(text: String) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(_) => Exit::Io,
    }
}

fn complain(error: &Error) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "error: {error}");
    if let Some(hint) = error.hint() {
        let _ = writeln!(out, " hint: {hint}");
    }
}
