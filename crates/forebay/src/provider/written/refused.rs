//! What a dialect cannot say is refused, by name and place.

use bytes::Bytes;

use super::*;
use crate::message::ToolChoice;

#[test]
fn parameters_that_a_dialect_does_not_have() {
    for (dialect, request, why) in [
        (
            Dialect::Anthropic,
            prompt(|p| p.seed = Some(1)),
            "the Anthropic dialect has no seed",
        ),
        (
            Dialect::Responses,
            prompt(|p| p.seed = Some(1)),
            "the OpenAI responses dialect has no seed",
        ),
        (
            Dialect::Responses,
            prompt(|p| p.stop = vec!["x".to_owned()]),
            "the OpenAI responses dialect has no stop texts",
        ),
    ] {
        assert_eq!(refused(dialect, &request), why);
    }
    // Whoever names the member knows better.
    let own = prompt(|p| p.extra = vec![("seed".to_owned(), raw("1"))]);
    for dialect in DIALECTS {
        assert!(written(dialect, &own).contains(r#""seed":1"#));
    }
}

#[test]
fn tools_and_choices_that_no_provider_takes() {
    let with = |tools: &str, choice: Option<ToolChoice>| {
        prompt(|p| {
            p.tools = read_tools(tools).unwrap();
            p.tool_choice = choice;
        })
    };
    let mut unnamed = with(TOOLS, None);
    Arc::make_mut(&mut unnamed.shared).tools[0].name = "a b".to_owned();
    let mut twice = with(TOOLS, None);
    let again = twice.shared.tools[0].clone();
    Arc::make_mut(&mut twice.shared).tools.push(again);
    let mut no_object = with(TOOLS, None);
    Arc::make_mut(&mut no_object.shared).tools[0].parameters = Arc::from(raw("true"));
    for (request, why) in [
        (
            unnamed,
            "tools[0]: the name \"a b\" is not made of 1 to 64 letters, digits, _ and -",
        ),
        (twice, "tools[1]: another tool is called \"weather\" too"),
        (
            no_object,
            "tools[0]: the parameters of \"weather\" are not a JSON object",
        ),
        (
            with("[]", Some(ToolChoice::Required)),
            "there is a tool choice, but there are no tools",
        ),
        (
            with(TOOLS, Some(ToolChoice::Named("x".to_owned()))),
            "the tool choice \"x\" is none of the tools",
        ),
    ] {
        for dialect in DIALECTS {
            assert_eq!(refused(dialect, &request), why);
        }
    }
    // Tools of the provider's own, which only it knows.
    let own = prompt(|p| {
        p.tool_choice = Some(ToolChoice::Required);
        p.extra = vec![("tools".to_owned(), raw("[1]"))];
    });
    assert!(written(Dialect::Chat, &own).contains(r#""tool_choice":"required","tools":[1]}"#));
}

#[test]
fn pieces_in_the_wrong_mouth() {
    for (role, part, why) in [
        (
            Role::User,
            call("1", "f", "{}"),
            "messages[1]: a tool call cannot stand in a message of the user",
        ),
        (
            Role::System,
            png(),
            "messages[1]: an image cannot stand in a message of the system",
        ),
        (
            Role::System,
            call("1", "f", "{}"),
            "messages[1]: a tool call cannot stand in a message of the system",
        ),
        (
            Role::System,
            result("1", "f", ""),
            "messages[1]: a tool result cannot stand in a message of the system",
        ),
        (
            Role::Assistant,
            result("1", "f", ""),
            "messages[1]: a tool result cannot stand in a message of the assistant",
        ),
        (
            Role::Assistant,
            call("1", "", "{}"),
            "messages[1]: a tool call names no tool",
        ),
        (
            Role::Assistant,
            call("1", "f", "[]"),
            "messages[1]: the arguments of a tool call are not a JSON object",
        ),
    ] {
        let request = conversation(vec![
            Message::text(Role::User, "x"),
            message(role, vec![part]),
        ]);
        for dialect in DIALECTS {
            assert_eq!(refused(dialect, &request), why);
        }
    }
    let shown = conversation(vec![message(Role::Assistant, vec![png()])]);
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Anthropic] {
        let why = refused(dialect, &shown);
        assert!(
            why.starts_with("messages[0]: ") && why.ends_with("images from the user only"),
            "{why}"
        );
    }
    assert!(written(Dialect::Gemini, &shown).contains("inlineData"));
}

#[test]
fn conversations_that_say_nothing() {
    for dialect in DIALECTS {
        assert_eq!(
            refused(dialect, &conversation(Vec::new())),
            "there are no messages"
        );
        let empty = conversation(vec![message(Role::User, Vec::new())]);
        assert_eq!(
            refused(dialect, &empty),
            "messages[0]: the message is empty"
        );
    }
    let rules = conversation(vec![Message::text(Role::System, "x")]);
    for dialect in [Dialect::Anthropic, Dialect::Gemini] {
        assert!(refused(dialect, &rules).contains("only system messages"));
    }
}

#[test]
fn results_that_belong_to_no_call() {
    let request =
        |id: &str, name: &str| conversation(vec![message(Role::User, vec![result(id, name, "x")])]);
    for dialect in [Dialect::Chat, Dialect::Responses, Dialect::Anthropic] {
        assert_eq!(
            refused(dialect, &request("", "f")),
            "messages[0]: a tool result does not say which call it is of"
        );
    }
    assert_eq!(
        refused(Dialect::Gemini, &request("k", "")),
        "messages[0]: a tool result names no tool, and no call before it has its id"
    );
    let mut failed = result("k", "f", "x");
    if let Part::ToolResult(result) = &mut failed {
        result.is_error = true;
    }
    let failed = conversation(vec![message(Role::User, vec![failed])]);
    for dialect in [Dialect::Chat, Dialect::Responses] {
        assert!(refused(dialect, &failed).contains("cannot mark a tool result as an error"));
    }
    assert!(written(Dialect::Anthropic, &failed).contains(r#""is_error":true"#));
}

#[test]
fn images_that_a_dialect_does_not_take() {
    let image = |data: Vec<u8>| {
        let image = Image::Bytes {
            media_type: "image/png".to_owned(),
            data: Bytes::from(data),
        };
        conversation(vec![message(Role::User, vec![Part::Image(image)])])
    };
    let unknown = image(b"BM......".to_vec());
    for dialect in DIALECTS {
        let why = "messages[0]: the image is of no known kind (PNG, JPEG, GIF, WebP)";
        assert_eq!(refused(dialect, &unknown), why);
    }
    let gif = image(b"GIF89a..".to_vec());
    assert!(written(Dialect::Anthropic, &gif).contains("image/gif"));
    assert!(refused(Dialect::Gemini, &gif).contains("no GIF"));
    let plain = conversation(vec![message(Role::User, vec![link("http://h/a.png")])]);
    assert!(refused(Dialect::Gemini, &plain).contains("https only"));
    let mut large = PNG.to_vec();
    large.resize(5 * 1024 * 1024, 0);
    let large = image(large);
    let why = refused(Dialect::Anthropic, &large);
    assert!(
        why.starts_with("messages[0]: the image has 6990508 bytes in base64"),
        "{why}"
    );
    assert!(written(Dialect::Gemini, &large).len() > 6_990_508);
}

#[test]
fn requests_that_are_too_large() {
    let mut request = prompt(|_| {});
    request.content = Content::Prompt("x".repeat(33 * 1024 * 1024));
    assert!(refused(Dialect::Anthropic, &request).contains("the anthropic dialect takes 33554432"));
    assert!(encode(&endpoint(Dialect::Chat), &request).is_ok());
}
