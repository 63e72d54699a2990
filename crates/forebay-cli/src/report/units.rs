//! stub
use forebay::money::Usd;
use std::time::Duration;
pub(crate) fn count(n: u64) -> String {
    n.to_string()
}
pub(crate) fn dollars(u: Usd) -> String {
    u.to_string()
}
pub(crate) fn duration(d: Duration) -> String {
    format!("{d:?}")
}
