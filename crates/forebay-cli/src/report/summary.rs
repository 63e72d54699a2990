//! stub
use super::tally::Tally;
use forebay::event::Summary;
use forebay::journal::Totals;
use std::path::PathBuf;
pub(crate) struct Closing<'a> {
    pub summary: &'a Summary,
    pub tally: &'a Tally,
    pub earlier: &'a Totals,
    pub price_known: bool,
    pub price_date: &'a str,
    pub files: &'a [(String, PathBuf)],
    pub next: Option<String>,
    pub simulated: bool,
    pub items: Option<u64>,
}
pub(crate) fn text(c: &Closing<'_>) -> String {
    format!("{:?}\n", c.summary)
}
pub(crate) fn json(_c: &Closing<'_>) -> String {
    String::new()
}
