//! Parquet files as input.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field};

use super::*;

fn parquet_with(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    parquet_with(columns, WriterProperties::default())
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn tags() -> ArrayRef {
    let mut tags = ListBuilder::new(Int64Builder::new());
    tags.append_value([Some(7), Some(8)]);
    Arc::new(tags.finish())
}

/// Ten rows over several row groups.
fn ten() -> Vec<u8> {
    let texts: Vec<_> = (0..10).map(|n| format!("row {n}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let columns = vec![
        (
            "id",
            Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef,
        ),
        ("text", strings(&texts)),
    ];
    let small = WriterProperties::builder().set_max_row_group_row_count(Some(3));
    parquet_with(columns, small.set_compression(Compression::SNAPPY).build())
}

#[test]
fn rows_are_items_and_columns_are_fields() {
    let values = Int64Array::from(vec![Some(i64::MAX), None]);
    let columns = vec![
        ("text", strings(&["a\n\"b\"", "é"])),
        ("n", Arc::new(values) as ArrayRef),
    ];
    let items = items_of(
        "in.parquet",
        parquet(columns),
        prompt("{{ n }}: {{ text }}"),
    );
    assert_eq!(
        items.iter().map(said).collect::<Vec<_>>(),
        ["9223372036854775807: a\n\"b\"", "null: é"]
    );
    assert_eq!(
        items[0].fields,
        r#""text":"a\n\"b\"","n":9223372036854775807"#
    );
    assert_eq!(items[1].fields, r#""text":"é","n":null"#);
}

#[test]
fn offset_limit_key_and_count() {
    let files = Files::new();
    let paths = [files.add("a.parquet", ten()), files.add("b.parquet", ten())];
    let prompting = || Prompting {
        id_field: Some("id".into()),
        ..Prompting::default()
    };
    let spec = |offset, limit| InputSpec {
        offset,
        limit,
        ..spec(&paths)
    };
    let source = Source::open(spec(8, Some(4)), prompting()).unwrap();
    assert_eq!(source.columns(), ["id", "text"]);
    assert_eq!(source.n_items(&AtomicBool::new(false)), Some(4));
    let items = all(source);
    let ids: Vec<_> = items.iter().map(Item::id).collect();
    assert_eq!(ids, ["8", "9", "0", "1"]);
    assert_eq!(said(&items[2]), "row 0");
    let whole = Source::open(spec(0, None), prompting()).unwrap();
    assert_eq!(whole.n_items(&AtomicBool::new(false)), Some(20));
    assert_eq!(all(whole).len(), 20);
}

#[test]
fn categories_are_their_words() {
    let words: DictionaryArray<Int32Type> = vec!["x", "y", "x"].into_iter().collect();
    let columns = vec![("text", Arc::new(words) as ArrayRef)];
    let read = read("in.parquet", parquet(columns), Prompting::default());
    assert_eq!(read, ["x", "y", "x"]);
}

#[test]
fn a_list_of_messages_is_a_conversation() {
    let message: ArrayRef = Arc::new(StructArray::from(vec![
        (
            Arc::new(Field::new("role", DataType::Utf8, true)),
            strings(&["user"]),
        ),
        (
            Arc::new(Field::new("content", DataType::Utf8, true)),
            strings(&["hi"]),
        ),
    ]));
    let field = Arc::new(Field::new_list_field(message.data_type().clone(), true));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
    let list = arrow_array::ListArray::new(field, offsets, message, None);
    let columns = vec![("messages", Arc::new(list) as ArrayRef)];
    let read = read("in.parquet", parquet(columns), Prompting::default());
    assert_eq!(read, [r#"[{"role":"user","content":"hi"}]"#]);
}

/// A nested column in a template is named with its type before anything is sent.
#[test]
fn nested_columns_are_no_text() {
    let file = || parquet(vec![("tags", tags()), ("other", strings(&["x"]))]);
    let (message, hint) = refusal("in.parquet", file(), prompt("x {{- tags -}}"));
    assert_eq!(
        message,
        "the prompt template names the column `tags` of in.parquet, which is no text but list of int64"
    );
    assert!(hint.contains("{{ tags[0] }}"), "{hint}");
    let parts = "{{ tags[1] }}{% for tag in tags %} {{ tag }}{% endfor %}";
    assert_eq!(read("in.parquet", file(), prompt(parts)), ["8 7 8"]);
    let only = parquet(vec![("tags", tags())]);
    let (message, _) = refusal("in.parquet", only, Prompting::default());
    assert!(
        message.starts_with("the prompt names the column `tags`"),
        "{message}"
    );
    let keyed = Prompting {
        id_field: Some("tags".into()),
        ..prompt("{{ other }}")
    };
    let (message, _) = refusal("in.parquet", file(), keyed);
    assert!(
        message.starts_with("the items' key names the column `tags`"),
        "{message}"
    );
}

#[test]
fn bytes_are_no_text() {
    let bytes = BinaryArray::from(vec![&b"\xff"[..]]);
    let file = parquet(vec![("text", Arc::new(bytes) as ArrayRef)]);
    let (message, hint) = refusal("in.parquet", file.clone(), prompt("{{ text|upper }}"));
    assert!(
        message.ends_with("which is no text but binary"),
        "{message}"
    );
    assert!(hint.contains("string column"), "{hint}");
    let (message, _) = refusal("in.parquet", file, Prompting::default());
    assert!(
        message.starts_with("the prompt names the column `text`"),
        "{message}"
    );
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let whole = ten();
    let (message, hint) = refusal("in.parquet", "text\n".repeat(9), Prompting::default());
    assert_eq!(message, "in.parquet is not Parquet data");
    assert!(hint.contains("copied whole"), "{hint}");
    let (message, _) = refusal("in.parquet", "", Prompting::default());
    assert_eq!(message, "in.parquet is not Parquet data");
    let cut = &whole[..whole.len() / 2];
    let (message, _) = refusal("in.parquet", cut, Prompting::default());
    assert_eq!(message, "in.parquet ends before its Parquet footer");
    let mut encrypted = whole.clone();
    let end = encrypted.len() - 4;
    encrypted[end..].copy_from_slice(b"PARE");
    let (message, _) = refusal("in.parquet", encrypted, Prompting::default());
    assert_eq!(message, "in.parquet is an encrypted Parquet file");
    let mut damaged = whole.clone();
    damaged[end - 20..end - 4].fill(0xff);
    let (message, _) = refusal("in.parquet", damaged, Prompting::default());
    assert!(
        message.starts_with("in.parquet is a damaged Parquet file: "),
        "{message}"
    );
    let (message, hint) = refusal("in.txt", &whole, Prompting::default());
    assert_eq!(
        message,
        "in.txt is Parquet data, which its name does not say"
    );
    assert_eq!(hint, "read it with --format parquet");
    let none = parquet(vec![("text", strings(&[]))]);
    let (message, _) = refusal("in.parquet", none, Prompting::default());
    assert_eq!(message, "the input is empty");
}

#[test]
fn an_unknown_compression_is_named() {
    // The codec's number in the footer stands in for a file of another writer.
    let uncompressed = parquet(vec![("text", strings(&["a"]))]);
    let metadata = ::parquet::file::reader::SerializedFileReader::new(bytes::Bytes::from(
        uncompressed.clone(),
    ))
    .unwrap();
    let metadata = ::parquet::file::reader::FileReader::metadata(&metadata).clone();
    let column = metadata.row_group(0).column(0).clone();
    let column = column.into_builder().set_compression(Compression::LZ4_RAW);
    let group = metadata.row_group(0).clone().into_builder();
    let group = group.set_column_metadata(vec![column.build().unwrap()]);
    let metadata = metadata
        .into_builder()
        .set_row_groups(vec![group.build().unwrap()]);
    let mut file = uncompressed[..uncompressed.len() / 2].to_vec();
    ::parquet::file::metadata::ParquetMetaDataWriter::new(&mut file, &metadata.build())
        .finish()
        .unwrap();
    let (message, hint) = refusal("in.parquet", file, Prompting::default());
    assert_eq!(
        message,
        "in.parquet is compressed with lz4_raw, which cannot be read"
    );
    assert!(hint.contains("zstd"), "{hint}");
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let file = parquet(vec![("a", strings(&["x"])), ("a", strings(&["y"]))]);
    let (message, _) = refusal("in.parquet", file, Prompting::default());
    assert_eq!(message, "two columns of in.parquet have the name `a`");
}

#[test]
fn a_pipe_cannot_be_read_as_parquet() {
    let spec = |format| InputSpec {
        locations: vec![Location::Stdin],
        format,
        ..InputSpec::default()
    };
    for format in [None, Some(Format::Parquet)] {
        let stdin = || Box::new(std::io::Cursor::new(ten())) as Box<dyn std::io::Read + Send>;
        let error = Source::open_with(spec(format), Prompting::default(), stdin).unwrap_err();
        let message = error.to_string();
        assert!(
            message.starts_with("stdin cannot be read as Parquet"),
            "{message}"
        );
    }
}

#[test]
fn damage_anywhere_is_an_error_or_harmless() {
    let whole = ten();
    let files = Files::new();
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let path = files.add("in.parquet", damaged);
        let Ok(source) = Source::open(spec(&[path]), Prompting::default()) else {
            continue;
        };
        let read: Vec<_> = source.collect();
        // Nothing is lost in silence: all rows, or an error at the end.
        assert!(
            read.len() == 10 || read.last().is_some_and(Result::is_err),
            "byte {at}"
        );
    }
}

#[test]
fn types_are_known_when_all_files_agree() {
    let files = Files::new();
    let one = files.add("1.parquet", ten());
    let ids = strings(&["x"]);
    let other = parquet(vec![("id", ids), ("output", tags())]);
    let two = files.add("2.parquet", other);
    let lines = files.add("3.jsonl", "{\"text\":\"x\"}\n");
    let types = |paths: &[PathBuf]| {
        let source = Source::open(spec(paths), prompt("x")).unwrap();
        let columns = source.column_types().fields;
        columns.iter().map(|f| f.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(std::slice::from_ref(&one)), ["id", "text"]);
    assert_eq!(types(&[one.clone(), two]), ["text", "input_output"]);
    assert!(types(&[one, lines]).is_empty());
}
