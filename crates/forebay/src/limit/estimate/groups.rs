//! What requests of one kind used on the average.
//!
//! Owns the table of kinds, which is bounded: of a kind that has left it, what holds for all
//! requests is expected.

/// Share of the past that each new answer leaves: some 64 answers are remembered, so that an
/// average of lengths that differ by their mean is off by a tenth.
const KEPT: f64 = 1.0 - 1.0 / 64.0;
/// Kinds that are told apart: a run has one prompt and a few lengths of its input; a service a few
/// dozen prompts.
const MOST_GROUPS: usize = 64;
/// Answers that what is known of all requests counts for, next to the answers of a group: enough
/// that a first odd answer does not rule its group.
const ANSWERS_OF_ALL: f64 = 4.0;
/// Output tokens expected before anything was learnt and when no cap is given.
const FIRST_OUTPUT: f64 = 200.0;
/// Answers that this first guess counts for: short answers come first and say too little.
const FIRST_ANSWERS: f64 = 2.0;

/// A sum of amounts over a sum of what they belong to; newer answers count more.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    of: f64,
}

impl Mean {
    fn add(&mut self, amount: f64, of: f64) {
        self.sum = self.sum * KEPT + amount;
        self.of = self.of * KEPT + of;
    }

    /// The mean, when `other` is taken for as much as `weight` of it.
    fn beside(&self, other: f64, weight: f64) -> f64 {
        let of = self.of + weight;
        match of > 0.0 {
            true => (self.sum + other * weight) / of,
            false => other,
        }
    }
}

/// What answers used.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths {
    /// Input tokens, of those that were guessed.
    input: Mean,
    /// Output tokens, of answers.
    output: Mean,
}

/// A kind of requests, as far as it was learnt.
#[derive(Debug)]
struct Group {
    lengths: Lengths,
    /// The number of the answer that was learnt last.
    newest: u64,
}

/// Average lengths by kind of request, and of all requests.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Lengths,
    /// The groups' names; each stands where its group does.
    names: Vec<u64>,
    groups: Vec<Group>,
    answers: u64,
}

impl Groups {
    /// Real input tokens of a request of this kind that was guessed at `guess`.
    pub(super) fn input(&self, name: u64, guess: f64) -> f64 {
        let all = self.input_ratio();
        let ratio = self.find(name).map_or(all, |at| {
            let group = &self.groups[at].lengths.input;
            group.beside(all, ANSWERS_OF_ALL * guess)
        });
        guess * ratio
    }

    /// Real input tokens for each that is guessed, over all requests.
    pub(super) fn input_ratio(&self) -> f64 {
        self.all.input.beside(1.0, 0.0)
    }

    /// Output tokens of an answer to a request of this kind.
    pub(super) fn output(&self, name: u64) -> f64 {
        let all = self.all.output.beside(FIRST_OUTPUT, FIRST_ANSWERS);
        self.find(name).map_or(all, |at| {
            let group = &self.groups[at].lengths.output;
            group.beside(all, ANSWERS_OF_ALL)
        })
    }

    /// Learns from an answer of this kind; input that was not guessed or told is `None`.
    pub(super) fn learn(&mut self, name: u64, input: Option<(f64, f64)>, output: f64) {
        self.answers += 1;
        let at = self.place(name);
        let group = &mut self.groups[at];
        group.newest = self.answers;
        for lengths in [&mut self.all, &mut group.lengths] {
            if let Some((guess, real)) = input {
                lengths.input.add(real, guess);
            }
            lengths.output.add(output, 1.0);
        }
    }

    fn find(&self, name: u64) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }

    /// The place of a group; when there is none left, the one that was not met for longest goes.
    fn place(&mut self, name: u64) -> usize {
        if let Some(at) = self.find(name) {
            return at;
        }
        let group = Group {
            lengths: Lengths::default(),
            newest: self.answers,
        };
        if self.groups.len() < MOST_GROUPS {
            self.names.push(name);
            self.groups.push(group);
            return self.groups.len() - 1;
        }
        let places = self.groups.iter().enumerate();
        let oldest = places.min_by_key(|(_, group)| group.newest);
        let at = oldest.map_or(0, |(at, _)| at);
        self.names[at] = name;
        self.groups[at] = group;
        at
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
}
