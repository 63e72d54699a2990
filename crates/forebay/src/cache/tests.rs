//! The cache by itself, over real files.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::endpoint::Dialect;

fn asked(body: &str) -> Asked {
    Asked {
        dialect: Dialect::Chat,
        path: "/v1/chat/completions".into(),
        body: body.to_owned().into(),
    }
}

fn kept(text: &str) -> Kept {
    Kept {
        status: 200,
        body: text.to_owned().into(),
        model: Some("m".into()),
        cost: Some(Usd::from_picos(5)),
    }
}

fn open(folder: &Path, limits: &CacheLimits) -> Cache {
    Cache::open(folder, "http://h/v1", limits).unwrap()
}

/// Keeps answers and waits until they are written.
fn keep(folder: &Path, limits: &CacheLimits, bodies: &[&str]) {
    let cache = open(folder, limits);
    for body in bodies {
        cache.keep(asked(body), kept(body));
    }
    cache.close();
    assert_eq!(cache.fault(), None);
}

use crate::money::Usd;

#[test]
fn an_answer_is_found_by_the_next_who_asks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/here");
    let limits = CacheLimits::default();
    keep(&folder, &limits, &[r#"{"a":1}"#]);
    let cache = open(&folder, &limits);
    assert_eq!(cache.find(&asked(r#"{"a":1}"#)), Some(kept(r#"{"a":1}"#)));
    assert_eq!(cache.find(&asked(r#"{"a":2}"#)), None);
    drop(cache);
    let stats = stats(&folder).unwrap();
    assert_eq!((stats.entries, stats.hits), (1, 1));
    assert_eq!(stats.saved, Usd::from_picos(5));
    assert!(stats.oldest_s.is_some() && stats.oldest_s == stats.newest_s);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600));
}

#[test]
fn whatever_changes_the_answer_changes_the_key() {
    let key = |scope: &str, asked: &Asked| Key::of(scope, asked);
    let base = asked(r#"{"model":"m","temperature":0}"#);
    let same = asked(r#"{"model":"m", "temperature":0,"stream":true,"stream_options":{"x":1}}"#);
    assert_eq!(key("s", &base), key("s", &same));
    let others = [
        key("t", &base),
        key("s", &asked(r#"{"model":"n","temperature":0}"#)),
        key("s", &asked(r#"{"model":"m","temperature":1}"#)),
        key("s", &asked(r#"{"model":"m","temperature":0,"top_p":1}"#)),
        key(
            "s",
            &Asked {
                dialect: Dialect::Responses,
                ..base.clone()
            },
        ),
        key(
            "s",
            &Asked {
                path: "/v2".into(),
                ..base.clone()
            },
        ),
    ];
    for other in others {
        assert_ne!(key("s", &base), other);
    }
    let of = |path: &str| {
        Key::of(
            "s",
            &Asked {
                path: path.into(),
                ..base.clone()
            },
        )
    };
    assert_eq!(
        of("/v1/models/m:streamGenerateContent?alt=sse"),
        of("/v1/models/m:generateContent")
    );
}

#[test]
fn the_least_recently_used_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let bodies: Vec<String> = (0..100).map(|n| format!("{{\"n\":{n}}}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let limits = CacheLimits {
        max_bytes: 10_000,
        ..CacheLimits::default()
    };
    for body in &bodies {
        keep(folder.path(), &limits, &[body]);
    }
    let stats = stats(folder.path()).unwrap();
    assert!((5_000..=10_000).contains(&stats.bytes), "{stats:?}");
    let cache = open(folder.path(), &limits);
    assert_eq!(cache.find(&asked(bodies[0])), None);
    assert!(cache.find(&asked(bodies[99])).is_some());
}

#[test]
fn what_is_too_old_is_not_used_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    keep(folder.path(), &CacheLimits::default(), &["{}"]);
    let past = Connection::open(folder.path().join(FILE)).unwrap();
    past.execute("UPDATE answers SET made = made - 100", [])
        .unwrap();
    let of = |seconds| CacheLimits {
        max_age: Duration::from_secs(seconds),
        ..CacheLimits::default()
    };
    assert!(open(folder.path(), &of(200)).find(&asked("{}")).is_some());
    assert!(open(folder.path(), &of(50)).find(&asked("{}")).is_none());
    keep(folder.path(), &of(50), &["{\"n\":1}"]);
    assert_eq!(stats(folder.path()).unwrap().entries, 1);
}

use rusqlite::Connection;

#[test]
fn a_damaged_file_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let limits = CacheLimits::default();
    fs::write(
        folder.path().join(FILE),
        "this is no database, but long enough to be one",
    )
    .unwrap();
    assert!(
        stats(folder.path())
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("clear")
    );
    let cache = open(folder.path(), &limits);
    assert!(cache.fault().unwrap().contains("damaged"));
    cache.keep(asked("{}"), kept("x"));
    cache.close();
    assert!(open(folder.path(), &limits).find(&asked("{}")).is_some());
    assert!(folder.path().join("answers.db.damaged").exists());
}

#[test]
fn damage_in_the_middle_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let bodies: Vec<String> = (0..200).map(|n| format!("{{\"n\":{n}}}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    keep(folder.path(), &CacheLimits::default(), &bodies);
    let path = folder.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let cache = open(folder.path(), &CacheLimits::default());
    for body in bodies {
        if let Some(found) = cache.find(&asked(body)) {
            assert_eq!(found, kept(body), "a wrong answer");
        }
    }
    assert!(cache.fault().is_some());
    drop(cache);
    clear(folder.path(), None).unwrap();
    keep(folder.path(), &CacheLimits::default(), &["{}"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Cache::open(&file, "s", &CacheLimits::default()).unwrap_err();
    assert!(
        error.to_string().contains("cannot use the cache in"),
        "{error}"
    );
}

#[test]
fn several_writers_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                let cache = open(path, &CacheLimits::default());
                for n in 0..100 {
                    let body = format!("{{\"n\":{n},\"w\":{writer}}}");
                    cache.keep(asked(&body), kept(&body));
                    cache.find(&asked(&body));
                }
                cache.close();
                assert_eq!(cache.fault(), None);
            });
        }
    });
    assert_eq!(stats(path).unwrap().entries, 400);
}

#[test]
fn clearing_tells_what_it_removed() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(clear(&missing, None).unwrap(), Cleared::default());
    assert_eq!(stats(&missing).unwrap(), CacheStats::default());
    assert!(!missing.exists());
    keep(folder.path(), &CacheLimits::default(), &["{}", "{\"n\":1}"]);
    let week = Some(Duration::from_secs(7 * 86_400));
    assert_eq!(clear(folder.path(), week).unwrap().entries, 0);
    let cleared = clear(folder.path(), None).unwrap();
    assert_eq!(cleared.entries, 2);
    assert!(cleared.bytes > 0);
    assert_eq!(stats(folder.path()).unwrap().entries, 0);
}

#[test]
fn large_answers_that_wait_for_a_slow_disk_fill_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path(), &CacheLimits::default());
    // Another process writes, so that nothing is written meanwhile.
    let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = bytes::Bytes::from(vec![b'x'; 8 << 20]);
    for n in 0..20 {
        let kept = Kept {
            body: body.clone(),
            ..kept("")
        };
        cache.keep(asked(&format!(r#"{{"n":{n}}}"#)), kept);
    }
    other.execute_batch("COMMIT").unwrap();
    cache.close();
    assert_eq!(cache.fault(), None);
    // 64 MiB, less what the requests take.
    assert_eq!(stats(folder.path()).unwrap().entries, 7);
}
