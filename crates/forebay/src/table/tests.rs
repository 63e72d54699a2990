//! Values go through JSON text and come back as they were.

use std::sync::Arc;

use arrow_array::builder::{
    Int64Builder, ListBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder,
};
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal128Type, Decimal256Type, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32SecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    FixedSizeListArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
    StructArray,
};
use arrow_buffer::i256;
use arrow_schema::{DataType, Field};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

/// The values as JSON text.
fn texts(array: &dyn Array) -> Vec<String> {
    let text = |row| {
        let mut out = Vec::new();
        push_value(&mut out, array, row).unwrap();
        String::from_utf8(out).unwrap()
    };
    (0..array.len()).map(text).collect()
}

/// An array of JSON texts.
fn back(data_type: &DataType, texts: &[String]) -> ArrayRef {
    let raw: Vec<&RawValue> = texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let cells: Vec<_> = raw
        .into_iter()
        .map(|json| (json.get() != "null").then_some(json))
        .collect();
    array_of(data_type, &cells).unwrap()
}

/// Checks that an array comes back, and what its values are as text.
#[track_caller]
fn comes_back(array: &dyn Array, shown: &[&str]) {
    let texts = texts(array);
    assert_eq!(texts, shown);
    assert!(survives(array.data_type()), "{}", array.data_type());
    let back = back(array.data_type(), &texts);
    assert_eq!(back.data_type(), array.data_type());
    // By their texts: a value that is not a number equals none.
    assert_eq!(back.to_data(), array.to_data());
}

fn numbers<T: ArrowPrimitiveType>(values: Vec<Option<T::Native>>) -> PrimitiveArray<T> {
    PrimitiveArray::from_iter(values)
}

#[test]
fn whole_numbers_keep_every_digit() {
    comes_back(
        &numbers::<Int64Type>(vec![Some(i64::MAX), None, Some(i64::MIN)]),
        &["9223372036854775807", "null", "-9223372036854775808"],
    );
    comes_back(
        &numbers::<UInt64Type>(vec![Some(u64::MAX), Some(0)]),
        &["18446744073709551615", "0"],
    );
    comes_back(&numbers::<Int8Type>(vec![Some(-128)]), &["-128"]);
    comes_back(&numbers::<Int16Type>(vec![Some(-1), None]), &["-1", "null"]);
    comes_back(&numbers::<Int32Type>(vec![Some(7)]), &["7"]);
    comes_back(&numbers::<UInt8Type>(vec![Some(255)]), &["255"]);
}

#[test]
fn floats_come_back_bit_by_bit() {
    comes_back(
        &numbers::<Float64Type>(vec![Some(0.1), Some(-0.0), Some(1e300), None]),
        &["0.1", "-0.0", "1e+300", "null"],
    );
    comes_back(
        &numbers::<Float64Type>(vec![Some(f64::INFINITY), Some(f64::NEG_INFINITY)]),
        &["\"Infinity\"", "\"-Infinity\""],
    );
    comes_back(&numbers::<Float32Type>(vec![Some(0.1)]), &["0.1"]);
    let half = <Float16Type as ArrowPrimitiveType>::Native::from_f32;
    comes_back(&numbers::<Float16Type>(vec![Some(half(1.5))]), &["1.5"]);
    let nan = numbers::<Float64Type>(vec![Some(f64::NAN)]);
    assert_eq!(texts(&nan), ["\"NaN\""]);
    let nan = back(&DataType::Float64, &texts(&nan));
    assert!(
        nan.as_any()
            .downcast_ref::<PrimitiveArray<Float64Type>>()
            .unwrap()
            .value(0)
            .is_nan()
    );
}

#[test]
fn decimals_keep_every_digit() {
    let of = |values: Vec<Option<i128>>, precision, scale| {
        numbers::<Decimal128Type>(values)
            .with_precision_and_scale(precision, scale)
            .unwrap()
    };
    comes_back(
        &of(vec![Some(1230), Some(-5), None, Some(0)], 10, 2),
        &["\"12.30\"", "\"-0.05\"", "null", "\"0.00\""],
    );
    comes_back(
        &of(vec![Some(10i128.pow(38) - 1)], 38, 0),
        &["\"99999999999999999999999999999999999999\""],
    );
    let small = numbers::<Decimal32Type>(vec![Some(125)]).with_precision_and_scale(9, 3);
    comes_back(&small.unwrap(), &["\"0.125\""]);
    let large = numbers::<Decimal256Type>(vec![Some(i256::from_i128(-7))]);
    comes_back(
        &large.with_precision_and_scale(76, 1).unwrap(),
        &["\"-0.7\""],
    );
    let short = DataType::Decimal128(10, 2);
    let long: Box<RawValue> = serde_json::from_str("\"1.005\"").unwrap();
    assert!(
        array_of(&short, &[Some(&long)]).is_err(),
        "a digit would be lost"
    );
}

#[test]
fn moments_are_iso_8601() {
    comes_back(
        &numbers::<Date32Type>(vec![Some(0), Some(19_723), Some(-1), None]),
        &["\"1970-01-01\"", "\"2024-01-01\"", "\"1969-12-31\"", "null"],
    );
    comes_back(
        &numbers::<Date64Type>(vec![Some(86_400_000), Some(1)]),
        &["\"1970-01-02\"", "\"1970-01-01T00:00:00.001\""],
    );
    comes_back(
        &numbers::<TimestampMicrosecondType>(vec![Some(1_700_000_000_000_001)]),
        &["\"2023-11-14T22:13:20.000001\""],
    );
    for zone in ["UTC", "+02:00", "Europe/Berlin"] {
        comes_back(
            &numbers::<TimestampNanosecondType>(vec![Some(1_700_000_000_000_000_001)])
                .with_timezone(zone),
            &["\"2023-11-14T22:13:20.000000001Z\""],
        );
    }
    // Beyond the years of a calendar.
    comes_back(
        &numbers::<TimestampSecondType>(vec![Some(i64::MAX), Some(-1)]),
        &["9223372036854775807", "\"1969-12-31T23:59:59\""],
    );
    comes_back(
        &numbers::<Time32SecondType>(vec![Some(3_661)]),
        &["\"01:01:01\""],
    );
    comes_back(
        &numbers::<Time64NanosecondType>(vec![Some(1), Some(-5)]),
        &["\"00:00:00.000000001\"", "-5"],
    );
    comes_back(
        &numbers::<DurationNanosecondType>(vec![Some(1_500_000_000), Some(-1)]),
        &["\"PT1.5S\"", "\"-PT0.000000001S\""],
    );
    let long = numbers::<DurationSecondType>(vec![Some(i64::MAX)]);
    let there = texts(&long);
    assert_eq!(
        back(&DataType::Duration(arrow_schema::TimeUnit::Second), &there).to_data(),
        long.to_data()
    );
}

#[test]
fn text_bytes_and_booleans() {
    let strings = vec![Some("a\"\n\u{1F600}"), None, Some("")];
    let shown = ["\"a\\\"\\n\u{1F600}\"", "null", "\"\""];
    comes_back(&StringArray::from(strings.clone()), &shown);
    comes_back(&LargeStringArray::from(strings.clone()), &shown);
    comes_back(&StringViewArray::from(strings), &shown);
    comes_back(
        &BinaryArray::from(vec![Some(&b"\xff\x00"[..]), None]),
        &["\"/wA=\"", "null"],
    );
    let fixed = vec![Some(b"ab"), None].into_iter();
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 2);
    comes_back(&fixed.unwrap(), &["\"YWI=\"", "null"]);
    comes_back(
        &BooleanArray::from(vec![Some(true), Some(false), None]),
        &["true", "false", "null"],
    );
}

#[test]
fn lists_structs_and_maps() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([]);
    comes_back(&lists.finish(), &["[1,null]", "null", "[]"]);
    let vectors = vec![Some(vec![Some(0.5), Some(2.0)]), None];
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2);
    comes_back(&vectors, &["[0.5,2.0]", "null"]);
    let fields = vec![
        Field::new("a", DataType::Utf8, true),
        Field::new("b", DataType::Date32, true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("x"), None, None])),
        Arc::new(numbers::<Date32Type>(vec![None, Some(0), None])),
    ];
    let valid = vec![true, true, false].into();
    comes_back(
        &StructArray::new(fields.into(), columns, Some(valid)),
        &[
            "{\"a\":\"x\",\"b\":null}",
            "{\"a\":null,\"b\":\"1970-01-01\"}",
            "null",
        ],
    );
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    maps.keys().append_value("k");
    maps.values().append_value(1);
    maps.append(true).unwrap();
    maps.append(false).unwrap();
    comes_back(&maps.finish(), &["{\"k\":1}", "null"]);
    let mut maps = MapBuilder::new(None, Int64Builder::new(), Int64Builder::new());
    maps.keys().append_value(5);
    maps.values().append_null();
    maps.append(true).unwrap();
    let maps = maps.finish();
    assert_eq!(texts(&maps), ["[{\"keys\":5,\"values\":null}]"]);
    assert!(!survives(maps.data_type()));
}

#[test]
fn encodings_are_not_types() {
    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    words.append_value("x");
    let words = words.finish();
    assert_eq!(plain(words.data_type()), DataType::Utf8);
    assert!(!is_nested(words.data_type()));
    let list = DataType::new_list(words.data_type().clone(), true);
    assert_eq!(plain(&list), DataType::new_list(DataType::Utf8, true));
    assert_eq!(named(&list), "list of string");
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |data_type: DataType, text: &str| {
        let json: Box<RawValue> = serde_json::from_str(text).unwrap();
        array_of(&data_type, &[Some(&json)]).is_err()
    };
    assert!(refused(DataType::Int8, "128"));
    assert!(refused(DataType::Int64, "1.0"));
    assert!(refused(DataType::Int64, "\"1\""));
    assert!(refused(DataType::Boolean, "1"));
    assert!(refused(DataType::Utf8, "1"));
    assert!(refused(DataType::Utf8, "\"\\ud800\""));
    assert!(refused(DataType::Date32, "\"2024-13-01\""));
    assert!(refused(DataType::Date32, "\"2024-01-01T01:00:00\""));
    assert!(refused(DataType::Binary, "\"!\""));
    assert!(refused(DataType::FixedSizeBinary(2), "\"YQ==\""));
    assert!(refused(DataType::new_list(DataType::Int64, true), "{}"));
    assert!(refused(
        DataType::new_list(DataType::Int64, false),
        "[null]"
    ));
    assert!(refused(
        DataType::new_fixed_size_list(DataType::Int64, 2, true),
        "[1]"
    ));
    assert!(refused(DataType::Null, "1"));
}

/// The kind of a column with these values.
fn kind(values: &[&str]) -> Kind {
    let mut seen = Seen::default();
    for value in values {
        let json: Box<RawValue> = serde_json::from_str(value).unwrap();
        seen.see(&json);
    }
    seen.kind()
}

#[test]
fn a_column_without_a_type_gets_one_that_loses_nothing() {
    let typed = Kind::Typed;
    assert_eq!(kind(&[]), typed(DataType::Utf8));
    assert_eq!(kind(&["\"a\"", "\"1\""]), typed(DataType::Utf8));
    assert_eq!(kind(&["1", "-9223372036854775808"]), typed(DataType::Int64));
    assert_eq!(
        kind(&["1", "18446744073709551615"]),
        typed(DataType::UInt64)
    );
    assert_eq!(kind(&["-1", "18446744073709551615"]), Kind::JsonText);
    assert_eq!(kind(&["18446744073709551616"]), Kind::JsonText);
    assert_eq!(kind(&["1", "2.5", "1e3"]), typed(DataType::Float64));
    assert_eq!(kind(&["9007199254740993", "2.5"]), Kind::JsonText);
    assert_eq!(kind(&["1e999"]), Kind::JsonText);
    assert_eq!(kind(&["true", "false"]), typed(DataType::Boolean));
    assert_eq!(kind(&["true", "1"]), Kind::JsonText);
    assert_eq!(kind(&["\"a\"", "1"]), Kind::JsonText);
    assert_eq!(kind(&["[1]"]), Kind::JsonText);
    assert_eq!(kind(&["\"\\ud800\""]), Kind::JsonText);
}

proptest! {
    #[test]
    fn a_column_takes_every_value_that_it_has_seen(
        values in prop::collection::vec("-?[0-9]{1,21}|-?[0-9]{1,3}\\.[0-9]{1,20}|true|\"a\"|\\[\\]", 0..6)
    ) {
        let values: Vec<Box<RawValue>> =
            values.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let mut seen = Seen::default();
        values.iter().for_each(|value| seen.see(value));
        let cells: Vec<Cell<'_>> = values.iter().map(|value| Some(&**value)).collect();
        if let Kind::Typed(data_type) = seen.kind() {
            prop_assert!(array_of(&data_type, &cells).is_ok());
        }
    }
}
