//! Schemas that are none, answers that fit, and the words about those that do not.

use proptest::prelude::*;

use super::*;

const PERSON: &str = r#"{"title":"Person","type":"object","properties":{
    "name":{"type":"string","minLength":2},"age":{"type":"integer","minimum":0},
    "tags":{"type":"array","items":{"enum":["a","b"]}}},
    "required":["name"],"additionalProperties":false}"#;

fn person() -> Schema {
    Schema::compile(PERSON).unwrap()
}

#[test]
fn an_answer_that_fits_comes_back_as_it_was_written() {
    let schema = person();
    assert_eq!(schema.title(), Some("Person"));
    for (text, parsed) in [
        (r#"{"name":"Al","age":30}"#, r#"{"name":"Al","age":30}"#),
        (" \n{ \"name\" : \"Al\" }\n", "{ \"name\" : \"Al\" }"),
        ("```json\n{\"name\":\"Al\"}\n```", r#"{"name":"Al"}"#),
        ("```\n{\"name\":\"Al\"}```  ", r#"{"name":"Al"}"#),
        (
            "```JSON \r\n{\"name\":\"Al\",\"age\":1.0}\r\n```",
            r#"{"name":"Al","age":1.0}"#,
        ),
    ] {
        assert_eq!(schema.check(text).unwrap().get(), parsed, "{text}");
    }
    let number = Schema::compile(r#"{"type":"number"}"#).unwrap();
    for written in ["1.50", "1E2", "12345678901234567890123", "-0.0"] {
        assert_eq!(number.check(written).unwrap().get(), written);
    }
}

#[test]
fn a_misfit_is_named_by_its_place_and_rule() {
    let schema = person();
    for (text, message) in [
        ("{}", r#": the whole lacks "name""#),
        (r#"{"name":7}"#, ": /name is not of type string"),
        (r#"{"name":"x"}"#, ": /name is shorter than 2 characters"),
        (r#"{"name":"Al","age":-1}"#, ": /age is less than 0"),
        (
            r#"{"name":"Al","tags":["a","secret"]}"#,
            r#": /tags/1 is none of ["a","b"]"#,
        ),
        (
            r#"{"name":"Al","secret":1}"#,
            ": the whole has members that are not allowed",
        ),
        (
            r#"{"name":7,"age":"secret"}"#,
            ": /age is not of type integer; /name is not of type string",
        ),
    ] {
        let mismatch = schema.check(text).unwrap_err();
        let expected = format!("the answer does not fit the schema{message}");
        assert_eq!(mismatch.message, expected, "{text}");
        assert!(!mismatch.message.contains("secret"));
    }
    let strange = schema.check(r#"{"name":"Al","secret":1}"#).unwrap_err();
    assert!(
        strange.for_model.ends_with("not allowed: secret"),
        "{}",
        strange.for_model
    );
}

#[test]
fn what_is_not_json_alone_does_not_fit() {
    let schema = person();
    for text in [
        "",
        "  ",
        "here you are: {\"name\":\"Al\"}",
        "{\"name\":\"Al\"} I hope this helps",
        "{\"name\":\"Al\"",
        "``` {\"name\":\"Al\"} ```",
        "```json\n{\"name\":\"Al\"}",
        "```json\n```",
        "```",
        "{\"name\":\"Al\"}{\"name\":\"Al\"}",
    ] {
        let message = schema.check(text).unwrap_err().message;
        assert!(
            message.starts_with("the answer is not JSON: "),
            "{text}: {message}"
        );
    }
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    assert!(
        schema
            .check(&deep)
            .unwrap_err()
            .message
            .contains("levels deep")
    );
}

#[test]
fn a_schema_that_is_none_is_refused_with_its_place() {
    for (text, message) in [
        ("", "not JSON: EOF while parsing a value at line 1 column 0"),
        (
            "{\"type\":",
            "not JSON: EOF while parsing a value at line 1 column 8",
        ),
        (
            "[1]",
            "not a JSON Schema: it is an array, and a schema is an object",
        ),
        (
            "\"object\"",
            "not a JSON Schema: it is a string, and a schema is an object",
        ),
        (
            r#"{"name":"string","age":3}"#,
            "not a JSON Schema: none of its members is a word of JSON Schema",
        ),
        (
            r#"{"type":"object","properties":{"a":{"type":"strng"}}}"#,
            "not a JSON Schema: at /properties/a/type: ",
        ),
        (
            r#"{"type":"string","minLength":-1}"#,
            "not a JSON Schema: at /minLength: ",
        ),
        (
            r#"{"type":"string","pattern":"("}"#,
            "not a JSON Schema: at /pattern: ",
        ),
        (
            r##"{"$ref":"#/$defs/none"}"##,
            "a $ref cannot be resolved inside of the schema: ",
        ),
    ] {
        let error = Schema::compile(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn a_schema_is_kept_without_the_space_between_its_parts() {
    let kept = r#"{"title":"a \\","const":"b \" \n c"}"#;
    let spaced = kept
        .replace("\":\"", "\" :\r\n\t \"")
        .replace("\",\"", "\" , \"");
    assert_ne!(spaced, kept);
    assert_eq!(Schema::compile(&spaced).unwrap().json().get(), kept);
}

#[test]
fn references_never_leave_the_schema() {
    for there in [
        "https://example.com/x.json",
        "file:///etc/passwd",
        "other.json",
        "./x.json#/a",
    ] {
        let text = format!(r#"{{"type":"object","properties":{{"a":{{"$ref":"{there}"}}}}}}"#);
        let error = Schema::compile(&text).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a $ref cannot be resolved inside"),
            "{there}: {error}"
        );
        assert!(error.hint().is_some());
    }
    let inner =
        r##"{"$defs":{"n":{"type":"integer"}},"type":"array","items":{"$ref":"#/$defs/n"}}"##;
    assert!(Schema::compile(inner).unwrap().check("[1,2]").is_ok());
}

proptest! {
    #[test]
    fn any_text_gives_a_short_message_or_itself(text in "\\PC{0,80}") {
        match person().check(&text) {
            Ok(parsed) => prop_assert!(text.contains(parsed.get())),
            Err(mismatch) => {
                prop_assert!(mismatch.message.len() < 1_000);
                prop_assert!(mismatch.for_model.len() < 1_000);
            }
        }
    }

    #[test]
    fn long_names_make_no_long_messages(name in "[a-z]{200,300}", n in 1usize..20) {
        let members: Vec<String> = (0..n).map(|at| format!("\"{name}{at}\":1")).collect();
        let mismatch = person().check(&format!("{{{}}}", members.join(","))).unwrap_err();
        prop_assert!(mismatch.message.chars().count() < 600);
        prop_assert!(!mismatch.message.contains(&name));
        prop_assert!(mismatch.for_model.chars().count() < 700);
    }
}
