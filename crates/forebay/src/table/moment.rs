//! Dates, times and durations as ISO 8601 text, and back.
//!
//! A moment beyond the years that a calendar has stays the number that the file holds.

use arrow_schema::{DataType, TimeUnit};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// What a type's numbers count, in nanoseconds; `None` when it is no such type.
fn unit_of(data_type: &DataType) -> Option<i128> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    match data_type {
        DataType::Date32 => Some(DAY),
        DataType::Date64 => Some(1_000_000),
        DataType::Timestamp(of, _)
        | DataType::Time32(of)
        | DataType::Time64(of)
        | DataType::Duration(of) => Some(unit(of)),
        _ => None,
    }
}

/// A moment as text; `None` when it is out of the calendar's reach.
pub(super) fn text(value: i64, data_type: &DataType) -> Option<String> {
    let nanos = i128::from(value) * unit_of(data_type)?;
    Some(match data_type {
        DataType::Date32 => civil(nanos)?.date().to_string(),
        DataType::Date64 if nanos % DAY == 0 => civil(nanos)?.date().to_string(),
        DataType::Date64 | DataType::Timestamp(_, None) => civil(nanos)?.to_string(),
        DataType::Timestamp(_, Some(_)) => at(nanos)?.to_string(),
        DataType::Time32(_) | DataType::Time64(_) if (0..DAY).contains(&nanos) => {
            civil(nanos)?.time().to_string()
        }
        DataType::Duration(_) => duration(nanos)?.to_string(),
        _ => return None,
    })
}

/// The number that a column of this type shows as this text; `None` when there is none.
pub(super) fn value(shown: &str, data_type: &DataType) -> Option<i64> {
    let value = read(shown, data_type)?;
    // Readers are lenient: they leave out the time of a date, say.
    (text(value, data_type)? == shown).then_some(value)
}

fn read(text: &str, data_type: &DataType) -> Option<i64> {
    let nanos = match data_type {
        DataType::Date32 => nanos_of(text.parse::<Date>().ok()?.at(0, 0, 0, 0))?,
        DataType::Date64 | DataType::Timestamp(_, None) => {
            nanos_of(text.parse::<DateTime>().ok()?)?
        }
        DataType::Timestamp(_, Some(_)) => text.parse::<jiff::Timestamp>().ok()?.as_nanosecond(),
        DataType::Time32(_) | DataType::Time64(_) => text
            .parse::<Time>()
            .ok()?
            .duration_since(Time::midnight())
            .as_nanos(),
        DataType::Duration(_) => text.parse::<SignedDuration>().ok()?.as_nanos(),
        _ => return None,
    };
    let unit = unit_of(data_type)?;
    if nanos % unit != 0 {
        return None;
    }
    i64::try_from(nanos / unit).ok()
}

fn at(nanos: i128) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_nanosecond(nanos).ok()
}

fn civil(nanos: i128) -> Option<DateTime> {
    Some(at(nanos)?.to_zoned(TimeZone::UTC).datetime())
}

fn nanos_of(civil: DateTime) -> Option<i128> {
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_nanosecond())
}

fn duration(nanos: i128) -> Option<SignedDuration> {
    let seconds = i64::try_from(nanos / SECOND).ok()?;
    let rest = i32::try_from(nanos % SECOND).ok()?;
    Some(SignedDuration::new(seconds, rest))
}
