//! The scheduler by plain numbers.

use proptest::prelude::*;

use super::super::config::StepTime;
use super::super::prompt::Prompt;
use super::*;

/// An engine whose steps take a millisecond for each decoding sequence and each prefill token.
fn config() -> Batching {
    let line = vec![(0, 0.0), (1_000_000, 1_000_000.0)];
    Batching {
        max_num_batched_tokens: 64,
        kv_blocks: 64,
        block_size: 4,
        watermark: 0.0,
        step_time: StepTime::Table {
            decode: line.clone(),
            prefill: line,
        },
        ..Batching::default()
    }
}

struct Bench {
    scheduler: Scheduler,
    now: Duration,
    progress: Progress,
}

impl Bench {
    fn new(config: Batching) -> Bench {
        Bench {
            scheduler: Scheduler::new(config),
            now: Duration::ZERO,
            progress: Progress::default(),
        }
    }

    fn add(&mut self, prompt: u64, output: u64) -> usize {
        self.add_text(prompt, output, "")
    }

    fn add_text(&mut self, prompt: u64, output: u64, text: &str) -> usize {
        let block_size = self.scheduler.block_size;
        let hashes = match text {
            "" => Vec::new(),
            text => Prompt {
                tokens: prompt,
                text,
            }
            .hashes(block_size),
        };
        let request = Request {
            prompt,
            hashes,
            output,
            finish: Finish::Stop,
        };
        self.scheduler.submit(request, self.now).unwrap()
    }

    /// One step, in milliseconds; zero if there is nothing to do.
    fn step(&mut self) -> u64 {
        let Some(duration) = self.scheduler.begin(self.now) else {
            return 0;
        };
        self.now += duration;
        self.scheduler.end(self.now, &mut self.progress);
        duration.as_millis() as u64
    }

    fn produced(&self, slot: usize) -> u64 {
        self.scheduler.entry(slot).unwrap().produced
    }

    fn counts(&self) -> (usize, usize, usize) {
        let metrics = self.scheduler.metrics();
        (
            metrics.running,
            metrics.waiting,
            self.scheduler.blocks.free(),
        )
    }
}

#[test]
fn a_sequence_is_prefilled_and_then_decoded_a_token_a_step() {
    let mut bench = Bench::new(config());
    let slot = bench.add(10, 3);
    assert_eq!(bench.counts(), (0, 1, 64));
    assert_eq!((bench.step(), bench.produced(slot)), (10, 1));
    assert_eq!(bench.counts(), (1, 0, 61));
    assert_eq!((bench.step(), bench.produced(slot)), (1, 2));
    assert_eq!((bench.step(), bench.produced(slot)), (1, 3));
    assert_eq!(bench.progress.ended, [slot]);
    assert_eq!((bench.counts(), bench.step()), ((0, 0, 64), 0));

    let metrics = bench.scheduler.metrics();
    assert_eq!((metrics.prompt_tokens, metrics.generation_tokens), (10, 3));
    assert_eq!(metrics.count(Finish::Stop), 1);
    assert_eq!(metrics.between_tokens.count(), 2);
    assert_eq!(
        (
            metrics.first_token.count(),
            metrics.whole.count(),
            metrics.queued.count()
        ),
        (1, 1, 1)
    );
}

#[test]
fn chunked_prefill_bounds_every_step_and_decoding_goes_first() {
    let mut bench = Bench::new(config());
    let talker = bench.add(4, 9);
    assert_eq!(bench.step(), 4);
    let long = bench.add(150, 2);
    // One token for the one that decodes, 63 for the prompt, twice; then the 24 that are left.
    assert_eq!([bench.step(), bench.step(), bench.step()], [64, 64, 25]);
    assert_eq!((bench.produced(talker), bench.produced(long)), (4, 1));
    assert_eq!(bench.step(), 2);
    assert_eq!(bench.progress.ended, [long]);
}

#[test]
fn without_chunks_a_prompt_waits_for_a_step_that_has_room_for_all_of_it() {
    let mut bench = Bench::new(Batching {
        chunked_prefill: false,
        ..config()
    });
    assert_eq!(bench.scheduler.longest(), 64);
    let first = bench.add(40, 2);
    let second = bench.add(40, 2);
    assert_eq!(bench.step(), 40);
    assert_eq!((bench.produced(first), bench.produced(second)), (1, 0));
    assert_eq!(bench.step(), 41);
    assert_eq!((bench.produced(first), bench.produced(second)), (2, 1));
}

#[test]
fn no_more_run_than_may_and_who_waits_is_served_in_order() {
    let mut bench = Bench::new(Batching {
        max_num_seqs: 2,
        ..config()
    });
    let slots: Vec<usize> = (0..4).map(|_| bench.add(4, 1)).collect();
    bench.step();
    assert_eq!(
        (bench.progress.ended.clone(), bench.counts().1),
        (slots[..2].to_vec(), 2)
    );
    bench.step();
    assert_eq!(bench.progress.ended, slots);
}

#[test]
fn admission_leaves_the_watermark_free_and_growth_does_not() {
    let mut bench = Bench::new(Batching {
        kv_blocks: 10,
        watermark: 0.2,
        ..config()
    });
    assert_eq!(bench.scheduler.longest(), 32);
    let first = bench.add(28, 4);
    let second = bench.add(4, 1);
    bench.step();
    // Seven blocks and one are taken, two stay free; then the second one has ended.
    assert_eq!(bench.progress.ended, [second]);
    assert_eq!(bench.counts(), (1, 0, 3));
    // The first one grows by a block, and two must stay free: none is left for the third.
    let third = bench.add(8, 1);
    bench.step();
    assert_eq!((bench.counts(), bench.produced(third)), ((1, 1, 2), 0));
    bench.step();
    bench.step();
    assert_eq!(bench.progress.ended, [second, first]);
    bench.step();
    assert_eq!(bench.progress.ended, [second, first, third]);
}

#[test]
fn the_youngest_is_preempted_goes_to_the_front_and_is_computed_anew() {
    let mut bench = Bench::new(Batching {
        kv_blocks: 6,
        prefix_cache: false,
        ..config()
    });
    let old = bench.add(8, 9);
    let young = bench.add(8, 6);
    bench.step();
    let late = bench.add(4, 1);
    // Both grow by a block, and the six blocks are taken; nothing is left for the third.
    for _ in 0..4 {
        bench.step();
    }
    assert_eq!(bench.counts(), (2, 1, 0));
    assert_eq!((bench.produced(old), bench.produced(young)), (5, 5));
    // The old one needs its fourth block.
    assert_eq!(
        (bench.step(), bench.scheduler.metrics().preemptions),
        (1, 1)
    );
    assert_eq!(bench.counts(), (1, 2, 2));
    // The young one needs four blocks for its 13 tokens, and keeps the late one waiting.
    while bench.produced(old) < 9 {
        assert_eq!((bench.step(), bench.produced(late)), (1, 0));
    }
    // What it has said by now is part of what must be computed again.
    assert_eq!(bench.step(), 13 + 4);
    assert_eq!(bench.progress.ended, [old, young, late]);
    assert_eq!(bench.scheduler.metrics().preemptions, 1);
}

#[test]
fn the_prefix_cache_saves_prefill_and_says_so() {
    let mut bench = Bench::new(config());
    let text = "a system prompt that all have in common, and then a question: why?";
    let first = bench.add_text(16, 1, text);
    assert_eq!(bench.step(), 16);
    let again = bench.add_text(16, 1, text);
    let other = bench.add_text(14, 1, "a system prompt that is very much another one");
    // The last block of the first prompt is not asked for: one token at least is computed.
    assert_eq!(bench.step(), 4 + 10);
    let cached = |slot| bench.scheduler.entry(slot).unwrap().cached;
    assert_eq!(
        [cached(first), cached(again), cached(other)],
        [Some(0), Some(12), Some(4)]
    );
    let metrics = bench.scheduler.metrics();
    assert_eq!((metrics.prefix_queries, metrics.prefix_hits), (46, 16));

    let mut bench = Bench::new(Batching {
        prefix_cache: false,
        ..config()
    });
    for _ in 0..2 {
        bench.add_text(16, 1, text);
        assert_eq!(bench.step(), 16);
    }
    assert_eq!(bench.scheduler.metrics().prefix_queries, 0);
}

#[test]
fn sequences_of_one_step_share_their_beginning() {
    let mut bench = Bench::new(config());
    let text = "0123456789abcdef0123456789abcdef";
    bench.add_text(8, 1, text);
    bench.add_text(8, 1, text);
    assert_eq!(bench.step(), 8 + 4);
    assert_eq!(bench.counts(), (0, 0, 64));
}

#[test]
fn a_preempted_sequence_finds_what_is_left_of_its_own_blocks() {
    let mut bench = Bench::new(config());
    let slot = bench.add(8, 9);
    for _ in 0..5 {
        bench.step();
    }
    bench.scheduler.preempt_youngest();
    assert_eq!((bench.counts(), bench.produced(slot)), ((0, 1, 64), 5));
    // Twelve of its thirteen tokens stand in blocks that nobody has taken meanwhile.
    assert_eq!((bench.step(), bench.produced(slot)), (1, 6));
    assert_eq!(bench.scheduler.metrics().prefix_hits, 0);
}

#[test]
fn the_cap_counts_those_who_wait_and_those_who_run() {
    let mut bench = Bench::new(Batching {
        max_num_seqs: 1,
        max_num_queued_reqs: Some(2),
        ..config()
    });
    let first = bench.add(4, 2);
    bench.add(4, 2);
    bench.step();
    let request = Request {
        prompt: 4,
        hashes: Vec::new(),
        output: 1,
        finish: Finish::Stop,
    };
    let refused = bench.scheduler.submit(request.clone(), bench.now);
    assert_eq!(refused, Err(Refused::QueueFull));
    bench.scheduler.release(first);
    assert!(bench.scheduler.submit(request, bench.now).is_ok());
}

#[test]
fn what_can_never_fit_is_refused_and_an_answer_ends_where_it_no_longer_fits() {
    let mut bench = Bench::new(Batching {
        max_model_len: 20,
        ..config()
    });
    let request = |prompt| Request {
        prompt,
        hashes: Vec::new(),
        output: 50,
        finish: Finish::Stop,
    };
    let refused = bench.scheduler.submit(request(20), bench.now);
    assert_eq!(refused, Err(Refused::TooLong { longest: 20 }));
    let slot = bench.scheduler.submit(request(19), bench.now).unwrap();
    assert_eq!(bench.step(), 19);
    assert_eq!(bench.progress.ended, [slot]);
    assert_eq!(bench.scheduler.metrics().count(Finish::Length), 1);

    let tiny = Batching {
        kv_blocks: 3,
        ..config()
    };
    assert_eq!(Scheduler::new(tiny).longest(), 12);
}

#[test]
fn waiting_for_tokens_is_told_once_they_are_there() {
    let mut bench = Bench::new(config());
    let slot = bench.add(4, 3);
    assert_eq!(bench.scheduler.reach(slot, 0), Poll::Ready(()));
    assert_eq!(bench.scheduler.reach(slot, 2), Poll::Pending);
    bench.step();
    assert!(bench.progress.reached.is_empty());
    bench.step();
    assert_eq!(bench.progress.reached, [slot]);
    assert_eq!(bench.scheduler.reach(slot, 2), Poll::Ready(()));
    // More than there will be is the last one.
    assert_eq!(bench.scheduler.reach(slot, 99), Poll::Pending);
    bench.step();
    assert_eq!(bench.progress.reached, [slot, slot]);
    assert_eq!(bench.scheduler.reach(slot, 99), Poll::Ready(()));
}

#[derive(Clone, Debug)]
enum Act {
    Submit {
        prompt: u64,
        output: u64,
        text: usize,
    },
    Step,
    /// Drops a sequence between two steps, or within one.
    Drop(usize),
    DropInStep(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (1u64..70, 1u64..40, 0usize..4)
            .prop_map(|(prompt, output, text)| Act::Submit { prompt, output, text }),
        5 => Just(Act::Step),
        1 => any::<usize>().prop_map(Act::Drop),
        1 => any::<usize>().prop_map(Act::DropInStep),
    ];
    proptest::collection::vec(act, 1..150)
}

fn configs() -> impl Strategy<Value = Batching> {
    let numbers = (1usize..6, 1u64..80, 3u32..40, 1u32..6, 0.0f64..0.5);
    (numbers, any::<bool>(), any::<bool>()).prop_map(|(numbers, chunked, cache)| Batching {
        max_num_seqs: numbers.0,
        max_num_batched_tokens: numbers.1,
        kv_blocks: numbers.2,
        block_size: numbers.3,
        watermark: numbers.4,
        chunked_prefill: chunked,
        prefix_cache: cache,
        ..config()
    })
}

const TEXTS: [&str; 4] = [
    "",
    "the quick brown fox jumps over the lazy dog and over the fence",
    "the quick brown fox jumps over the lazy cat and over the fence",
    "something else",
];

/// Runs the acts, then everything to its end, and returns what each step took.
fn run(config: Batching, acts: &[Act]) -> Vec<u64> {
    let mut bench = Bench::new(config.clone());
    let mut alive = Vec::new();
    let mut steps = Vec::new();
    for act in acts {
        match *act {
            Act::Submit {
                prompt,
                output,
                text,
            } if prompt < bench.scheduler.longest() => {
                alive.push(bench.add_text(prompt, output, TEXTS[text]));
            }
            Act::Submit { .. } => {}
            Act::Step => steps.push(bench.step()),
            Act::Drop(which) => drop_one(&mut bench, &mut alive, which),
            Act::DropInStep(which) => {
                let step = bench.scheduler.begin(bench.now);
                drop_one(&mut bench, &mut alive, which);
                bench.now += step.unwrap_or_default();
                bench.scheduler.end(bench.now, &mut bench.progress);
            }
        }
        let entries = bench.scheduler.slots.iter().flatten();
        let held: usize = entries.map(|entry| entry.blocks.len()).sum();
        let used = config.kv_blocks as usize - bench.scheduler.blocks.free();
        assert!(used <= held && (config.prefix_cache || used == held));
        assert!(bench.scheduler.running.len() <= config.max_num_seqs);
    }
    loop {
        let step = bench.step();
        if step == 0 {
            break;
        }
        steps.push(step);
        assert!(steps.len() < 100_000, "the sequences never end");
    }
    for &slot in &alive {
        let entry = bench.scheduler.entry(slot).unwrap();
        assert_eq!((entry.place, entry.produced), (Place::Ended, entry.output));
        bench.scheduler.release(slot);
    }
    assert_eq!(bench.counts(), (0, 0, config.kv_blocks as usize));
    assert!(bench.scheduler.slots.iter().all(Option::is_none));
    steps
}

fn drop_one(bench: &mut Bench, alive: &mut Vec<usize>, which: usize) {
    if !alive.is_empty() {
        let slot = alive.swap_remove(which % alive.len());
        bench.scheduler.release(slot);
    }
}

proptest! {
    #[test]
    fn every_sequence_ends_and_no_block_leaks_and_the_same_acts_take_the_same_time(
        config in configs(),
        acts in acts(),
    ) {
        let first = run(config.clone(), &acts);
        prop_assert_eq!(first, run(config, &acts));
    }
}
