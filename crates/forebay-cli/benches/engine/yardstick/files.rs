//! The files of a run and nothing else: what the kernel takes for them at the least.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;

use super::Client;

/// Bytes of a row's records in the journal, by strace of `forebay run` over the bench's input.
const JOURNAL: usize = 1_824;
/// Bytes of a row in the output, likewise.
const OUTPUT: usize = 1_598;
/// Bytes of a line of the input, which is read by one thread and counted by another.
const INPUT: usize = 710;
/// Rows of one write to the journal, likewise: those of a turn.
const TURN: usize = 36;
/// Bytes read and written at once otherwise.
const BLOCK: usize = 256 << 10;

/// Writes a journal, reads it back, writes an output, and deletes the journal; an input of the
/// usual size is read twice. All of it in the current folder.
pub(super) fn run(rows: usize) {
    let [journal, output] = ["yardstick.journal", Client::LEFT].map(Path::new);
    write(journal, rows * JOURNAL, TURN * JOURNAL);
    for bytes in [INPUT, INPUT, JOURNAL] {
        read(journal, rows * bytes);
    }
    write(output, rows * OUTPUT, BLOCK);
    fs::remove_file(journal).expect("a file");
}

fn write(path: &Path, bytes: usize, at_once: usize) {
    let block = vec![b'x'; at_once];
    let mut file = File::create(path).expect("a file");
    for start in (0..bytes).step_by(at_once) {
        let part = &block[..at_once.min(bytes - start)];
        file.write_all(part).expect("room on the disk");
    }
}

fn read(path: &Path, bytes: usize) {
    let mut file = File::open(path).expect("a file").take(bytes as u64);
    let mut block = vec![0; BLOCK];
    while file.read(&mut block).expect("a file") > 0 {}
}
