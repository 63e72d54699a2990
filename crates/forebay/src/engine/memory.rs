//! What a run remembers of its endpoint's limits from one session to the next.
//!
//! Owns when it is written down: with what is written anyway, seldom, and only when it is news.
//! Never judges what was learnt; the limiter does.

use std::time::Duration;

use crate::config::Learnt;
use crate::endpoint::BaseUrl;
use crate::journal::{History, Journal};

/// The least time between two records: a kill costs what was learnt in so long.
const SELDOM: Duration = Duration::from_secs(10);

/// What was written down, and when.
#[derive(Debug)]
pub(super) struct Memory {
    /// A hash of the base URL: another server has other limits.
    place: u32,
    written: Option<Learnt>,
    due: Duration,
}

impl Memory {
    /// Of the server at this base URL, with what earlier sessions wrote down.
    pub(super) fn new(base_url: &BaseUrl, history: &History) -> Memory {
        let BaseUrl {
            tls,
            host,
            port,
            path,
        } = base_url;
        let place = crc32fast::hash(format!("{tls} {host} {port} {path}").as_bytes());
        Memory {
            place,
            written: history.learnt(place),
            due: SELDOM,
        }
    }

    /// What was written down last, in this session or an earlier one.
    pub(super) fn written(&self) -> Option<Learnt> {
        self.written
    }

    /// Adds what was learnt to what this turn writes, when it is time to.
    pub(super) fn note(
        &mut self,
        now: Duration,
        learnt: impl Fn() -> Learnt,
        journal: &mut Journal,
    ) {
        // A record is no reason for a write of its own.
        if now >= self.due && journal.buffered() > 0 {
            self.due = now + SELDOM;
            self.note_last(learnt(), journal);
        }
    }

    /// Adds what was learnt to the last write of a session.
    pub(super) fn note_last(&mut self, learnt: Learnt, journal: &mut Journal) {
        if learnt.is_news_to(&self.written.unwrap_or_default()) {
            self.written = Some(learnt);
            journal.learnt(&learnt, self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::journal::{Attempt, Durability, Key, OpenOptionsForRun};

    fn journal(path: &Path) -> Journal {
        let settings = vec![("model".into(), "m".into())];
        let mut journal = Journal::open(OpenOptionsForRun {
            path: path.to_owned(),
            settings: settings.clone(),
            fresh: false,
            retry_failed: false,
            durability: Durability::Process,
        })
        .unwrap();
        journal.begin(&settings);
        journal.flush().unwrap();
        journal
    }

    fn memory(url: &str, journal: &Journal) -> Memory {
        Memory::new(&BaseUrl::parse(url).unwrap(), journal.history())
    }

    fn learnt(in_flight: f64) -> Learnt {
        Learnt {
            in_flight: Some(in_flight),
            ..Learnt::default()
        }
    }

    /// What a turn writes anyway.
    fn sent(journal: &mut Journal) {
        let attempt = Attempt {
            key: Key(1),
            index: 0,
            n: 1,
            body: None,
            along: false,
            split: false,
        };
        journal.sent(&attempt, None);
    }

    fn records(path: &Path) -> usize {
        let text = std::fs::read_to_string(path).unwrap();
        text.matches(r#"{"t":"learnt""#).count()
    }

    #[test]
    fn it_is_written_seldom_with_other_records_and_when_it_is_news() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut journal = journal(&path);
        let mut memory = memory("http://h/v1", &journal);
        let mut at = |seconds: f64, in_flight: f64, others: bool| {
            if others {
                sent(&mut journal);
            }
            let now = Duration::from_secs_f64(seconds);
            memory.note(now, || learnt(in_flight), &mut journal);
            journal.flush().unwrap();
            records(&path)
        };
        assert_eq!(at(1.0, 16.0, true), 0, "too soon");
        assert_eq!(at(10.0, 16.0, false), 0, "nothing else is written");
        assert_eq!(at(10.1, 16.0, true), 1);
        assert_eq!(at(15.0, 99.0, true), 1, "too soon again");
        assert_eq!(at(25.0, 17.0, true), 1, "no news");
        assert_eq!(at(36.0, 32.0, true), 2);
    }

    #[test]
    fn the_next_session_starts_with_it_at_the_same_server_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut first = journal(&path);
        let mut memory_of_first = memory("http://h/v1", &first);
        assert_eq!(memory_of_first.written(), None);
        memory_of_first.note_last(learnt(48.0), &mut first);
        first.flush().unwrap();
        drop(first);
        let next = journal(&path);
        let recalled = |url: &str| memory(url, &next).written();
        assert_eq!(recalled("http://h/v1"), Some(learnt(48.0)));
        assert_eq!(recalled("http://h:8000/v1"), None);
        assert_eq!(recalled("https://h/v1"), None);
    }
}
