//! The pieces of a row's way, one at a time, for counting their instructions.
//!
//! ```text
//! scripts/instructions                      counts all pieces and compares them with the baseline
//! scripts/instructions --update             makes the counts the baseline
//! cargo bench -p forebay --bench pieces     only shows that the pieces run
//! ```
//! Owns what each piece works on; judges nothing. Callgrind counts while [`the_counted_calls`] runs
//! and at no other time, so that neither start nor warm-up is in the numbers.

mod parts;
mod whole;
mod wire;

/// Makes the state of a piece and gives what one call of it does.
type Make = fn() -> Box<dyn FnMut()>;

/// All pieces: name, calls that are counted, state. What happens now and then is in the count at
/// its true share.
const PIECES: [(&str, u32, Make); 8] = [
    ("prepare", 200, wire::prepare),
    ("decode", 200, wire::decode),
    ("sse", 50, wire::sse),
    ("stream", 50, wire::stream),
    ("limiter", 200, parts::limiter),
    ("journal", 200, parts::journal),
    ("row", 200, parts::row),
    ("run-of-100", 5, whole::run),
];

fn main() {
    // `cargo bench` adds a flag of its own.
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    if wanted.as_deref() == Some("list") {
        for (name, calls, _) in PIECES {
            println!("{name} {calls}");
        }
        return;
    }
    for (name, calls, make) in PIECES {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            run(make, calls);
            println!("{name}: {calls} calls");
        }
    }
}

/// Warms a piece up with a tenth of its calls, so that buffers have their size and what is found
/// out once is known, and then makes those that count.
fn run(make: Make, calls: u32) {
    let mut call = make();
    for _ in 0..calls.div_ceil(10) {
        call();
    }
    the_counted_calls(&mut call, calls);
}

/// What callgrind looks for by its name.
#[inline(never)]
fn the_counted_calls(call: &mut dyn FnMut(), calls: u32) {
    for _ in 0..calls {
        call();
    }
}
