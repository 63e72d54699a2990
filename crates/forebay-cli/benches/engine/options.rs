//! What is measured: modes and flags of the command line.

use std::path::PathBuf;

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Speed,
    Pace,
    Stream,
    Start,
    InFlight,
    Memory,
}

impl Mode {
    const ALL: [(&'static str, Mode); 6] = [
        ("speed", Mode::Speed),
        ("pace", Mode::Pace),
        ("stream", Mode::Stream),
        ("start", Mode::Start),
        ("in-flight", Mode::InFlight),
        ("memory", Mode::Memory),
    ];
}

/// The version of HTTP that clients and server speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    /// As tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Http::One => "1.1",
            Http::Two => "2",
        }
    }
}

/// The command line, resolved.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) modes: Vec<Mode>,
    /// Rounds of which medians are shown (`--rounds`, 5 by default).
    pub(crate) rounds: usize,
    /// Small counts and one round (`--short`), to see that it works.
    pub(crate) is_short: bool,
    /// `--http 1.1` or `--http 2`; both by default.
    pub(crate) http: Vec<Http>,
    /// `--in-flight 50,500`; each mode has its own default.
    pub(crate) in_flight: Vec<usize>,
    /// `--rows`; each mode has its own default.
    pub(crate) rows: Option<usize>,
    /// A Python with aiohttp and openai (`--python`), whose clients take turns as well.
    pub(crate) python: Option<PathBuf>,
}

impl Options {
    /// Reads the words after the program's name; `--bench`, which cargo adds, says nothing.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            modes: Vec::new(),
            rounds: 0,
            is_short: false,
            http: vec![Http::One, Http::Two],
            in_flight: Vec::new(),
            rows: None,
            python: None,
        };
        let mut words = words.filter(|word| word != "--bench");
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--short" => options.is_short = true,
                "--rounds" => options.rounds = number(&value()?)?,
                "--rows" => options.rows = Some(number(&value()?)?),
                "--python" => options.python = Some(value()?.into()),
                "--in-flight" => {
                    options.in_flight =
                        value()?.split(',').map(number).collect::<Result<_, _>>()?;
                }
                "--http" => {
                    options.http = match value()?.as_str() {
                        "1" | "1.1" => vec![Http::One],
                        "2" => vec![Http::Two],
                        other => return Err(format!("--http takes 1.1 or 2, not {other}")),
                    }
                }
                name => {
                    let mode = Mode::ALL.iter().find(|(known, _)| *known == name);
                    let names = Mode::ALL.map(|(known, _)| known).join(", ");
                    let (_, mode) = mode.ok_or(format!("{name} is none of {names}"))?;
                    options.modes.push(*mode);
                }
            }
        }
        if options.modes.is_empty() {
            options.modes = vec![Mode::Speed, Mode::Pace, Mode::Stream, Mode::Start];
        }
        if options.rounds == 0 {
            options.rounds = if options.is_short { 1 } else { 5 };
        }
        Ok(options)
    }

    /// The number of rows: as asked, or the mode's own, long or short.
    pub(crate) fn rows_or(&self, long: usize, short: usize) -> usize {
        let own = if self.is_short { short } else { long };
        self.rows.unwrap_or(own)
    }

    /// The numbers in flight: as asked, or the mode's own.
    pub(crate) fn in_flight_or(&self, own: &[usize]) -> Vec<usize> {
        match self.in_flight.is_empty() {
            true => own.to_vec(),
            false => self.in_flight.clone(),
        }
    }
}

fn number(text: &str) -> Result<usize, String> {
    let parsed = text.replace('_', "").parse();
    let positive = parsed.ok().filter(|number| *number > 0);
    positive.ok_or(format!("{text:?} is no positive number"))
}
