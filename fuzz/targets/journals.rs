//! Journals: as they are, and with lines that get their checksums here.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use forebay::journal::{
    Durability, History, Journal, Key, Line, Lookup, OpenOptionsForRun, for_each,
};

/// Seconds since 1970, at which the journal is read.
const NOW: f64 = 1_795_000_000.0;

/// Reads a journal.
///
/// When the first byte is `+`, each line after it that has no checksum gets one, so that what is
/// behind the checksum is reached; otherwise the bytes are the journal.
pub fn journal(input: &[u8]) {
    let bytes = match input.split_first() {
        Some((b'+', lines)) => with_checksums(lines),
        _ => input.to_vec(),
    };
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&bytes).expect("written");
    check_records(&file, &bytes);
    check_open(&bytes);
    check_round_trip(input);
}

fn with_checksums(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = match line.strip_suffix(b"\n") {
            Some(body) => (body, &b"\n"[..]),
            None => (line, &b""[..]),
        };
        match body.strip_suffix(b"}") {
            Some(open) if !has_checksum(body) => {
                out.extend_from_slice(open);
                let sum = crc32fast::hash(open);
                let _ = write!(out, ",\"crc\":\"{sum:08x}\"}}");
            }
            Some(_) | None => out.extend_from_slice(body),
        }
        out.extend_from_slice(end);
    }
    out
}

fn has_checksum(body: &[u8]) -> bool {
    body.windows(8).any(|part| part == b",\"crc\":\"")
}

/// Whether the line at this place has a right checksum, by another way than the reader's.
fn is_right(bytes: &[u8], at: u64) -> bool {
    let rest = &bytes[at as usize..];
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line end");
    let body = &rest[..end - 18];
    rest[end - 18..end] == *format!(",\"crc\":\"{:08x}\"}}", crc32fast::hash(body)).as_bytes()
}

fn check_records(file: &File, bytes: &[u8]) {
    let mut places = Vec::new();
    let extent = for_each(file, |at, record| {
        assert!(is_right(bytes, at), "a record with a wrong checksum");
        places.push((
            at,
            record.t.to_owned(),
            record.key(),
            record.row.map(str::to_owned),
        ));
        Ok::<_, std::io::Error>(())
    })
    .expect("a file can be read");
    assert!(extent.end <= bytes.len() as u64);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(extent.damaged as usize + places.len() <= lines);
    let mut lookup = Lookup::new(file.try_clone().expect("another handle")).expect("a file");
    for (at, t, key, row) in places.iter().rev().chain(&places) {
        let record = lookup.record(*at).expect("a record is found again");
        assert_eq!((record.t, record.key()), (t.as_str(), *key));
        assert_eq!(record.row, row.as_deref());
    }
    let (history, again) = History::read(file, NOW).expect("a file can be read");
    assert_eq!((again.end, again.damaged), (extent.end, extent.damaged));
    let total = history.total();
    let _ = (
        total.failed_count(),
        total.usage,
        total.cost + total.at_risk,
    );
}

/// Opening cuts a torn end off and keeps the rest, or refuses what is no journal.
fn check_open(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("journal");
    std::fs::write(&path, bytes).expect("written");
    let options = OpenOptionsForRun {
        path: path.clone(),
        settings: Vec::new(),
        fresh: false,
        retry_failed: true,
        durability: Durability::Process,
    };
    let opened = Journal::open(options);
    // An empty file becomes a new journal, which begins with a record of its own.
    if opened.is_ok() && !bytes.is_empty() {
        let mut file = File::open(&path).expect("a journal");
        let left = file.seek(std::io::SeekFrom::End(0)).expect("a length") as usize;
        let kept = std::fs::read(&path).expect("a journal");
        assert_eq!(kept, bytes[..left], "nothing before the torn end changes");
    }
}

/// What is written is read again.
fn check_round_trip(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let key = Key::of("fuzz", input);
    let mut line = Vec::new();
    Line::new(&mut line, "done")
        .key(key)
        .plain("i", input.len())
        .text("id", &text)
        .end();
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&line).expect("written");
    let mut n = 0;
    let extent = for_each(&file, |_, record| {
        n += 1;
        assert_eq!(
            (record.key(), record.i),
            (Some(key), Some(input.len() as u64))
        );
        assert_eq!(record.id.as_deref(), Some(&*text));
        Ok::<_, std::io::Error>(())
    })
    .expect("a file can be read");
    assert_eq!((n, extent.end), (1, line.len() as u64));
}
