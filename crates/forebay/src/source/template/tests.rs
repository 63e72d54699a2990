//! Templates, by hand and by the engine.

use super::*;
use crate::fields;
use proptest::prelude::*;

fn record(line: &str) -> Record<'_> {
    Record::Json {
        text: "",
        members: fields::members(line).unwrap(),
        written: line,
    }
}

fn render(template: &str, line: &str) -> Result<String, String> {
    Template::compile("prompt", template)
        .unwrap()
        .render(&record(line))
        .map_err(|fault| fault.message)
}

/// The same by the engine alone.
fn render_slowly(template: &str, line: &str) -> Result<String, String> {
    let mut template = Template::compile("prompt", template).unwrap();
    template.parts = None;
    template
        .render(&record(line))
        .map_err(|fault| fault.message)
}

#[test]
fn templates_render_fields() {
    let line = r#"{"a": "<é>\n", "n": 17, "b": true, "none": null, "l": ["x", false]}"#;
    let ok = |template| render(template, line).unwrap();
    assert_eq!(ok("Say {{ a }}.\n"), "Say <é>\n.\n");
    assert_eq!(ok("{{ n }} {{ b }} {{ l }}"), r#"17 true ["x",false]"#);
    assert_eq!(ok("{{ n + 1 }}{{ b and 1 }}"), "181");
    assert_eq!(ok("{% if gone %}x{% else %}y{% endif %}\n"), "y\n");
    assert_eq!(ok("{{ gone is defined }}"), "false");
    assert_eq!(ok("{{ gone|default('-') }}"), "-");
    assert_eq!(
        ok("{% for x in l %}{{ loop.index }}{{ x }}{% endfor %}"),
        "1x2false"
    );
    assert_eq!(ok("{% for i in range(3) %}{{ i }}{% endfor %}"), "012");
    assert_eq!(ok("{{ '{{' }}"), "{{");
    assert_eq!(ok(""), "");
}

#[test]
fn both_ways_of_rendering_agree_on_every_kind_of_value() {
    for value in [
        "true",
        "false",
        "null",
        "0",
        "-0",
        "1",
        "-1",
        "-12",
        "007e0",
        "1.0",
        "1.50",
        "1e3",
        "1E400",
        "123456789012345678",
        "1234567890123456789",
        "18446744073709551616",
        "-9223372036854775809",
        r#""""#,
        r#""\u0000""#,
        r#""\ud83d\ude00""#,
        r#""<&'{{ x }}""#,
        "[]",
        "{}",
        r#"[1, "a", null, {"b": 1.5}]"#,
        r#""\ud800""#,
    ] {
        let line = format!(r#"{{"x": {value}}}"#);
        if fields::members(&line).is_err() {
            continue;
        }
        let template = "<{{ x }}>\n";
        assert_eq!(
            render(template, &line),
            render_slowly(template, &line),
            "{value}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let missing = "the template names the field `b`, which this item does not have";
    assert_eq!(
        render("{{ a }}{{ b }}", r#"{"a": 1}"#).unwrap_err(),
        missing
    );
    assert_eq!(render("{{ b|upper }}", r#"{"a": 1}"#).unwrap_err(), missing);
    assert_eq!(
        render("{% if c %}{% endif %}{{ a }}{{ b.x }}", r#"{"a": 1}"#).unwrap_err(),
        missing
    );
    assert_eq!(
        render("{% if c %}{% endif %}{{ a.x }}", r#"{"a": {}}"#).unwrap_err(),
        "the prompt template fails on its line 1: undefined value: \
         `{% if c %}{% endif %}{{ a.x }}`"
    );
}

#[test]
fn faults_repeat_the_template_but_no_value() {
    let fault = render("x\n {{ a + 1 }}", r#"{"a": "secret"}"#).unwrap_err();
    assert_eq!(
        fault,
        "the prompt template fails on its line 2: invalid operation: `{{ a + 1 }}`"
    );
    let fault = render("{{ a|shout }}", r#"{"a": "secret"}"#).unwrap_err();
    assert_eq!(
        fault,
        "the prompt template fails on its line 1: unknown filter, filter shout is unknown: \
         `{{ a|shout }}`"
    );
    let fault = render("{{ a }}", r#"{"a": "secret\ud800"}"#).unwrap_err();
    assert!(
        fault.starts_with("the field `a` cannot be decoded: "),
        "{fault}"
    );
    assert!(!fault.contains("secret"), "{fault}");
    let fault = render("{{ a.upper() }}", r#"{"a": "secret"}"#).unwrap_err();
    assert!(fault.contains("unknown method"), "{fault}");
    assert!(!fault.contains("secret"), "{fault}");
    let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        render("{{ a }}", &deep).unwrap_err(),
        "the field `a` cannot be decoded: recursion limit exceeded"
    );
}

#[test]
fn a_malformed_template_is_shown_with_its_place() {
    let error = Template::compile("prompt", "Classify:\n  é {{ a b }}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed prompt template at line 2, column 10: unexpected identifier, expected end \
         of variable block: `é {{ a b }}`"
    );
    let error = Template::compile("system", "{{ a").unwrap_err().to_string();
    assert!(
        error.starts_with("malformed system template at line 1,"),
        "{error}"
    );
}

#[test]
fn only_fields_are_named() {
    let template = Template::compile(
        "prompt",
        "{% set y = a %}{% for x in b %}{{ x }}{{ y }}{{ loop.index }}{% endfor %}\
         {{ range(2) }}{{ c.d }}{{ none }}",
    )
    .unwrap();
    assert_eq!(template.fields(), ["a", "b", "c"]);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[{}%# a\n\r\"\\\\é]{0,12}", any::<String>()]
}

proptest! {
    #[test]
    fn both_ways_of_rendering_agree(
        before in "[ }\nxé]{0,6}",
        between in "[ }\r\n|.]{0,6}",
        space in "[ \n\t]{0,2}",
        a in text(),
        n: i64,
        f: f64,
    ) {
        let template = format!("{before}{{{{{space}a }}}}{between}{{{{ n{space}}}}}{{{{f}}}}");
        let line = format!(
            r#"{{"a":{},"n":{n},"f":{}}}"#,
            serde_json::to_string(&a).unwrap(),
            serde_json::to_string(&f).unwrap()
        );
        let fast = render(&template, &line);
        prop_assert!(fast.is_ok());
        prop_assert_eq!(fast, render_slowly(&template, &line));
    }
}
