//! Standard input and pipes.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::source::place::Input;

/// A pipe: gives out what was sent and waits for more until the sender is gone.
struct Pipe(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Pipe {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            match self.0.try_recv() {
                Ok(bytes) => self.1 = bytes,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(0),
                Err(std::sync::mpsc::TryRecvError::Empty) => panic!("reads more than is needed"),
            }
        }
        let n = out.len().min(self.1.len());
        out[..n].copy_from_slice(&self.1[..n]);
        self.1.drain(..n);
        Ok(n)
    }
}

fn pipe() -> (Sender<Vec<u8>>, Mutex<Option<Input>>) {
    let (sender, receiver) = channel();
    let input: Input = Box::new(Pipe(receiver, Vec::new()));
    (sender, Mutex::new(Some(input)))
}

fn open(
    input: &Mutex<Option<Input>>,
    format: Option<Format>,
    prompting: Prompting,
) -> Result<Source, Error> {
    let spec = InputSpec {
        locations: vec![Location::Stdin],
        format,
        ..InputSpec::default()
    };
    Source::open_with(spec, prompting, || input.lock().unwrap().take().unwrap())
}

fn whole(bytes: &[u8]) -> Mutex<Option<Input>> {
    Mutex::new(Some(Box::new(io::Cursor::new(bytes.to_vec()))))
}

#[test]
fn rows_of_a_pipe_come_as_soon_as_they_are_complete() {
    for (format, header, quote) in [
        (None, "", ""),
        (Some(Format::JsonLines), "", "\""),
        (Some(Format::Csv), "text\n", "\""),
    ] {
        let (sender, input) = pipe();
        let send = |text: String| sender.send(text.into_bytes()).unwrap();
        send(format!("{header}{quote}one"));
        send(format!("{quote}\n"));
        let mut source = open(&input, format, Prompting::default()).unwrap();
        assert_eq!(source.n_items(&AtomicBool::new(false)), None);
        let mut next = || said(&source.next().unwrap().unwrap());
        assert_eq!(next(), "one");
        send(format!("{quote}two{quote}\n{quote}thr"));
        assert_eq!(next(), "two");
        send(format!("ee{quote}\n"));
        assert_eq!(next(), "three");
        send(format!("{quote}four{quote}"));
        drop(sender);
        assert_eq!(next(), "four");
        assert!(source.next().is_none());
    }
}

#[test]
fn a_limit_ends_a_pipe_without_reading_on() {
    let (sender, input) = pipe();
    sender.send(b"one\ntwo\n".to_vec()).unwrap();
    let spec = InputSpec {
        locations: vec![Location::Stdin],
        limit: Some(2),
        ..InputSpec::default()
    };
    let stdin = || input.lock().unwrap().take().unwrap();
    let source = Source::open_with(spec, Prompting::default(), stdin).unwrap();
    assert_eq!(all(source).len(), 2);
    drop(sender);
}

#[test]
fn a_pipe_is_json_lines_when_it_begins_with_a_brace() {
    let kinds = |bytes: &[u8]| {
        let source = open(&whole(bytes), None, Prompting::default()).unwrap();
        all(source).iter().map(said).collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(b"\xef\xbb\xbf\r\n {\"text\": \"a\"}\n\"b\""),
        ["a", "b"]
    );
    assert_eq!(
        kinds(b"[1]\n{\"text\": \"a\"}\n"),
        ["[1]", "{\"text\": \"a\"}"]
    );
}

#[test]
fn faults_of_a_pipe_are_told_at_the_start() {
    let refusal = |bytes: &[u8], prompting| {
        let error = open(&whole(bytes), None, prompting).unwrap_err();
        error.to_string()
    };
    let none = Prompting::default;
    assert_eq!(refusal(b"", none()), "the input is empty");
    assert_eq!(refusal(b"\x1f\x8b\x08\0", none()), "stdin is gzip data");
    assert_eq!(
        refusal(b"\xff\xfea\0", none()),
        "stdin is UTF-16 text, not UTF-8"
    );
    assert_eq!(
        refusal(b"{\"text\": 1}\n{\"txet\": 2}\n", prompt("{{ txet }}")),
        "the prompt template names the field `txet`, which the input does not have"
    );
}

#[test]
fn messages_name_stdin() {
    let source = open(&whole(b"{\"text\": \"a\"}\n{"), None, Prompting::default()).unwrap();
    let items = all(source);
    assert_eq!(
        said(&items[1]),
        "! line 2 of stdin: malformed JSON at column 1: EOF while parsing an object"
    );
}

#[test]
fn a_pipe_is_spooled_to_be_checked() {
    let text = b"{\"text\": \"a\"}\n17\n{\"text\": \"b\"}\n";
    let mut source = open(&whole(text), None, Prompting::default()).unwrap();
    let report = source.check_all().unwrap();
    assert_eq!((report.items, report.invalid), (3, 1));
    assert_eq!(source.n_items(&AtomicBool::new(false)), Some(3));
    let items = all(source);
    assert_eq!(items.len(), 3);
    assert_eq!(said(&items[2]), "b");
}

#[test]
fn a_first_row_longer_than_the_look_is_not_lost() {
    let mut text = b"{\"text\": \"".to_vec();
    text.resize(3 << 20, b'x');
    text.extend_from_slice(b"\"}\n\"end\"\n");
    let source = open(&whole(&text), None, Prompting::default()).unwrap();
    assert_eq!(source.columns(), Vec::<String>::new());
    let items = all(source);
    assert_eq!(said(&items[0]).len(), (3 << 20) - 10);
    assert_eq!(said(&items[1]), "end");
}

#[test]
fn stdin_is_named_once() {
    let spec = InputSpec {
        locations: vec![Location::Stdin, Location::Stdin],
        ..InputSpec::default()
    };
    let error = Source::open(spec, Prompting::default()).unwrap_err();
    assert_eq!(error.to_string(), "stdin is named more than once as input");
}

#[test]
fn a_named_pipe_is_read_once() {
    let files = Files::new();
    let path = files.0.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || std::fs::write(path, "{\"text\": \"a\"}\n\"b\"\n").unwrap())
    };
    let source = Source::open(spec(&[path]), Prompting::default()).unwrap();
    let said: Vec<_> = all(source).iter().map(said).collect();
    writer.join().unwrap();
    assert_eq!(said, ["a", "b"]);
}
