//! Durations as profiles write them: `400ms`, `2s`, `5m`, `1h30m`.

use std::time::Duration;

use serde::de::{Deserialize as _, Deserializer, Error as _};

/// Reads a duration.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "{text:?} is no duration: give a number with a unit, such as 400ms, 2s, 5m or 1h30m"
        ))
    })
}

/// Reads a duration of zero or more.
fn parse(text: &str) -> Option<Duration> {
    let parsed: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(parsed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_no_sign() {
        assert_eq!(parse("400ms"), Some(Duration::from_millis(400)));
        assert_eq!(parse("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!([parse("-1s"), parse("5"), parse("")], [None, None, None]);
    }
}
