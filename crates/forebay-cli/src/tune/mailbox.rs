//! The two files through which `forebay tune` and a running job talk.
//!
//! Owns their names beside the journal, their members, and how they are written and read: whole,
//! by a rename, and only when they are the reader's own. Never decides what a request means.
//!
//! ```text
//! tune ── JOURNAL.tune: what is asked, with a nonce ──► job
//! tune ◄── JOURNAL.tuned: what held and what holds ──── job, which then removes the request
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use forebay::config::{Change, LimitChanges, Tuning};
use rustix::fs::OFlags;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::args;
use crate::report::limits::{self, InForceJson};

/// The version of what the files hold.
pub(crate) const VERSION: u32 = 1;
/// The longest file that is read: a hundred times what either of them holds.
const LONGEST: u64 = 64 * 1024;
/// Permission bits by which somebody else may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The user whom nothing is kept from.
const ROOT: u32 = 0;

/// What a job is asked to change; values are those of the flags, `None` leaves one as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) v: u32,
    /// Names the request, so that its answer is known.
    pub(crate) nonce: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    concurrency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rps: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tpm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    itpm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    otpm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rpd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_utilization: Option<String>,
}

/// The members of every request, whatever its version.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) nonce: String,
}

/// What a job says to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) v: u32,
    pub(crate) nonce: String,
    /// Why nothing was changed.
    pub(crate) error: Option<String>,
    /// What else there is to say, such as a wish that was cut.
    pub(crate) note: Option<String>,
    pub(crate) was: Option<InForceJson>,
    pub(crate) now: Option<InForceJson>,
}

impl Request {
    /// Asks for these changes.
    pub(crate) fn new(tuning: &Tuning) -> Request {
        fn text<T: ToString>(change: Option<Change<T>>) -> Option<String> {
            Some(match change? {
                Change::Lift => "none".into(),
                Change::To(to) => to.to_string(),
            })
        }
        let changes = &tuning.limits;
        Request {
            v: VERSION,
            nonce: format!("{:016x}", fastrand::u64(..)),
            concurrency: tuning.concurrency.map(limits::concurrency),
            rps: text(changes.rps),
            rpm: text(changes.rpm),
            tpm: text(changes.tpm),
            itpm: text(changes.itpm),
            otpm: text(changes.otpm),
            rpd: text(changes.rpd),
            target_utilization: tuning.target_utilization.map(|share| share.to_string()),
        }
    }

    /// The changes, under the bounds of the flags.
    ///
    /// # Errors
    /// When a value is none, or the request is of another version.
    pub(crate) fn tuning(&self) -> Result<Tuning, String> {
        if self.v != VERSION {
            return Err(format!("version {} is not known", self.v));
        }
        let rate = |text: &Option<String>| text.as_deref().map(args::rate_change).transpose();
        Ok(Tuning {
            concurrency: (self.concurrency.as_deref())
                .map(args::concurrency)
                .transpose()?,
            limits: LimitChanges {
                rps: rate(&self.rps)?,
                rpm: rate(&self.rpm)?,
                tpm: rate(&self.tpm)?,
                itpm: rate(&self.itpm)?,
                otpm: rate(&self.otpm)?,
                rpd: self.rpd.as_deref().map(args::day_change).transpose()?,
            },
            target_utilization: (self.target_utilization.as_deref())
                .map(args::utilization)
                .transpose()?,
        })
    }
}

/// The files of one journal.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) request: PathBuf,
    pub(crate) answer: PathBuf,
}

/// Why a file was not read.
#[derive(Debug, PartialEq)]
pub(crate) enum Unread {
    /// There is none.
    Absent,
    /// It is not one that the other side wrote.
    Foreign(String),
}

impl Mailbox {
    /// The files of this journal.
    pub(crate) fn of(journal: &Path) -> Mailbox {
        let beside = |suffix: &str| {
            let mut path = journal.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Mailbox {
            request: beside(".tune"),
            answer: beside(".tuned"),
        }
    }

    /// Removes what a job or a `forebay tune` left behind that is no more.
    pub(crate) fn clear(&self) {
        for path in [&self.request, &self.answer] {
            // What cannot be removed is somebody else's, and is told when it is read.
            let _ = fs::remove_file(path);
        }
    }

    /// Puts a request, unless another one waits to be taken; `false` then.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn ask(&self, request: &Request) -> std::io::Result<bool> {
        let new = write_new(&self.request, &request.nonce, request)?;
        // A link, unlike a rename, takes no other request's place.
        let put = match fs::hard_link(&new, &self.request) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links.
            Err(_) if fs::symlink_metadata(&self.request).is_ok() => Ok(false),
            Err(_) => fs::rename(&new, &self.request).map(|()| true),
        };
        let _ = fs::remove_file(&new);
        put
    }

    /// Puts an answer in the place of earlier ones.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn reply(&self, answer: &Answer) -> std::io::Result<()> {
        let new = write_new(&self.answer, &answer.nonce, answer)?;
        let put = fs::rename(&new, &self.answer);
        if put.is_err() {
            let _ = fs::remove_file(&new);
        }
        put
    }
}

/// Writes a file that only its owner may read, under a name of its own beside `path`.
fn write_new(path: &Path, nonce: &str, content: &impl Serialize) -> std::io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{nonce}"));
    let name = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)?;
    let written = serde_json::to_vec(content)
        .map_err(std::io::Error::from)
        .and_then(|json| file.write_all(&json));
    if written.is_err() {
        let _ = fs::remove_file(&name);
    }
    written.map(|()| name)
}

/// Reads a file that this user, root or `owner` wrote and nobody else could.
///
/// Never follows a link and never waits, whatever has been put there.
///
/// # Errors
/// When there is none, or it is not to be trusted.
pub(crate) fn read(path: &Path, owner: Option<u32>) -> Result<Vec<u8>, Unread> {
    let foreign = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Unread::Absent,
        _ => Unread::Foreign(error.to_string()),
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(foreign)?;
    check(&file, owner)?;
    let mut content = Vec::new();
    (&file)
        .take(LONGEST + 1)
        .read_to_end(&mut content)
        .map_err(foreign)?;
    match content.len() as u64 > LONGEST {
        true => Err(Unread::Foreign("it is too long".into())),
        false => Ok(content),
    }
}

fn check(file: &File, owner: Option<u32>) -> Result<(), Unread> {
    let foreign = |why: String| Err(Unread::Foreign(why));
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) => return foreign(error.to_string()),
    };
    let own = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return foreign("it is no file".into());
    }
    if ![Some(own), Some(ROOT), owner].contains(&Some(meta.uid())) {
        return foreign(format!("it belongs to the user {}", meta.uid()));
    }
    let mode = meta.mode() & 0o7777;
    if mode & WRITABLE_BY_OTHERS != 0 {
        return foreign(format!("others may write it (its mode is {mode:04o})"));
    }
    Ok(())
}

/// The members of a file's JSON.
///
/// # Errors
/// When it is no JSON of this kind.
pub(crate) fn parse<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn tuning() -> Tuning {
        Tuning {
            concurrency: Some(args::concurrency("auto:300").unwrap()),
            limits: LimitChanges {
                rpm: Some(Change::To(0.1)),
                rpd: Some(Change::Lift),
                ..LimitChanges::default()
            },
            target_utilization: Some(1.0 / 3.0),
        }
    }

    fn answer(nonce: &str) -> Answer {
        Answer {
            v: VERSION,
            nonce: nonce.into(),
            error: None,
            note: None,
            was: None,
            now: None,
        }
    }

    #[test]
    fn a_request_says_the_same_when_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(&folder.path().join("out.jsonl.journal"));
        let request = Request::new(&tuning());
        assert!(mailbox.ask(&request).unwrap());
        let read: Request = parse(&read(&mailbox.request, None).unwrap()).unwrap();
        assert_eq!(read, request);
        let told = read.tuning().unwrap();
        assert_eq!(format!("{told:?}"), format!("{:?}", tuning()));
        assert_eq!(
            mailbox.request.file_name().unwrap(),
            "out.jsonl.journal.tune"
        );
        mailbox.clear();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_request_takes_no_other_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(&folder.path().join("j"));
        let (first, second) = (Request::new(&tuning()), Request::new(&Tuning::default()));
        assert!(mailbox.ask(&first).unwrap());
        assert!(!mailbox.ask(&second).unwrap());
        let there: Request = parse(&read(&mailbox.request, None).unwrap()).unwrap();
        assert_eq!(there, first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_answer_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::of(&folder.path().join("j"));
        for nonce in ["aa", "bb"] {
            mailbox.reply(&answer(nonce)).unwrap();
            let there: Answer = parse(&read(&mailbox.answer, None).unwrap()).unwrap();
            assert_eq!(there, answer(nonce));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn values_keep_to_the_bounds_of_the_flags() {
        for bad in [
            r#"{"v":2,"nonce":"a"}"#,
            r#"{"v":1,"nonce":"a","concurrency":"0"}"#,
            r#"{"v":1,"nonce":"a","rpm":"-1"}"#,
            r#"{"v":1,"nonce":"a","rpd":"1.5"}"#,
            r#"{"v":1,"nonce":"a","target_utilization":"2"}"#,
        ] {
            let request: Request = parse(bad.as_bytes()).unwrap();
            assert!(request.tuning().is_err(), "{bad}");
        }
        for bad in ["", "[]", r#"{"v":1,"nonce":"a","tps":"5"}"#] {
            assert!(parse::<Request>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_somebody_else_may_have_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j.tune");
        assert_eq!(read(&path, None), Err(Unread::Absent));
        let is_foreign = || matches!(read(&path, None), Err(Unread::Foreign(_)));
        fs::write(&path, "{}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(is_foreign(), "writable by the group");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path, None).unwrap(), b"{}");
        let other = folder.path().join("other");
        fs::rename(&path, &other).unwrap();
        symlink(&other, &path).unwrap();
        assert!(is_foreign(), "a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(is_foreign(), "a folder");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b' '; LONGEST as usize + 1]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(is_foreign(), "longer than any request");
        fs::remove_file(&path).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(fifo.unwrap().success());
        assert!(is_foreign(), "a pipe, which nobody waits for");
    }
}
