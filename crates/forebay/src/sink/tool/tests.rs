//! Files of other tools, as they are written.

use super::*;

const OK: &str = r#"{"output":"hi","error":null,"model":"m","http_status":200,"request_id":"req_7","raw":{"id":"x", "n":1.0}}"#;
const REFUSED: &str = r#"{"output":null,"error":{"kind":"bad_request","status":400,"code":null,"message":"too hot","attempts":1},"http_status":400,"raw":{"error":{"message":"too hot"}}}"#;
const LOST: &str = r#"{"output":null,"error":{"kind":"timeout_total","status":null,"code":null,"message":"late","attempts":2},"attempts":2}"#;
const EMPTY: &str = r#"{"output":null,"error":{"kind":"server_error","status":503,"code":null,"message":"none","attempts":2},"http_status":503}"#;
const FILTERED: &str = r#"{"output":null,"error":{"kind":"content_filtered","status":200,"code":null,"message":"no","attempts":1},"http_status":200,"raw":{"id":"y"}}"#;
const BROKEN: &str = r#"{"output":null,"error":{"kind":"malformed","status":200,"code":null,"message":"half","attempts":1},"http_status":200,"raw":"{\"id"}"#;

fn line(tool: Tool, part: Part, body: &str) -> String {
    let mut out = Vec::new();
    let mut lines = ToolLines::of(tool, part);
    lines.row(&mut out, Some("r-\"1\""), 7, body).unwrap();
    assert_eq!(lines.takes(body).unwrap(), !out.is_empty());
    String::from_utf8(out).unwrap()
}

/// A line of the OpenAI Batch API after its id.
fn openai(body: &str) -> String {
    let line = line(Tool::OpenAiBatch, Part::All, body);
    let rest = line.strip_prefix(r#"{"id":"batch_req_"#).unwrap();
    let (id, rest) = rest.split_at(32);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let rest = rest.strip_prefix(r#"","custom_id":"r-\"1\"","#).unwrap();
    rest.strip_suffix("}\n").unwrap().to_owned()
}

#[test]
fn openai_lines_hold_the_providers_own_body() {
    for (body, line) in [
        (
            OK,
            r#""response":{"status_code":200,"request_id":"req_7","body":{"id":"x", "n":1.0}},"error":null"#,
        ),
        (
            REFUSED,
            r#""response":{"status_code":400,"request_id":"","body":{"error":{"message":"too hot"}}},"error":null"#,
        ),
        (
            LOST,
            r#""response":null,"error":{"code":"timeout_total","message":"late"}"#,
        ),
        (
            EMPTY,
            r#""response":{"status_code":503,"request_id":"","body":null},"error":{"code":"server_error","message":"none"}"#,
        ),
        (
            FILTERED,
            r#""response":{"status_code":200,"request_id":"","body":{"id":"y"}},"error":null"#,
        ),
        (
            BROKEN,
            r#""response":{"status_code":200,"request_id":"","body":"{\"id"},"error":{"code":"malformed","message":"half"}"#,
        ),
    ] {
        assert_eq!(openai(body), line);
    }
}

#[test]
fn every_row_is_in_exactly_one_of_openais_files() {
    for (body, is_answer) in [
        (OK, true),
        (FILTERED, true),
        (REFUSED, false),
        (LOST, false),
        (EMPTY, false),
        (BROKEN, false),
    ] {
        let answers = line(Tool::OpenAiBatch, Part::Answers, body);
        let rest = line(Tool::OpenAiBatch, Part::Rest, body);
        assert_eq!(
            (!answers.is_empty(), rest.is_empty()),
            (is_answer, is_answer)
        );
    }
}

#[test]
fn anthropic_results_tell_errors_in_their_own_words() {
    let own = r#"{"output":null,"error":{"kind":"overloaded","status":529,"code":null,"message":"Overloaded","attempts":5},"http_status":529,"raw":{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}}"#;
    for (body, result) in [
        (OK, r#"{"type":"succeeded","message":{"id":"x", "n":1.0}}"#),
        (FILTERED, r#"{"type":"succeeded","message":{"id":"y"}}"#),
        (
            own,
            r#"{"type":"errored","error":{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}}"#,
        ),
        (
            REFUSED,
            r#"{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"too hot"},"request_id":null}}"#,
        ),
        (
            LOST,
            r#"{"type":"errored","error":{"type":"error","error":{"type":"timeout_error","message":"late"},"request_id":null}}"#,
        ),
    ] {
        let whole = format!("{{\"custom_id\":\"r-\\\"1\\\"\",\"result\":{result}}}\n");
        assert_eq!(line(Tool::AnthropicBatch, Part::All, body), whole);
    }
}

#[test]
fn cookbook_lines_are_lists() {
    let with = |fields: &str, body: &str| format!("{{{fields},{}", &body[1..]);
    let request = r#""request":{"model": "m"}"#;
    for (body, line_of) in [
        (
            with(request, OK),
            r#"[{"model": "m"}, {"id":"x", "n":1.0}]"#,
        ),
        (
            with(&format!(r#"{request},"metadata":{{"row":1}}"#), OK),
            r#"[{"model": "m"}, {"id":"x", "n":1.0}, {"row":1}]"#,
        ),
        (
            with(&format!(r#"{request},"metadata":{{ }}"#), OK),
            r#"[{"model": "m"}, {"id":"x", "n":1.0}]"#,
        ),
        (
            with(&format!(r#"{request},"metadata":0.0"#), REFUSED),
            r#"[{"model": "m"}, ["{\"error\":{\"message\":\"too hot\"}}"]]"#,
        ),
        (
            with(&format!(r#"{request},"metadata":"x""#), LOST),
            r#"[{"model": "m"}, ["timeout_total: late"], "x"]"#,
        ),
    ] {
        assert_eq!(
            line(Tool::Cookbook, Part::All, &body),
            format!("{line_of}\n")
        );
    }
}

#[test]
fn a_growing_output_takes_rows_as_they_come() {
    let row = format!("{{\"custom_id\":\"a\",\"index\":0,{}\n", &OK[1..]);
    let mut out = Vec::new();
    Shape::default().push(&mut out, row.as_bytes());
    assert_eq!(out, row.as_bytes());
    let mut out = Vec::new();
    let mut shape = Shape::of(Some(ToolLines::main(Tool::AnthropicBatch)));
    shape.push(&mut out, row.as_bytes());
    let line = r#"{"custom_id":"a","result":{"type":"succeeded","message":{"id":"x", "n":1.0}}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
}
