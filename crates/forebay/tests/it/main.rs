//! The whole engine against the simulated provider, and the shape of the code itself.

/// Runs the engine over in-memory pipes in paused time, and looks at what came of it.
mod harness;

/// Judges every run by the simulator's log, the rows and the journal.
mod judge;

/// Wall time against the ideal, rates kept and used.
mod pace;

/// The client that programs use.
mod client;

/// The examples, run as programs.
mod examples;

/// What each answer of a misbehaving provider leads to.
mod faults;

/// Event streams as answers to plain requests.
mod streams;

/// Event streams that were asked for.
mod asked;

/// Faults of the transport, the network, the operating system and time.
mod network;

/// Runs that stop before their input ends, and those that survive an outage.
mod stopping;

/// Journals across sessions: resume, retried failures, edited inputs.
mod resume;

/// Recorded answers of every dialect, plain and as streams.
mod recorded;

/// Requests with everything in them, in each dialect.
mod requests;

/// Answers that have to fit a schema, and answers that a cap on tokens cut.
mod schema;

/// Embeddings: many items in one request, and a row for each.
mod embed;

/// Permits under random ends: everything comes back.
mod permits;

/// Limits that are changed while a run goes on.
mod tuning;

/// The fuzz targets: their corpus, and random changes of it.
mod fuzz;

/// Files that fail, disks that forget, and what other processes do to them.
mod disk;

/// The layers of the house, enforced.
mod tidy;

/// Long runs in paused time, the same each time.
mod hour;

/// The page of faults, made of the tests' own words.
mod matrix;

/// The page of providers, made of the catalogue.
mod providers;

/// Lists of models, in each dialect.
mod models;

/// Runs that begin with what a server tells of itself.
mod seeds;

/// What answers tell of limits, in each style of headers.
mod told;
