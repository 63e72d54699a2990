//! Rules for the attempts in flight, to compare Forebay's own with.
//!
//! Owns the rules of others, written from their published constants. Never learns a rate and never
//! holds an endpoint back: under a rule each item waits by itself, as the scripts of people do.

mod aimd;
mod gradient2;
mod inspect;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use forebay::config::{AttemptEnd, Concurrency, LimitRule};

/// What decides how many attempts are in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Forebay's own.
    Auto,
    /// This many, whatever happens; one of [`GRID`].
    Fixed(usize),
    /// Additive increase, multiplicative decrease, with the constants of Netflix's
    /// concurrency-limits.
    Aimd,
    /// Gradient2 of the same library.
    Gradient2,
    /// The adaptive connections of Inspect AI.
    Inspect,
}

/// Numbers of the table, besides the best one.
pub const FIXED: [usize; 5] = [8, 16, 64, 256, 1000];

macro_rules! grid {
    ($($n:literal),* $(,)?) => {
        /// Fixed numbers that there are: powers of two, their midpoints, and those of the table.
        pub const GRID: &[usize] = &[$($n),*];

        fn fixed_rule(n: usize) -> Option<fn() -> Box<dyn LimitRule>> {
            match n {
                $($n => Some(fixed::<$n>),)*
                _ => None,
            }
        }
    };
}

grid![
    1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1000, 1500, 2000
];

fn fixed<const N: usize>() -> Box<dyn LimitRule> {
    Box::new(Fixed(N))
}

/// Always the same number.
#[derive(Debug)]
struct Fixed(usize);

impl LimitRule for Fixed {
    fn limit(&self) -> usize {
        self.0
    }

    fn ended(&mut self, _end: &AttemptEnd) {}
}

impl Rule {
    /// The least fixed number.
    pub const LEAST: usize = 1;

    /// The rules of the table, Forebay's own first.
    pub fn all() -> Vec<Rule> {
        let mut rules = vec![Rule::Auto];
        rules.extend(FIXED.map(Rule::Fixed));
        rules.extend([Rule::Aimd, Rule::Gradient2, Rule::Inspect]);
        rules
    }

    /// The setting of the engine that means it.
    pub fn concurrency(self) -> Concurrency {
        match self {
            Rule::Auto => Concurrency::DEFAULT,
            Rule::Fixed(n) => match fixed_rule(n) {
                Some(rule) => Concurrency::Rule(rule),
                None => Concurrency::Fixed(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)),
            },
            Rule::Aimd => Concurrency::Rule(|| Box::<aimd::Aimd>::default()),
            Rule::Gradient2 => Concurrency::Rule(|| Box::<gradient2::Gradient2>::default()),
            Rule::Inspect => Concurrency::Rule(|| Box::<inspect::Inspect>::default()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Auto => f.pad("auto"),
            Rule::Fixed(n) => f.pad(&format!("fixed-{n}")),
            Rule::Aimd => f.pad("aimd"),
            Rule::Gradient2 => f.pad("gradient2"),
            Rule::Inspect => f.pad("inspect"),
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(name: &str) -> Result<Rule, String> {
        match name {
            "auto" => Ok(Rule::Auto),
            "aimd" => Ok(Rule::Aimd),
            "gradient2" => Ok(Rule::Gradient2),
            "inspect" => Ok(Rule::Inspect),
            _ => name
                .strip_prefix("fixed-")
                .and_then(|n| n.parse().ok())
                .filter(|n| GRID.contains(n))
                .map(Rule::Fixed)
                .ok_or_else(|| {
                    format!(
                        "no rule is called {name:?}: give auto, fixed-N with N one of {GRID:?}, \
                         aimd, gradient2 or inspect"
                    )
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for rule in Rule::all() {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert!("fixed-7".parse::<Rule>().is_err());
        assert!(GRID.is_sorted() && FIXED.iter().all(|n| GRID.contains(n)));
    }

    #[test]
    fn a_fixed_number_stays() {
        for n in GRID {
            let Concurrency::Rule(rule) = Rule::Fixed(*n).concurrency() else {
                panic!("{n} is a rule");
            };
            assert_eq!(rule().limit(), *n);
        }
    }
}
