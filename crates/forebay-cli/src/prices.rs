//! stub
pub(crate) fn prices(
    _t: &forebay::price::PriceTable,
    _p: Option<&str>,
    _j: bool,
) -> Result<String, forebay::error::Error> {
    Ok(String::new())
}
