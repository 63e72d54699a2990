//! Cuts lists into pages.
//!
//! Owns which entries a page shows. Never knows what a list holds.

use std::borrow::Cow;
use std::ops::Range;

use crate::dialect::ApiError;
use crate::http::param;

/// Which entries of a list a page shows, and whether there are more in its direction.
///
/// The page is after `after_id`, before `before_id`, or the first; `limit` long, from 1 to 1000.
pub(super) fn page(query: &str, ids: &[&str]) -> Result<(Range<usize>, bool), Box<ApiError>> {
    let limit = match param(query, "limit") {
        None => 20,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=1000).contains(limit))
            .ok_or_else(|| invalid("limit: Input should be a number between 1 and 1000"))?,
    };
    let place = |name: &str, id: &str| {
        let place = ids.iter().position(|known| *known == id);
        place.ok_or_else(|| invalid(format!("{name}: '{id}' is not in the list")))
    };
    if let Some(id) = param(query, "before_id") {
        let end = place("before_id", &id)?;
        let start = end.saturating_sub(limit);
        return Ok((start..end, start > 0));
    }
    let start = match param(query, "after_id") {
        Some(id) => place("after_id", &id)? + 1,
        None => 0,
    };
    let end = (start + limit).min(ids.len());
    Ok((start..end, end < ids.len()))
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Box<ApiError> {
    Box::new(ApiError::invalid(message))
}

/// Which entries of one of OpenAI's lists a page shows, and whether there are more.
///
/// The page is after `after`, or the first; `limit` long, from 1 to `most`.
pub(super) fn page_after(
    query: &str,
    ids: &[&str],
    default: usize,
    most: usize,
) -> Result<(Range<usize>, bool), Box<ApiError>> {
    let bad = |param: &'static str, message: String| {
        Box::new(ApiError {
            param: Some(param),
            ..ApiError::invalid(message)
        })
    };
    let limit = match param(query, "limit") {
        None => default,
        Some(limit) => {
            let limit = limit
                .parse()
                .ok()
                .filter(|limit| (1..=most).contains(limit));
            limit.ok_or_else(|| {
                let message = format!("Invalid 'limit': expected an integer from 1 to {most}.");
                bad("limit", message)
            })?
        }
    };
    let start = match param(query, "after") {
        None => 0,
        Some(id) => match ids.iter().position(|known| *known == id) {
            Some(at) => at + 1,
            None => {
                return Err(bad(
                    "after",
                    format!("Invalid 'after': no such object: {id}"),
                ));
            }
        },
    };
    let end = (start + limit).min(ids.len());
    Ok((start..end, end < ids.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_forth_and_back() {
        let ids = ["a", "b", "c", "d", "e"];
        let page = |query| page(query, &ids).map_err(|error| error.status);
        assert_eq!(page(""), Ok((0..5, false)));
        assert_eq!(page("limit=2"), Ok((0..2, true)));
        assert_eq!(page("limit=2&after_id=b"), Ok((2..4, true)));
        assert_eq!(page("limit=2&after_id=c"), Ok((3..5, false)));
        assert_eq!(page("limit=2&before_id=d"), Ok((1..3, true)));
        assert_eq!(page("limit=5&before_id=b"), Ok((0..1, false)));
        assert_eq!(page("limit=0"), Err(400));
        assert_eq!(page("after_id=x"), Err(400));
    }
}
