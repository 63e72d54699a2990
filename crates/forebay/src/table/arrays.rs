//! JSON text as Arrow arrays: the way back of `text`.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray,
    GenericListArray, LargeBinaryArray, LargeStringArray, MapArray, OffsetSizeTrait,
    PrimitiveArray, StringArray, StringViewArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::parse::parse_decimal;
use arrow_schema::{DataType, FieldRef, Fields};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::moment;
use crate::fields::{self, as_str, members};

/// A JSON value of a column; `None` is null, or nothing at all.
pub(crate) type Cell<'a> = Option<&'a RawValue>;

/// A value does not fit its column's type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfit;

/// An array of this type of JSON values, exactly.
///
/// # Errors
/// When a value is not one of that type, or the type does not survive.
pub(crate) fn array_of(data_type: &DataType, cells: &[Cell<'_>]) -> Result<ArrayRef, Unfit> {
    macro_rules! whole {
        ($kind:ty) => {
            primitive::<$kind>(data_type, cells, |json| json.get().parse().ok())
        };
    }
    macro_rules! floats {
        ($kind:ty, $narrow:expr) => {
            primitive::<$kind>(data_type, cells, |json| float(json).map($narrow))
        };
    }
    Ok(match data_type {
        DataType::Boolean => {
            let values = each(cells, |json| json.get().parse::<bool>().ok())?;
            Arc::new(BooleanArray::from(values))
        }
        DataType::Int8 => whole!(Int8Type)?,
        DataType::Int16 => whole!(Int16Type)?,
        DataType::Int32 => whole!(Int32Type)?,
        DataType::Int64 => whole!(Int64Type)?,
        DataType::UInt8 => whole!(UInt8Type)?,
        DataType::UInt16 => whole!(UInt16Type)?,
        DataType::UInt32 => whole!(UInt32Type)?,
        DataType::UInt64 => whole!(UInt64Type)?,
        DataType::Float16 => {
            let narrow = <<Float16Type as ArrowPrimitiveType>::Native>::from_f64;
            floats!(Float16Type, narrow)?
        }
        DataType::Float32 => primitive::<Float32Type>(data_type, cells, |json| {
            json.get()
                .parse()
                .ok()
                .or_else(|| float(json).map(|v| v as f32))
        })?,
        DataType::Float64 => floats!(Float64Type, |value| value)?,
        DataType::Utf8 => Arc::new(StringArray::from_iter(each(cells, as_str)?)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from_iter(each(cells, as_str)?)),
        DataType::Utf8View => Arc::new(StringViewArray::from_iter(each(cells, as_str)?)),
        DataType::Binary => Arc::new(BinaryArray::from_iter(each(cells, bytes)?)),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from_iter(each(cells, bytes)?)),
        DataType::BinaryView => Arc::new(BinaryViewArray::from_iter(each(cells, bytes)?)),
        DataType::FixedSizeBinary(n) => {
            let values = each(cells, bytes)?.into_iter();
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values, *n);
            Arc::new(array.map_err(|_| Unfit)?)
        }
        DataType::Decimal32(p, s) => decimals::<Decimal32Type>(data_type, cells, (*p, *s))?,
        DataType::Decimal64(p, s) => decimals::<Decimal64Type>(data_type, cells, (*p, *s))?,
        DataType::Decimal128(p, s) => decimals::<Decimal128Type>(data_type, cells, (*p, *s))?,
        DataType::Decimal256(p, s) => decimals::<Decimal256Type>(data_type, cells, (*p, *s))?,
        DataType::Date32 | DataType::Time32(_) => {
            let days = moments(data_type, cells)?
                .into_iter()
                .map(|value| match value {
                    Some(value) => i32::try_from(value).map(Some).map_err(|_| Unfit),
                    None => Ok(None),
                });
            let days = days.collect::<Result<Vec<_>, _>>()?;
            cast(Arc::new(PrimitiveArray::<Int32Type>::from(days)), data_type)?
        }
        DataType::Date64
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_) => {
            let values = moments(data_type, cells)?;
            cast(
                Arc::new(PrimitiveArray::<Int64Type>::from(values)),
                data_type,
            )?
        }
        DataType::List(field) => lists::<i32>(field, cells)?,
        DataType::LargeList(field) => lists::<i64>(field, cells)?,
        DataType::FixedSizeList(field, n) => fixed_lists(field, *n, cells)?,
        DataType::Struct(fields) => structs(fields, cells)?,
        DataType::Map(entries, sorted) => maps(entries, *sorted, cells)?,
        _ => return Err(Unfit),
    })
}

/// A column of JSON values as they are written.
pub(crate) fn json_text(cells: &[Cell<'_>]) -> ArrayRef {
    let texts = cells.iter().map(|cell| cell.map(RawValue::get));
    Arc::new(StringArray::from_iter(texts))
}

/// Reads each value that there is.
fn each<'a, T>(
    cells: &[Cell<'a>],
    read: impl Fn(&'a RawValue) -> Option<T>,
) -> Result<Vec<Option<T>>, Unfit> {
    let read = |cell: &Cell<'a>| match cell {
        Some(json) => read(json).map(Some).ok_or(Unfit),
        None => Ok(None),
    };
    cells.iter().map(read).collect()
}

fn primitive<T: ArrowPrimitiveType>(
    data_type: &DataType,
    cells: &[Cell<'_>],
    read: impl Fn(&RawValue) -> Option<T::Native>,
) -> Result<ArrayRef, Unfit> {
    let values = each(cells, read)?;
    let array: PrimitiveArray<T> = values.into_iter().collect();
    Ok(Arc::new(array.with_data_type(data_type.clone())))
}

/// A number, or one of those that JSON has no number for.
fn float(json: &RawValue) -> Option<f64> {
    match json.get() {
        "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        text => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

fn bytes(json: &RawValue) -> Option<Vec<u8>> {
    STANDARD.decode(as_str(json)?.as_bytes()).ok()
}

fn decimals<T: DecimalType>(
    data_type: &DataType,
    cells: &[Cell<'_>],
    (precision, scale): (u8, i8),
) -> Result<ArrayRef, Unfit> {
    primitive::<T>(data_type, cells, |json| {
        let text = as_str(json)?;
        let value = parse_decimal::<T>(&text, precision, scale).ok()?;
        // A digit too many would be cut off in silence.
        (T::format_decimal(value, precision, scale) == text).then_some(value)
    })
}

fn moments(data_type: &DataType, cells: &[Cell<'_>]) -> Result<Vec<Option<i64>>, Unfit> {
    each(cells, |json| match as_str(json) {
        Some(text) => moment::value(&text, data_type),
        None => json.get().parse().ok(),
    })
}

/// The same numbers under a type that is stored as them.
fn cast(array: ArrayRef, data_type: &DataType) -> Result<ArrayRef, Unfit> {
    let data = array.to_data().into_builder().data_type(data_type.clone());
    Ok(arrow_array::make_array(data.build().map_err(|_| Unfit)?))
}

/// The items of all lists one after another, and how many each has.
fn flat<'a>(cells: &[Cell<'a>]) -> Result<(Vec<Cell<'a>>, Vec<usize>), Unfit> {
    let mut items = Vec::new();
    let mut lengths = Vec::with_capacity(cells.len());
    for cell in cells {
        let before = items.len();
        if let Some(json) = cell {
            let own: Vec<&RawValue> = fields::decode(json).map_err(|_| Unfit)?;
            items.extend(own.into_iter().map(present));
        }
        lengths.push(items.len() - before);
    }
    Ok((items, lengths))
}

/// A value, unless it is null.
fn present(json: &RawValue) -> Cell<'_> {
    (json.get() != "null").then_some(json)
}

fn validity(cells: &[Cell<'_>]) -> NullBuffer {
    cells.iter().map(Option::is_some).collect()
}

fn lists<O: OffsetSizeTrait>(field: &FieldRef, cells: &[Cell<'_>]) -> Result<ArrayRef, Unfit> {
    let (items, lengths) = flat(cells)?;
    let values = array_of(field.data_type(), &items)?;
    let offsets = OffsetBuffer::<O>::from_lengths(lengths);
    let array =
        GenericListArray::try_new(Arc::clone(field), offsets, values, Some(validity(cells)));
    Ok(Arc::new(array.map_err(|_| Unfit)?))
}

fn fixed_lists(field: &FieldRef, n: i32, cells: &[Cell<'_>]) -> Result<ArrayRef, Unfit> {
    let n_items = usize::try_from(n).map_err(|_| Unfit)?;
    let mut items = Vec::new();
    for cell in cells {
        let before = items.len();
        match cell {
            Some(json) => {
                let own: Vec<&RawValue> = fields::decode(json).map_err(|_| Unfit)?;
                items.extend(own.into_iter().map(present));
            }
            None => items.extend(std::iter::repeat_n(None, n_items)),
        }
        if items.len() - before != n_items {
            return Err(Unfit);
        }
    }
    let values = array_of(field.data_type(), &items)?;
    let array = FixedSizeListArray::try_new(Arc::clone(field), n, values, Some(validity(cells)));
    Ok(Arc::new(array.map_err(|_| Unfit)?))
}

fn structs(fields: &Fields, cells: &[Cell<'_>]) -> Result<ArrayRef, Unfit> {
    let mut columns = vec![Vec::with_capacity(cells.len()); fields.len()];
    for cell in cells {
        let members = match cell {
            Some(json) => members(json.get()).map_err(|_| Unfit)?,
            None => Vec::new(),
        };
        for (n, (field, column)) in fields.iter().zip(&mut columns).enumerate() {
            // Members are in the order of the fields when this library wrote them.
            let found = members.get(n).filter(|(name, _)| name == field.name());
            let found = found.or_else(|| members.iter().rfind(|(name, _)| name == field.name()));
            column.push(found.and_then(|(_, json)| present(json)));
        }
    }
    let arrays = fields.iter().zip(&columns);
    let arrays = arrays.map(|(field, cells)| array_of(field.data_type(), cells));
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let array = StructArray::try_new(fields.clone(), arrays, Some(validity(cells)));
    Ok(Arc::new(array.map_err(|_| Unfit)?))
}

fn maps(entries: &FieldRef, sorted: bool, cells: &[Cell<'_>]) -> Result<ArrayRef, Unfit> {
    let DataType::Struct(parts) = entries.data_type() else {
        return Err(Unfit);
    };
    let [key, value] = &parts[..] else {
        return Err(Unfit);
    };
    if *key.data_type() != DataType::Utf8 {
        return Err(Unfit);
    }
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let mut lengths = Vec::with_capacity(cells.len());
    for cell in cells {
        let own = match cell {
            Some(json) => members(json.get()).map_err(|_| Unfit)?,
            None => Vec::new(),
        };
        lengths.push(own.len());
        for (name, json) in own {
            keys.push(name);
            values.push(present(json));
        }
    }
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let values = array_of(value.data_type(), &values)?;
    let inner = StructArray::try_new(parts.clone(), vec![keys, values], None);
    let array = MapArray::try_new(
        Arc::clone(entries),
        OffsetBuffer::from_lengths(lengths),
        inner.map_err(|_| Unfit)?,
        Some(validity(cells)),
        sorted,
    );
    Ok(Arc::new(array.map_err(|_| Unfit)?))
}
