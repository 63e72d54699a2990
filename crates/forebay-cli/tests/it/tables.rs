//! Parquet in and out: typed columns that survive the way through a run.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    UInt64Type,
};
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::{Folder, items};
use crate::simulator::{Simulator, events};

/// A Parquet file of these columns.
fn write(folder: &Folder, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(folder.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The rows of a Parquet file.
fn read(folder: &Folder, name: &str) -> RecordBatch {
    let file = File::open(folder.path(name)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    as_one(&schema, &batches)
}

/// All batches as one.
fn as_one(schema: &Arc<arrow_schema::Schema>, batches: &[RecordBatch]) -> RecordBatch {
    match batches {
        [] => RecordBatch::new_empty(Arc::clone(schema)),
        [only] => only.clone(),
        _ => panic!("the tests' files are smaller than a batch"),
    }
}

fn names(batch: &RecordBatch) -> Vec<String> {
    let fields = batch.schema();
    fields.fields().iter().map(|f| f.name().clone()).collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|text| text.map(str::to_owned)).collect()
}

/// Columns of many types for three rows.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let list = vec![Some(vec![Some(1), None]), None, Some(vec![])];
    let price = PrimitiveArray::<Decimal128Type>::from(vec![Some(1999), None, Some(-5)]);
    let at = PrimitiveArray::<TimestampMicrosecondType>::from(vec![1_700_000_000_000_001; 3]);
    vec![
        ("text", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        (
            "id",
            Arc::new(PrimitiveArray::<Int64Type>::from(vec![10, 20, 30])),
        ),
        (
            "large",
            Arc::new(PrimitiveArray::<UInt64Type>::from(vec![
                Some(u64::MAX),
                None,
                Some(1),
            ])),
        ),
        (
            "score",
            Arc::new(PrimitiveArray::<Float64Type>::from(vec![
                0.1,
                f64::INFINITY,
                -0.0,
            ])),
        ),
        (
            "seen",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "price",
            Arc::new(price.with_precision_and_scale(12, 2).unwrap()),
        ),
        (
            "day",
            Arc::new(PrimitiveArray::<Date32Type>::from(vec![19_723, 0, -1])),
        ),
        ("at", Arc::new(at.with_timezone("UTC"))),
        (
            "blob",
            Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"", b"x"])),
        ),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(list)),
        ),
    ]
}

#[test]
fn every_column_comes_back_as_it_was() {
    let folder = Folder::new();
    write(&folder, "in.parquet", columns());
    let sim = Simulator::start(&["--latency", "0", "--answers", "echo"]);
    let arguments = [
        "in.parquet",
        "-o",
        "out.parquet",
        "--id-field",
        "id",
        "-p",
        "{{ text }} {{ day }} {{ price }}",
        "-q",
    ];
    sim.run(&folder, &arguments).ends(0);
    let out = read(&folder, "out.parquet");
    assert_eq!(
        names(&out),
        [
            "custom_id",
            "index",
            "text",
            "id",
            "large",
            "score",
            "seen",
            "price",
            "day",
            "at",
            "blob",
            "tags",
            "output",
            "error_kind",
            "error_status",
            "error_code",
            "error_message",
            "model",
            "finish_reason",
            "input_tokens",
            "output_tokens",
            "cached_input_tokens",
            "reasoning_tokens",
            "cost_usd",
            "duration_s",
            "attempts",
        ]
    );
    for (name, column) in columns() {
        let back = out.column_by_name(name).unwrap();
        assert_eq!(back.to_data(), column.to_data(), "{name}");
    }
    assert_eq!(
        texts(&out, "custom_id"),
        ["10", "20", "30"].map(|id| Some(id.to_owned()))
    );
    assert_eq!(
        texts(&out, "output")[0].as_deref(),
        Some("a 2024-01-01 19.99")
    );
    let attempts = out.column_by_name("attempts").unwrap();
    assert_eq!(attempts.as_primitive::<Int64Type>().values(), &[1, 1, 1]);
    assert!(
        out.column_by_name("cost_usd")
            .unwrap()
            .as_primitive::<Float64Type>()
            .value(0)
            > 0.0
    );
    let again = sim.run(&folder, &arguments[..arguments.len() - 1]).ends(0);
    again.says(&["out.parquet is complete"]);
}

#[test]
fn other_inputs_get_types_that_fit_every_value() {
    let lines = concat!(
        "{\"text\":\"a\",\"n\":1,\"f\":1,\"b\":true,\"mixed\":1,\"big\":9007199254740993}\n",
        "{\"text\":\"b\",\"n\":null,\"f\":0.5,\"mixed\":\"x\",\"list\":[1]}\n",
        "broken\n",
    );
    let folder = Folder::with("in.jsonl", lines);
    let sim = Simulator::quick();
    let arguments = ["in.jsonl", "-o", "out.parquet", "-q", "--raw"];
    sim.run(&folder, &arguments).ends(1);
    let out = read(&folder, "out.parquet");
    let schema = out.schema();
    let of = |name: &str| schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!(of("text"), DataType::Utf8);
    assert_eq!(of("n"), DataType::Int64);
    assert_eq!(of("f"), DataType::Float64);
    assert_eq!(of("b"), DataType::Boolean);
    assert_eq!(of("big"), DataType::Int64);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&out, "mixed"), [some("1"), some("\"x\""), None]);
    assert_eq!(texts(&out, "list"), [None, some("[1]"), None]);
    assert_eq!(
        texts(&out, "error_kind"),
        [None, None, some("invalid_item")]
    );
    let raw = texts(&out, "raw")[0].clone().unwrap();
    assert!(raw.starts_with('{'), "{raw}");
    assert_eq!(folder.rows("out.parquet.errors.jsonl").len(), 1);
    assert_eq!(folder.mode("out.parquet"), 0o600);
}

#[test]
fn cells_of_a_csv_stay_text() {
    let folder = Folder::with("in.csv", "text,code\na,007\nb,\n");
    let sim = Simulator::quick();
    sim.run(&folder, &["in.csv", "-o", "out.parquet", "-q"])
        .ends(0);
    let out = read(&folder, "out.parquet");
    assert_eq!(
        texts(&out, "code"),
        [Some("007".to_owned()), Some(String::new())]
    );
}

#[test]
fn parquet_becomes_json_lines() {
    let folder = Folder::new();
    write(&folder, "in.parquet", columns());
    let sim = Simulator::quick();
    let arguments = [
        "in.parquet",
        "-o",
        "out.jsonl",
        "-q",
        "--offset",
        "1",
        "--limit",
        "1",
    ];
    sim.run(&folder, &arguments).ends(0);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["at"], "2023-11-14T22:13:20.000001Z");
    assert_eq!(rows[0]["score"], "Infinity");
    assert_eq!(rows[0]["blob"], "");
    assert!(rows[0]["tags"].is_null());
}

#[test]
fn what_cannot_be_a_table_is_refused_before_anything_is_sent() {
    let folder = Folder::new();
    write(&folder, "in.parquet", columns());
    let mut sim = Simulator::quick();
    let run = |more: &[&str]| {
        let arguments = [&["in.parquet", "-o", "out.jsonl"], more].concat();
        sim.run(&folder, &arguments).ends(2)
    };
    run(&["-p", "{{ tags }}"]).says(&["the column `tags`", "list of int32", "hint:"]);
    run(&["-p", "{{ blob }}"]).says(&["the column `blob`", "binary", "hint:"]);
    run(&["-p", "{{ txt }}"]).says(&["names the field `txt`", "did you mean `text`"]);
    let completed = ["in.parquet", "-o", "out.parquet", "--order", "completed"];
    sim.run(&folder, &completed)
        .ends(2)
        .says(&["--order completed cannot append"]);
    let piped = sim.run(&folder, &["-", "--format", "parquet", "-o", "out.jsonl"]);
    piped
        .stdin("PAR1")
        .ends(2)
        .says(&["stdin cannot be read as Parquet", "hint:"]);
    assert!(sim.records().is_empty());
    assert_eq!(folder.names(), ["in.parquet"]);
}

#[test]
fn a_killed_run_goes_on_to_the_same_table() {
    const ROWS: usize = 200;
    let folder = Folder::new();
    let all = items(ROWS);
    let when: Vec<i64> = (0..).take(ROWS).map(|n| i64::MAX - n).collect();
    let when = PrimitiveArray::<TimestampMicrosecondType>::from(when);
    let big: Vec<i64> = (0..).take(ROWS).map(|n| i64::MAX - n).collect();
    let columns = || -> Vec<(&str, ArrayRef)> {
        vec![
            (
                "text",
                Arc::new(StringArray::from(all.lines().collect::<Vec<_>>())),
            ),
            (
                "big",
                Arc::new(PrimitiveArray::<Int64Type>::from(big.clone())),
            ),
            ("when", Arc::new(when.clone())),
        ]
    };
    write(&folder, "in.parquet", columns());
    let mut sim = Simulator::slow("10ms");
    let run = || {
        sim.run(
            &folder,
            &["in.parquet", "-o", "out.parquet", "-q", "-c", "8"],
        )
    };
    let killed = run().start();
    while !folder.has("out.parquet.journal")
        || folder
            .read("out.parquet.journal")
            .matches("\"t\":\"done\"")
            .count()
            < 20
    {
        std::thread::yield_now();
    }
    assert!(killed.kill());
    assert!(!folder.has("out.parquet"));
    run().ends(0);
    let out = read(&folder, "out.parquet");
    for (name, column) in columns() {
        let back = out.column_by_name(name).unwrap();
        assert_eq!(back.to_data(), column.to_data(), "{name}");
    }
    assert_eq!(
        out.schema().field_with_name("when").unwrap().data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, None)
    );
    let requests = events(&sim.records(), "request");
    assert!((ROWS..ROWS + 9).contains(&requests), "{requests}");
}

#[test]
fn a_run_of_no_good_row_is_a_table_too() {
    let folder = Folder::with("in.jsonl", "[1]\n[2]\n");
    let sim = Simulator::quick();
    sim.run(&folder, &["in.jsonl", "-o", "out.parquet", "-q"])
        .ends(1);
    let out = read(&folder, "out.parquet");
    assert_eq!(out.num_rows(), 2);
    assert_eq!(texts(&out, "output"), [None, None]);
}
