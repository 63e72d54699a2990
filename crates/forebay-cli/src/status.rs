//! stub
pub(crate) fn status(_p: &std::path::Path, _j: bool) -> Result<String, forebay::error::Error> {
    Ok(String::new())
}
