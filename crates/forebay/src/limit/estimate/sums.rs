//! How far the sum of what was expected is from the sum of what was used.
//!
//! Owns the level at which expected amounts are set aside, so that all that is set aside at a time
//! is close to all that will be used. A single answer's length is no matter: the amounts that are
//! in flight together are charged to one account, where long and short answers even out. What does
//! not even out is seen here: lengths that drift, and sums of few or very different lengths.

/// Share of the past that each new answer leaves: some 32 answers are remembered, half as many as
/// averages do, so that a drift shows before they have followed it.
const KEPT: f64 = 1.0 - 1.0 / 32.0;
/// Answers whose sum is compared with what was expected of them: about as many as are in flight
/// together, and the window for which the tests state what holds.
const BLOCK: u32 = 64;
/// Weight of the newest block in the mean of squared errors; some three are remembered, so that
/// a time of bad guesses is forgotten within 500 answers.
const BLOCK_WEIGHT: f64 = 1.0 / 3.0;
/// How far expectations may be corrected: a drift by more than this within the time of one answer
/// is no drift.
const CORRECTION: std::ops::RangeInclusive<f64> = 0.25..=4.0;
/// The largest margin, as a share of what is expected.
const MOST_MARGIN: f64 = 1.0;

/// What became of expectations of one amount, over all requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// Newest answers, older ones counting less: what they used, what was expected of them, and
    /// the squares of what a corrected expectation was off.
    used: f64,
    expected: f64,
    squares: f64,
    /// How many answers these stand for.
    answers: f64,
    block: Block,
    /// Mean of the squared errors of blocks, as shares of what was expected; `None` before the
    /// first block is full.
    block_error: Option<f64>,
}

/// Answers that are summed up to be compared.
#[derive(Debug, Clone, Default)]
struct Block {
    answers: u32,
    expected: f64,
    error: f64,
}

impl Sums {
    /// Notes what was used where this much was expected.
    pub(super) fn note(&mut self, expected: f64, used: f64) {
        let off = used - expected * self.correction();
        self.used = self.used * KEPT + used;
        self.expected = self.expected * KEPT + expected;
        self.squares = self.squares * KEPT + off * off;
        self.answers = self.answers * KEPT + 1.0;
        self.block.answers += 1;
        self.block.expected += expected;
        self.block.error += off;
        if self.block.answers == BLOCK {
            let block = std::mem::take(&mut self.block);
            let share = block.error / block.expected.max(1.0);
            let share = share.clamp(-MOST_MARGIN, MOST_MARGIN);
            let error = self.block_error.get_or_insert(share * share);
            *error += BLOCK_WEIGHT * (share * share - *error);
        }
    }

    /// How many times the expected amount is set aside.
    pub(super) fn level(&self) -> f64 {
        self.correction() + self.margin()
    }

    /// What expectations have to be multiplied by on the whole: 1 as long as chance explains by
    /// how much they were off.
    fn correction(&self) -> f64 {
        if self.expected <= 0.0 {
            return 1.0;
        }
        let off = self.used / self.expected - 1.0;
        // Each square is weighted like its answer, whose square it would have to be: half as much.
        let chance = (self.squares / 2.0).sqrt() / self.expected;
        let certain = (off.abs() - chance).max(0.0).copysign(off);
        (1.0 + certain).clamp(*CORRECTION.start(), *CORRECTION.end())
    }

    /// What is set aside beyond the corrected expectation, as a share of it: the usual error of a
    /// sum over a block.
    fn margin(&self) -> f64 {
        match self.block_error {
            Some(squared) => squared.sqrt(),
            // Before one was seen: that of as many independent answers.
            None if self.expected > 0.0 => {
                let each = (self.squares / self.answers).sqrt();
                let mean = self.expected / self.answers;
                (each / mean / f64::from(BLOCK).sqrt()).min(MOST_MARGIN)
            }
            None => 0.0,
        }
    }
}
