//! What the whole engine costs, beside yardsticks in the same run.
//!
//! ```text
//! cargo bench --bench engine                      everything but `memory`
//! cargo bench --bench engine -- speed             CPU microseconds and rows/s at 50 and 500 in flight
//! cargo bench --bench engine -- pace              wall time against the ideal at 500 ms latency
//! cargo bench --bench engine -- stream            CPU of a stream of 200 chunks
//! cargo bench --bench engine -- start             time until something happens, resume included
//! cargo bench --bench engine -- in-flight         memory of each of 20,000 requests in flight
//! cargo bench --bench engine -- memory            peak memory over 10,000,000 rows, both orders
//! ```
//! `options.rs` has the flags; `--short` makes each of them end within a minute.
//!
//! The client has one core and the server of `server/` the other one. Trust ratios, not absolute
//! values: clients take turns, round by round, and medians are shown. Linux only.
//!
//! ```text
//! this program ─┬─ itself as the server          (core 1)
//!               ├─ forebay run                   (core 0)
//!               └─ itself or a tool as yardstick (core 0), in turn with it
//! ```

mod in_flight;
mod machine;
mod memory;
mod options;
mod pace;
mod process;
mod server;
mod speed;
mod start;
mod stream;
mod subject;
mod turns;
mod yardstick;

use std::process::ExitCode;

use options::{Mode, Options};

fn main() -> ExitCode {
    if process::play_role() {
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    process::raise_open_files();
    let folder = tempfile::tempdir().expect("a temporary folder");
    for mode in &options.modes {
        println!("\n{}", machine::describe());
        match mode {
            Mode::Speed => speed::run(folder.path(), &options),
            Mode::Pace => pace::run(folder.path(), &options),
            Mode::Stream => stream::run(folder.path(), &options),
            Mode::Start => start::run(folder.path(), &options),
            Mode::InFlight => in_flight::run(folder.path(), &options),
            Mode::Memory => memory::run(folder.path(), &options),
        }
    }
    ExitCode::SUCCESS
}
