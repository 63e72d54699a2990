//! The command from the outside: what it is given, prints, writes, sends, and how it ends.

/// Runs the command in a folder of its own and looks at what came of it.
mod harness;

/// A simulated provider in another process, and its log.
mod simulator;

/// Judges runs by log, results and journal.
mod judge;

/// A server that keeps the requests it gets, byte for byte.
mod server;

/// Commands that are refused, with everything they say, put down for snapshots.
mod transcript;

/// `--help` of each command, byte for byte.
mod help;

/// Input that is missing, damaged or contradictory.
mod bad_input;

/// Flags, templates, models, keys and configuration that cannot work.
mod bad_setup;

/// Faults that the simulator and the proxy are told to have.
mod faults;

/// Outputs that must not be touched, or cannot be written.
mod bad_output;

/// Proxies, as flags, the file and the environment name them.
mod proxies;

/// Every form of input becomes the same items.
mod inputs;

/// Every form of output holds the same rows.
mod outputs;

/// What a request is made of: templates, parameters, headers, keys, and where each comes from.
mod requests;

/// `run --cache` and `forebay cache`: what was asked before is not asked again.
mod cache;

/// Parquet in and out: typed columns that survive the way through a run.
mod tables;

/// Images, tools and the parameters that have flags.
mod images_and_tools;

/// Running the same command again sends only what is left.
mod resume;

/// Signals, readers that go away, and the codes by which a run ends.
mod stopping;

/// `--stream`: the same rows, answered piece by piece.
mod streaming;

/// Whole requests and the files of other tools, in and out.
mod formats;

/// `--embed`: many texts in a request, and a row, an error and a record for each.
mod embed;

/// What the machine allows, and what is done to a process.
mod machine;

/// Limits of a run that is under way.
mod tune;

/// Killed at any moment, no row is lost, doubled or paid for again.
mod kill;

/// `forebay sim check`: judges real runs, and catches what was done to their files afterwards.
mod check;

/// The official Python SDKs of the providers, as clients of `forebay sim`.
mod sdk;

/// The providers that are known by name.
mod providers;

/// What an endpoint serves.
mod models;

/// Answers that have to fit a schema.
mod schema;

/// One question, one model or several.
mod ask;
