//! The response cache: opened for a run, looked at and cleared by `forebay cache`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay::cache::{self, Cache, CacheLimits};
use forebay::endpoint::Endpoint;
use forebay::error::Error;
use serde_json::json;

use crate::args::{CacheArgs, CacheClearArgs, CacheStatsArgs};
use crate::env_vars;
use crate::plan::Plan;
use crate::report::units;

/// The folder of this program's cache among those of others.
const NAME: &str = "forebay";

/// Headers that say who asks and who pays, which changes no answer.
const WHO_ASKS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "openai-organization",
    "openai-project",
];

/// Opens the cache that the flags ask for. What is wrong with it is told, and the run goes on
/// without it.
///
/// # Errors
/// When no folder can be told.
pub(crate) fn open(
    args: &CacheArgs,
    plan: &Plan,
    warn: impl Fn(&str),
) -> Result<Option<Arc<Cache>>, Error> {
    Ok(opened(args, plan, |_| true, warn)?.map(Arc::new))
}

/// Opens the cache to look at it only; none is made.
///
/// # Errors
/// When no folder can be told.
pub(crate) fn look(
    args: &CacheArgs,
    plan: &Plan,
    warn: impl Fn(&str),
) -> Result<Option<Cache>, Error> {
    Ok(opened(args, plan, cache::exists, warn)?.map(Cache::without_counting))
}

fn opened(
    args: &CacheArgs,
    plan: &Plan,
    wanted: impl Fn(&Path) -> bool,
    warn: impl Fn(&str),
) -> Result<Option<Cache>, Error> {
    let Some(folder) = &args.cache else {
        return Ok(None);
    };
    if plan.settings.embed.is_some() {
        return Err(Error::config("--cache does not keep vectors")
            .with_hint("leave out --cache, or --embed"));
    }
    let folder = folder_of(folder.as_deref())?;
    if !wanted(&folder) {
        return Ok(None);
    }
    let server = &plan.server;
    let usual = CacheLimits::default();
    let limits = CacheLimits {
        max_bytes: args.cache_max_size.unwrap_or(usual.max_bytes),
        max_age: args.cache_max_age.unwrap_or(usual.max_age),
    };
    // The simulated provider has another port each time.
    let mut scope = match server.is_simulated() {
        true => "sim".to_owned(),
        false => server.endpoint().base_url.to_string(),
    };
    push_headers(&mut scope, server.endpoint());
    match Cache::open(&folder, &scope, &limits) {
        Ok(cache) => Ok(Some(cache)),
        Err(error) => {
            warn(&format!("warning: {error}; going on without it"));
            Ok(None)
        }
    }
}

/// Adds the further headers that may change an answer, such as `anthropic-beta` or one by which a
/// gateway chooses a model.
fn push_headers(scope: &mut String, endpoint: &Endpoint) {
    let mut headers: Vec<_> = endpoint
        .headers
        .iter()
        .filter(|(name, _)| !WHO_ASKS.contains(&name.as_str()))
        .collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        scope.push_str(&format!("\n{name}: {value}"));
    }
}

/// Writes what is still to be written, and tells what went wrong in all, once.
pub(crate) fn close(cache: Option<&Arc<Cache>>, warn: impl Fn(&str)) {
    if let Some(cache) = cache {
        cache.close();
        if let Some(fault) = cache.fault() {
            warn(&format!("warning: the cache: {fault}"));
        }
    }
}

/// The folder that is named, or the usual one.
fn folder_of(named: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    // A relative path in the variable counts as none, as its specification says.
    let base = env_vars::read(env_vars::XDG_CACHE_HOME)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(env_vars::read(env_vars::HOME)?).join(".cache")));
    base.map(|base| base.join(NAME)).ok_or_else(|| {
        Error::config("there is no folder for the cache: neither HOME nor XDG_CACHE_HOME is set")
            .with_hint("name one: --cache=DIR, or --dir DIR")
    })
}

/// `forebay cache stats`.
///
/// # Errors
/// When the cache cannot be read.
pub(crate) fn stats(args: &CacheStatsArgs) -> Result<String, Error> {
    let folder = folder_of(args.dir.as_deref())?;
    let stats = cache::stats(&folder)?;
    let shown = folder.display().to_string();
    if args.json {
        let json = json!({
            "dir": shown,
            "entries": stats.entries,
            "bytes": stats.bytes,
            "hits": stats.hits,
            "saved_usd": stats.saved.dollars(),
            "oldest_s": stats.oldest_s,
            "newest_s": stats.newest_s,
        });
        return Ok(format!("{json}\n"));
    }
    if stats.entries == 0 && stats.hits == 0 {
        return Ok(format!("{shown} is empty\n"));
    }
    let when = |seconds: Option<i64>| match seconds.map(jiff::Timestamp::from_second) {
        Some(Ok(time)) => time.to_string(),
        _ => "-".to_owned(),
    };
    Ok(format!(
        "cache    {shown}\nanswers  {}\nbytes    {}\nhits     {}, saved about {}\noldest   {}\nnewest   {}\n",
        units::count(stats.entries),
        units::count(stats.bytes),
        units::count(stats.hits),
        units::dollars(stats.saved),
        when(stats.oldest_s),
        when(stats.newest_s),
    ))
}

/// `forebay cache clear`.
///
/// # Errors
/// When the cache cannot be changed.
pub(crate) fn clear(args: &CacheClearArgs) -> Result<String, Error> {
    let folder = folder_of(args.dir.as_deref())?;
    let cleared = cache::clear(&folder, args.older_than)?;
    let shown = folder.display().to_string();
    if args.json {
        let json = json!({"dir": shown, "removed": cleared.entries, "bytes": cleared.bytes});
        return Ok(format!("{json}\n"));
    }
    Ok(format!(
        "{} removed from {shown}, {} bytes\n",
        units::counted(cleared.entries, "answer"),
        units::count(cleared.bytes)
    ))
}
