//! The SQLite file: answers, how often each was of use, and sums over all.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use super::key::Key;
use crate::answers::Kept;
use crate::money::Usd;

/// The version of the tables.
const VERSION: i64 = 1;
/// How long a process waits for another one's write.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an entry beside its body, roughly: key, times, index entries.
const ENTRY_BYTES: u64 = 200;
/// Entries that are looked at at once when room is made.
const STEP: u64 = 64;
/// The share of the room that is left after making some, so that it is not made for each answer.
const KEPT_SHARE: f64 = 0.9;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    model TEXT,
    body BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    cost INTEGER,
    made INTEGER NOT NULL,
    used INTEGER NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS by_use ON answers (used);
CREATE INDEX IF NOT EXISTS by_age ON answers (made);
CREATE TABLE IF NOT EXISTS sums (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    bytes INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    saved INTEGER NOT NULL
);
INSERT OR IGNORE INTO sums VALUES (1, 0, 0, 0);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON answers
    BEGIN UPDATE sums SET bytes = bytes + new.bytes; END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON answers
    BEGIN UPDATE sums SET bytes = bytes - old.bytes; END;
";

/// What a cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers.
    pub entries: u64,
    /// Their bytes as they are stored.
    pub bytes: u64,
    /// How often answers were of use, removed ones included.
    pub hits: u64,
    /// What that saved, as far as the costs are known.
    pub saved: Usd,
    /// When the oldest answer was made, in seconds since 1970.
    pub oldest_s: Option<i64>,
    /// When the newest one was.
    pub newest_s: Option<i64>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleared {
    /// Answers.
    pub entries: u64,
    /// Their bytes as they were stored.
    pub bytes: u64,
}

/// A connection to the file.
#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
}

/// Whether the file is no database, damaged, or of another version.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    ) || matches!(error, rusqlite::Error::InvalidQuery)
}

impl Store {
    /// Opens the file, which is made for its owner only when it is missing.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Store> {
        // SQLite gives the files beside it the same permissions.
        let made = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path);
        drop(made);
        let mut db = Connection::open(path)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            // Another process may be at it; the file works in either mode.
            let _ = db.pragma_update(None, "journal_mode", "WAL");
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            change.execute_batch(TABLES)?;
            change.pragma_update(None, "user_version", VERSION)?;
            change.commit()?;
        } else if version != VERSION {
            return Err(rusqlite::Error::InvalidQuery);
        }
        Ok(Store { db })
    }

    /// The answer of this name, unless it was made before `oldest`.
    pub(super) fn find(&self, key: &Key, oldest: i64) -> rusqlite::Result<Option<Kept>> {
        let mut query = self.db.prepare(
            "SELECT status, model, body, cost FROM answers WHERE key = ?1 AND made >= ?2",
        )?;
        let found = query.query_row(params![key.0, oldest], |row| {
            let packed: Vec<u8> = row.get(2)?;
            let cost: Option<i64> = row.get(3)?;
            Ok((
                packed,
                Kept {
                    status: row.get(0)?,
                    model: row.get(1)?,
                    body: Bytes::new(),
                    cost: cost.map(|picos| Usd::from_picos(picos.into())),
                },
            ))
        });
        // An answer that cannot be unpacked was damaged on the disk: asking again mends it.
        Ok(found.optional()?.and_then(|(packed, kept)| {
            let body = zstd::decode_all(&*packed).ok()?;
            Some(Kept {
                body: body.into(),
                ..kept
            })
        }))
    }

    /// Makes several changes as one.
    pub(super) fn change<T>(
        &mut self,
        make: impl FnOnce(&Change<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let made = make(&Change(&change))?;
        change.commit()?;
        Ok(made)
    }

    /// Gives room in the file back to the disk.
    pub(super) fn shrink(&self) -> rusqlite::Result<()> {
        self.db.execute_batch("PRAGMA incremental_vacuum")
    }

    pub(super) fn stats(&self) -> rusqlite::Result<CacheStats> {
        let (entries, oldest_s, newest_s) = self.db.query_row(
            "SELECT count(*), min(made), max(made) FROM answers",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let sums = "SELECT bytes, hits, saved FROM sums";
        self.db.query_row(sums, [], |row| {
            Ok(CacheStats {
                entries: entries.unsigned_abs(),
                bytes: row.get::<_, i64>(0)?.unsigned_abs(),
                hits: row.get::<_, i64>(1)?.unsigned_abs(),
                saved: Usd::from_picos(row.get::<_, i64>(2)?.into()),
                oldest_s,
                newest_s,
            })
        })
    }

    /// Removes answers that were made before a time; all without one.
    pub(super) fn clear(&mut self, before: Option<i64>) -> rusqlite::Result<Cleared> {
        let before = before.unwrap_or(i64::MAX);
        let cleared = self.change(|change| {
            let bytes = change.bytes()?;
            let entries = change.remove_older(before)?;
            let bytes = bytes.saturating_sub(change.bytes()?);
            Ok(Cleared { entries, bytes })
        })?;
        self.shrink()?;
        Ok(cleared)
    }
}

/// Changes that are made together.
pub(super) struct Change<'a>(&'a Connection);

impl Change<'_> {
    /// Keeps an answer; one of the same name gives way.
    pub(super) fn keep(&self, key: &Key, kept: &Kept, now: i64) -> rusqlite::Result<()> {
        // Level 3 is zstd's default; the checksum tells damage.
        let Ok(body) = pack(&kept.body) else {
            return Ok(());
        };
        let bytes = body.len() as u64 + ENTRY_BYTES;
        self.0
            .prepare("DELETE FROM answers WHERE key = ?1")?
            .execute(params![key.0])?;
        let cost = kept.cost.and_then(|cost| i64::try_from(cost.picos()).ok());
        self.0
            .prepare(
                "INSERT INTO answers (key, status, model, body, bytes, cost, made, used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            )?
            .execute(params![
                key.0,
                kept.status,
                kept.model,
                body,
                i64::try_from(bytes).unwrap_or(i64::MAX),
                cost,
                now
            ])?;
        Ok(())
    }

    /// Notes that an answer was of use.
    pub(super) fn used(&self, key: &Key, now: i64) -> rusqlite::Result<()> {
        self.0
            .prepare("UPDATE answers SET used = ?2, hits = hits + 1 WHERE key = ?1")?
            .execute(params![key.0, now])?;
        self.0
            .prepare(
                "UPDATE sums SET hits = hits + 1, saved = saved +
                 coalesce((SELECT cost FROM answers WHERE key = ?1), 0)",
            )?
            .execute(params![key.0])?;
        Ok(())
    }

    /// Removes what was made before a time; tells how many.
    pub(super) fn remove_older(&self, before: i64) -> rusqlite::Result<u64> {
        let removed = self
            .0
            .execute("DELETE FROM answers WHERE made < ?1", params![before])?;
        Ok(removed as u64)
    }

    /// Removes the least recently used until there is some room again; tells whether any was.
    pub(super) fn make_room(&self, max_bytes: u64) -> rusqlite::Result<bool> {
        if self.bytes()? <= max_bytes {
            return Ok(false);
        }
        let enough = (max_bytes as f64 * KEPT_SHARE) as u64;
        while self.bytes()? > enough {
            let over = self.bytes()? - enough;
            let mut oldest = self
                .0
                .prepare("SELECT id, bytes FROM answers ORDER BY used, id LIMIT ?1")?;
            let oldest = oldest.query_map(params![STEP as i64], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            let mut freed = 0;
            let mut n = 0;
            for entry in oldest.collect::<rusqlite::Result<Vec<_>>>()? {
                n += 1;
                if freed >= over {
                    break;
                }
                self.0
                    .prepare("DELETE FROM answers WHERE id = ?1")?
                    .execute(params![entry.0])?;
                freed += entry.1;
            }
            if n == 0 {
                break;
            }
        }
        Ok(true)
    }

    fn bytes(&self) -> rusqlite::Result<u64> {
        let bytes: i64 = self
            .0
            .query_row("SELECT bytes FROM sums", [], |row| row.get(0))?;
        Ok(bytes.unsigned_abs())
    }
}

fn pack(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    std::io::Write::write_all(&mut encoder, body)?;
    encoder.finish()
}
