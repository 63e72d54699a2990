//! Tests of requests for embeddings and of their answers.

use std::sync::Arc;
use std::time::SystemTime;

use crate::headers::Headers;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::endpoint::Dialect;
use crate::item::{Content, Parameters, Request};
use crate::outcome::{Failure, FailureKind, Usage};
use crate::provider::tests::endpoint;
use crate::provider::{Answer, decode_vectors};

fn request(text: &str, change: impl FnOnce(&mut Parameters)) -> Request {
    let mut shared = Parameters {
        model: "m".into(),
        ..Parameters::default()
    };
    change(&mut shared);
    Request {
        shared: Arc::new(shared),
        system: None,
        content: Content::Prompt(text.to_owned()),
    }
}

fn extra(name: &str, json: &str) -> (String, Box<RawValue>) {
    let json = RawValue::from_string(json.to_owned()).unwrap();
    (name.to_owned(), json)
}

fn body(text: &str) -> Vec<u8> {
    encode(&request(text, |_| {})).unwrap()
}

/// What an answer with this body gives to a request for so many texts.
fn read(texts: usize, answer: &str) -> Result<Vectors, Failure> {
    let bodies: Vec<Vec<u8>> = (0..texts).map(|n| body(&n.to_string())).collect();
    let asked = pack(bodies.iter().filter_map(|body| InputOf::find(body)));
    let answer = Answer {
        status: 200,
        headers: &Headers::default(),
        body: answer.as_bytes(),
        now: SystemTime::UNIX_EPOCH,
    };
    decode_vectors(&endpoint(Dialect::Embeddings), &answer, &asked)
}

/// An answer with these vectors, each as JSON, at these indexes.
fn answer(vectors: &[(&str, &str)]) -> String {
    let data: Vec<String> = vectors
        .iter()
        .map(|(index, vector)| format!(r#"{{"index":{index},"embedding":{vector}}}"#))
        .collect();
    format!(
        r#"{{"data":[{}],"usage":{{"prompt_tokens":7}}}}"#,
        data.join(",")
    )
}

#[test]
fn a_request_is_written_member_by_member() {
    let text = |change: fn(&mut Parameters)| {
        String::from_utf8(encode(&request("a \"b\"", change)).unwrap()).unwrap()
    };
    assert_eq!(
        text(|_| {}),
        r#"{"model":"m","input":"a \"b\"","encoding_format":"base64"}"#
    );
    assert_eq!(
        text(|p| p.extra = vec![
            extra("dimensions", "256"),
            extra("encoding_format", "\"float\"")
        ]),
        r#"{"model":"m","input":"a \"b\"","dimensions":256,"encoding_format":"float"}"#
    );
}

#[test]
fn what_belongs_to_a_written_answer_is_refused() {
    type Change = fn(&mut Parameters);
    let cases: [(Change, &str); 6] = [
        (|p| p.max_tokens = Some(1), "cap on output tokens"),
        (|p| p.temperature = Some(0.0), "temperature"),
        (|p| p.top_p = Some(0.5), "top_p"),
        (|p| p.stop = vec!["x".into()], "stop texts"),
        (|p| p.stream = true, "stream"),
        (|p| p.extra = vec![extra("input", "\"x\"")], "\"input\""),
    ];
    for (change, word) in cases {
        let failure = encode(&request("text", change)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidItem);
        assert!(failure.message.contains(word), "{failure}");
    }
    let failure = encode(&request("", |_| {})).unwrap_err();
    assert!(failure.message.contains("empty"), "{failure}");
    let mut with_system = request("text", |_| {});
    with_system.system = Some("s".into());
    let failure = encode(&with_system).unwrap_err();
    assert!(failure.message.contains("system prompt"), "{failure}");
}

#[test]
fn requests_are_packed_in_order_and_only_when_all_else_is_equal() {
    let (one, two) = (body("one"), body("two [\"x\"]"));
    let parts = [&one, &two].map(|body| InputOf::find(body).unwrap());
    assert!(parts[0].fits(&parts[1]));
    assert_eq!(
        String::from_utf8(pack(parts)).unwrap(),
        r#"{"model":"m","input":["one","two [\"x\"]"],"encoding_format":"base64"}"#
    );
    for other in [
        r#"{"model":"n","input":"one","encoding_format":"base64"}"#,
        r#"{"model":"m","input":["one"],"encoding_format":"base64"}"#,
        r#"{"model":"m","input":"one"}"#,
    ] {
        let other = InputOf::find(other.as_bytes()).unwrap();
        assert!(!parts[0].fits(&other), "{other:?}");
    }
    assert_eq!(InputOf::find(b"{\"model\":\"m\"}"), None);
    assert_eq!(InputOf::find(b"no JSON"), None);
    assert_eq!(text_of(&two).as_deref(), Some("two [\"x\"]"));
}

#[test]
fn base64_and_decimals_are_read() {
    let vectors = |answer: &str| read(1, answer).unwrap().vectors;
    let numbers = vec![vec![1.0, -2.5, 0.15625]];
    assert_eq!(vectors(&answer(&[("0", "\"AACAPwAAIMAAACA+\"")])), numbers);
    assert_eq!(vectors(&answer(&[("0", "[1, -2.5, 1.5625e-1]")])), numbers);
    assert_eq!(
        vectors(&answer(&[("0", "\"AACAPwAAIMAAACA\\u002b\"")])),
        numbers
    );
    assert_eq!(
        vectors(r#"{"data":[{"embedding":[0.1]}]}"#),
        vec![vec![0.1f32]]
    );
}

#[test]
fn vectors_are_put_in_the_order_of_the_texts() {
    let mixed = answer(&[("2", "[2]"), ("0", "[0]"), ("1", "[1]")]);
    let read = read(3, &mixed).unwrap();
    assert_eq!(read.vectors, vec![vec![0.0], vec![1.0], vec![2.0]]);
    let usage = Usage {
        input_tokens: 7,
        ..Usage::default()
    };
    assert_eq!(read.usage, Some(usage));
}

#[test]
fn an_answer_that_is_not_what_was_asked_for_is_malformed() {
    let numbers = "[1,2]";
    for (texts, answer, words) in [
        (2, answer(&[("0", numbers)]), "1 embeddings for 2 texts"),
        (
            1,
            answer(&[("0", numbers), ("1", numbers)]),
            "2 embeddings for 1 texts",
        ),
        (
            2,
            answer(&[("0", numbers), ("0", numbers)]),
            "two embeddings of index 0",
        ),
        (
            2,
            answer(&[("0", numbers), ("2", numbers)]),
            "index 2 for 2 texts",
        ),
        (2, answer(&[("0", numbers), ("null", numbers)]), "no index"),
        (2, answer(&[("0", numbers), ("-1", numbers)]), "no index"),
        (
            2,
            answer(&[("0", numbers), ("1", "[1,2,3]")]),
            "of 2 and of 3 numbers",
        ),
        (1, answer(&[("0", "[1,null]")]), "neither base64 nor"),
        (1, answer(&[("0", "true")]), "neither base64 nor"),
        (1, answer(&[("0", "{}")]), "neither base64 nor"),
        (1, answer(&[("0", "[1e39]")]), "no finite number at place 0"),
        (
            1,
            answer(&[("0", "\"AACAPwAAwH8=\"")]),
            "no finite number at place 1",
        ),
        (1, answer(&[("0", "\"AACAPwAA\"")]), "6 bytes"),
        (1, answer(&[("0", "\"not base64!\"")]), "is not base64"),
        (1, answer(&[("0", "\"\"")]), "embedding 0 is empty"),
        (1, answer(&[("0", "[]")]), "embedding 0 is empty"),
        (1, answer(&[("0", "null")]), "embedding 0 is missing"),
        (1, r#"{"data":[null]}"#.into(), "is null"),
        (1, r#"{"data":[]}"#.into(), "no embeddings"),
        (1, r#"{"object":"list"}"#.into(), "no embeddings"),
        (1, r#"{"data":7}"#.into(), "unknown shape"),
    ] {
        let failure = read(texts, &answer).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Malformed, "{answer}");
        assert!(failure.message.contains(words), "{answer}: {failure}");
    }
}

proptest! {
    #[test]
    fn each_text_gets_its_own_numbers_whatever_they_are(
        rows in prop::collection::vec(prop::array::uniform3(-1e30f32..1e30), 1..20),
        seed: u64,
        base64: bool,
    ) {
        use base64::Engine as _;
        let mut data: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(index, row)| {
                let bytes: Vec<u8> = row.iter().flat_map(|n| n.to_le_bytes()).collect();
                let vector = match base64 {
                    true => format!("{:?}", base64::engine::general_purpose::STANDARD.encode(bytes)),
                    false => serde_json::to_string(row).unwrap(),
                };
                format!(r#"{{"index":{index},"embedding":{vector}}}"#)
            })
            .collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut data);
        let answer = format!(r#"{{"data":[{}]}}"#, data.join(","));
        let read = read(rows.len(), &answer).unwrap();
        let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
        prop_assert_eq!(read.vectors, rows);
    }

    #[test]
    fn a_packed_body_holds_every_items_own_body(
        texts in prop::collection::vec("\\PC{1,20}", 2..10),
    ) {
        let bodies: Vec<Vec<u8>> = texts.iter().map(|text| body(text)).collect();
        let packed = pack(bodies.iter().filter_map(|body| InputOf::find(body)));
        let value: serde_json::Value = serde_json::from_slice(&packed).unwrap();
        prop_assert_eq!(&value["input"], &serde_json::json!(texts));
        let place = InputOf::find(&packed).unwrap();
        prop_assert_eq!(place.count(), texts.len());
        for body in &bodies {
            prop_assert!(InputOf::find(body).unwrap().is_text());
        }
    }

    #[test]
    fn arbitrary_answers_never_panic(answer in "[\\[\\]{},:\"a-z0-9]{0,60}", texts in 1usize..4) {
        let _ = read(texts, &answer);
        let _ = read(texts, &format!(r#"{{"data":{answer}}}"#));
    }
}
