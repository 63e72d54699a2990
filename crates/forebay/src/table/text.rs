//! Values of Arrow arrays as JSON text.
//!
//! Numbers, booleans and strings as such; decimals as strings, so that no digit is lost; moments
//! as ISO 8601; bytes as base64; lists, structs and maps as arrays and objects.

use std::io::Write as _;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::moment;
use crate::fields::push_json_str;

/// The type without encodings such as dictionaries, which only say how values are stored.
pub(crate) fn plain(data_type: &DataType) -> DataType {
    let inner = |field: &Field| {
        let data_type = plain(field.data_type());
        std::sync::Arc::new(field.clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(field) | DataType::ListView(field) => DataType::List(inner(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => {
            DataType::LargeList(inner(field))
        }
        DataType::FixedSizeList(field, n) => DataType::FixedSizeList(inner(field), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| inner(f)).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// Whether values of a plain type come back as they were from their JSON text.
pub(crate) fn survives(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            survives(field.data_type())
        }
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|field| survives(field.data_type()))
        }
        DataType::Map(entries, _) => match map_parts(entries) {
            Some((keys, values)) => {
                *keys.data_type() == DataType::Utf8 && survives(values.data_type())
            }
            None => false,
        },
        DataType::Null
        | DataType::Interval(_)
        | DataType::Union(..)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_) => false,
        _ => true,
    }
}

/// The key and value fields of a map's entries.
pub(super) fn map_parts(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// Whether its values are arrays or objects.
pub(crate) fn is_nested(data_type: &DataType) -> bool {
    data_type.is_nested() && !matches!(data_type, DataType::RunEndEncoded(..))
}

/// The type in words.
pub(crate) fn named(data_type: &DataType) -> String {
    match plain(data_type) {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            format!("list of {}", named(field.data_type()))
        }
        DataType::Struct(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
            format!("struct of {}", names.join(", "))
        }
        DataType::Map(..) => "map".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => "binary".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// Appends a value as JSON text on one line.
///
/// # Errors
/// When a value of a rare type cannot be shown.
pub(crate) fn push_value(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
) -> Result<(), ArrowError> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => show(out, array.as_boolean().value(row)),
        DataType::Utf8 => push_json_str(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => push_json_str(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => push_json_str(out, array.as_string_view().value(row)),
        DataType::Binary => bytes(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(out, array.as_fixed_size_binary().value(row)),
        DataType::List(_) => return list(out, &array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => return list(out, &array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => {
            return list(out, &array.as_fixed_size_list().value(row));
        }
        DataType::Struct(_) => return object(out, array, row),
        DataType::Map(..) => return map(out, array, row),
        data_type => {
            if !number(out, array, row) && !time(out, array, row) {
                let shown = ArrayFormatter::try_new(array, &FormatOptions::default())?;
                let text = shown.value(row).try_to_string()?;
                debug_assert!(!survives(data_type), "{data_type} has a form of its own");
                push_json_str(out, &text);
            }
        }
    }
    Ok(())
}

fn show(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{value}");
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    show(out, format_args!("\"{}\"", STANDARD.encode(value)));
}

fn float(out: &mut Vec<u8>, value: f64, shortest: impl serde::Serialize) {
    if value.is_finite() {
        let _ = serde_json::to_writer(out, &shortest);
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        let sign = if value < 0.0 { "-" } else { "" };
        show(out, format_args!("\"{sign}Infinity\""));
    }
}

/// Appends a number or a decimal; tells whether it was one.
fn number(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> bool {
    macro_rules! whole {
        ($kind:ty) => {
            show(out, array.as_primitive::<$kind>().value(row))
        };
    }
    macro_rules! decimal {
        ($kind:ty) => {{
            let text = array.as_primitive::<$kind>().value_as_string(row);
            push_json_str(out, &text)
        }};
    }
    match array.data_type() {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row).to_f32();
            float(out, value.into(), value);
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(out, value.into(), value);
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(out, value, value);
        }
        DataType::Decimal32(..) => decimal!(Decimal32Type),
        DataType::Decimal64(..) => decimal!(Decimal64Type),
        DataType::Decimal128(..) => decimal!(Decimal128Type),
        DataType::Decimal256(..) => decimal!(Decimal256Type),
        _ => return false,
    }
    true
}

/// Appends a date, a time or a duration; tells whether it was one.
fn time(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> bool {
    macro_rules! raw {
        ($kind:ty) => {
            i64::from(array.as_primitive::<$kind>().value(row))
        };
    }
    let data_type = array.data_type();
    let value = match data_type {
        DataType::Date32 => raw!(Date32Type),
        DataType::Date64 => raw!(Date64Type),
        DataType::Time32(TimeUnit::Second) => raw!(Time32SecondType),
        DataType::Time32(TimeUnit::Millisecond) => raw!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => raw!(Time64MicrosecondType),
        DataType::Time64(TimeUnit::Nanosecond) => raw!(Time64NanosecondType),
        DataType::Timestamp(TimeUnit::Second, _) => raw!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => raw!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => raw!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => raw!(TimestampNanosecondType),
        DataType::Duration(TimeUnit::Second) => raw!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => raw!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => raw!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => raw!(DurationNanosecondType),
        _ => return false,
    };
    match moment::text(value, data_type) {
        Some(text) => push_json_str(out, &text),
        None => show(out, value),
    }
    true
}

fn list(out: &mut Vec<u8>, items: &ArrayRef) -> Result<(), ArrowError> {
    out.push(b'[');
    for row in 0..items.len() {
        if row > 0 {
            out.push(b',');
        }
        push_value(out, items, row)?;
    }
    out.push(b']');
    Ok(())
}

fn object(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    let array = array.as_struct();
    out.push(b'{');
    for (n, (field, column)) in array.fields().iter().zip(array.columns()).enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_json_str(out, field.name());
        out.push(b':');
        push_value(out, column, row)?;
    }
    out.push(b'}');
    Ok(())
}

/// A map with strings as keys is an object, another one a list of its entries.
fn map(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    if *keys.data_type() != DataType::Utf8 {
        let entries: ArrayRef = std::sync::Arc::new(entries);
        return list(out, &entries);
    }
    out.push(b'{');
    for n in 0..entries.len() {
        if n > 0 {
            out.push(b',');
        }
        push_value(out, keys, n)?;
        out.push(b':');
        push_value(out, values, n)?;
    }
    out.push(b'}');
    Ok(())
}
