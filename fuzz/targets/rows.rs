//! Input files: items, their fields, their requests and rows.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use forebay::endpoint::{BaseUrl, Dialect, Endpoint, TokenField};
use forebay::item::{Item, Parameters};
use forebay::outcome::{Failure, FailureKind};
use forebay::provider;
use forebay::row::{RowBody, write_row};
use forebay::source::{InputSpec, Location, Prompting, Source};
use serde_json::value::RawValue;

/// File names of the formats.
const NAMES: [&str; 4] = ["rows.txt", "rows.jsonl", "rows.csv", "rows.tsv"];

/// Prompt templates: a field by itself, the fast way, and the template engine with everything
/// that it can do to a value.
const PROMPTS: [Option<&str>; 4] = [
    None,
    Some("{{ text }}"),
    Some("Say {{ text }} and {{ a }}"),
    Some(
        "{{ text|upper }}{% for x in a %}{{ loop.index }}{{ x }}{% endfor %}{{ a.b }}{{ a|tojson }}",
    ),
];

/// Reads an input file.
///
/// The first byte chooses the format, the template, and whether ids come from the field `id`.
pub fn input_rows(input: &[u8]) {
    let Some((form, file)) = input.split_first() else {
        return;
    };
    let form = usize::from(*form);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(NAMES[form % 4]);
    std::fs::write(&path, file).expect("written");
    let spec = InputSpec {
        locations: vec![Location::Path(path)],
        ..InputSpec::default()
    };
    let prompting = Prompting {
        prompt: PROMPTS[form / 4 % 4].map(str::to_owned),
        system: (form / 16 % 2 == 1).then(|| "You know {{ text }}.".to_owned()),
        images: Vec::new(),
        id_field: (form / 32 % 2 == 1).then(|| "id".to_owned()),
        parameters: Arc::new(Parameters {
            model: "m".to_owned(),
            ..Parameters::default()
        }),
        ..Prompting::default()
    };
    let Ok(mut source) = Source::open(spec, prompting) else {
        return;
    };
    let counted = source.n_items(&AtomicBool::new(false));
    let (mut n, mut bytes) = (0, 0);
    for item in source.by_ref() {
        // Compressed data may end in the middle.
        let Ok(item) = item else { return };
        assert_eq!(item.index, n, "items are numbered in order");
        bytes += item.fields.len();
        check_item(&item);
        n += 1;
    }
    assert_eq!(counted.unwrap_or(n), n, "items are counted right");
    // A byte takes at most six as an escape, and each CSV row repeats the header.
    if form % 4 < 2 && !is_compressed(file) {
        assert!(bytes <= 100 + 10 * file.len(), "{bytes} of {}", file.len());
    }
}

fn is_compressed(file: &[u8]) -> bool {
    file.starts_with(&[0x1f, 0x8b])
        || file.get(1..4) == Some(&[0xb5, 0x2f, 0xfd])
        || file.get(1..4) == Some(&[0x2a, 0x4d, 0x18])
}

fn check_item(item: &Item) {
    let fields = format!("{{{}}}", item.fields);
    assert!(
        !fields.contains(['\n', '\r']),
        "fields are on one line: {fields:?}"
    );
    let members: Result<&RawValue, _> = serde_json::from_str(&fields);
    members.unwrap_or_else(|error| panic!("{error}: {fields:?}"));
    match &item.request {
        Ok(request) => {
            for provider in Dialect::ALL {
                let endpoint = endpoint(provider);
                match provider::encode(&endpoint, request) {
                    Ok(encoded) => {
                        let json: Result<&RawValue, _> = serde_json::from_slice(&encoded.body);
                        json.expect("a request is JSON");
                        let again = provider::encode(&endpoint, request).expect("encoded before");
                        assert_eq!(again, encoded, "the same request gives the same bytes");
                    }
                    Err(failure) => assert_eq!(failure.kind, FailureKind::InvalidItem),
                }
            }
        }
        Err(failure) => {
            assert_eq!(failure.kind, FailureKind::InvalidItem);
            assert!(!failure.message.contains('\n'), "{:?}", failure.message);
        }
    }
    check_row(item);
}

/// Whatever the fields are, the row is one line of JSON, of which each name is a row's own.
fn check_row(item: &Item) {
    let (mut row, mut line) = (Vec::new(), Vec::new());
    RowBody {
        fields: &item.fields,
        outcome: &Err(Failure::new(FailureKind::Cancelled, "fuzzed")),
        cost: None,
        duration: None,
        first_chunk: None,
        attempts: 0,
        recalled: false,
        raw: None,
    }
    .write(&mut row);
    write_row(&mut line, item.custom_id.as_deref(), item.index, &row);
    assert_eq!(
        line.iter().position(|byte| *byte == b'\n'),
        Some(line.len() - 1)
    );
    let members = std::str::from_utf8(&line).expect("rows are text");
    let members = forebay::fields::members(members.trim_end());
    let has_surrogates = |line: &[u8]| {
        line.windows(3)
            .any(|part| part.eq_ignore_ascii_case(b"\\ud"))
    };
    match members {
        Ok(members) => {
            let errors = members.iter().filter(|(name, _)| name == "error").count();
            assert_eq!(errors, 1, "no field takes a member's place");
        }
        Err(error) => assert!(has_surrogates(&line), "{error}"),
    }
}

fn endpoint(provider: Dialect) -> Endpoint {
    Endpoint {
        name: "fuzz".to_owned(),
        dialect: provider,
        base_url: BaseUrl::parse("https://api.example.com/v1").expect("a good URL"),
        key: None,
        headers: Vec::new(),
        token_field: TokenField::MaxTokens,
        rate_headers: forebay::catalogue::RateHeaders::Unknown,
        seed: forebay::catalogue::Seed::None,
        http: forebay::endpoint::HttpVersion::Auto,
    }
}
