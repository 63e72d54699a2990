//! stub
use forebay::engine::Stats;
use std::sync::Arc;
pub(crate) enum ProgressMode {
    Bar,
    Plain,
    Json,
    None,
}
pub(crate) struct Progress;
impl Progress {
    pub(crate) fn start(_m: ProgressMode, _s: Arc<Stats>, _p: bool) -> Progress {
        Progress
    }
    pub(crate) fn note(&self, l: &str) {
        eprintln!("{l}")
    }
    pub(crate) fn finish(self) {}
}
