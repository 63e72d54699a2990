//! The type that fits every value of a column that comes without one.

use arrow_schema::DataType;
use serde_json::value::RawValue;

use crate::fields::as_str;

/// The largest integer up to which a double holds every one: 2^53.
const EXACT: u64 = 1 << 53;

/// How a column is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// As values of this type.
    Typed(DataType),
    /// As JSON text, since its values have no type in common.
    JsonText,
}

impl Kind {
    /// The type that the column has in a file.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Kind::Typed(data_type) => data_type.clone(),
            Kind::JsonText => DataType::Utf8,
        }
    }
}

/// What was seen of a column's values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    text: bool,
    boolean: bool,
    /// Integers that fit 64 bits with a sign.
    int: bool,
    negative: bool,
    /// Integers that fit 64 bits only without a sign.
    unsigned: bool,
    /// Integers that a double does not hold exactly.
    inexact: bool,
    float: bool,
    /// Arrays, objects, and whatever fits no other type.
    other: bool,
}

impl Seen {
    /// Sees one more value that is not null.
    pub(crate) fn see(&mut self, json: &RawValue) {
        match json.get().as_bytes().first() {
            Some(b'"') if as_str(json).is_some() => self.text = true,
            Some(b't' | b'f') => self.boolean = true,
            Some(b'-' | b'0'..=b'9') => self.see_number(json.get()),
            _ => self.other = true,
        }
    }

    fn see_number(&mut self, text: &str) {
        if text.contains(['.', 'e', 'E']) {
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() => self.float = true,
                _ => self.other = true,
            }
        } else if let Ok(value) = text.parse::<i64>() {
            self.int = true;
            self.negative |= value < 0;
            self.inexact |= value.unsigned_abs() > EXACT;
        } else if text.parse::<u64>().is_ok() {
            self.unsigned = true;
            self.inexact = true;
        } else {
            self.other = true;
        }
    }

    /// The type that loses none of them.
    pub(crate) fn kind(&self) -> Kind {
        let whole = self.int || self.unsigned;
        let number = whole || self.float;
        let kinds = [self.text, self.boolean, number];
        let n_kinds = kinds.into_iter().filter(|seen| *seen).count();
        if self.other || n_kinds > 1 {
            return Kind::JsonText;
        }
        Kind::Typed(match (self.boolean, self.float, whole) {
            (true, ..) => DataType::Boolean,
            (_, true, _) if self.inexact => return Kind::JsonText,
            (_, true, _) => DataType::Float64,
            (_, _, true) if self.unsigned && self.negative => return Kind::JsonText,
            (_, _, true) if self.unsigned => DataType::UInt64,
            (_, _, true) => DataType::Int64,
            (false, false, false) => DataType::Utf8,
        })
    }
}
