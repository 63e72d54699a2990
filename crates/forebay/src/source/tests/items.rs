//! What becomes of each record.

use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

#[test]
fn lines_of_text_are_items() {
    let items = items_of(
        "a.txt",
        "\u{feff}one\r\n\n two\t\n\r\nthree",
        Prompting::default(),
    );
    let shown: Vec<_> = items
        .iter()
        .map(|item| (item.index, said(item), item.fields.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (0, "one".to_owned(), r#""text":"one""#),
            (1, " two\t".to_owned(), r#""text":" two\t""#),
            (2, "three".to_owned(), r#""text":"three""#),
        ]
    );
    assert!(items.iter().all(|item| item.custom_id.is_none()));
}

#[test]
fn bad_lines_are_invalid_items_and_the_others_go_on() {
    let text = b"{\"text\": \"a\"}\n\n{\"text\": }\n[1]\n\"b\"\n{\"text\": \"\xff\"}\n{\"text\": null}\n{\"text\":\"c\"}";
    assert_eq!(
        read("tickets.jsonl", text, Prompting::default()),
        [
            "a",
            "! line 3 of tickets.jsonl: malformed JSON at column 10: expected value",
            "! line 4 of tickets.jsonl: neither a JSON object nor a JSON string",
            "b",
            "! line 6 of tickets.jsonl: not UTF-8 at byte offset 10",
            "! line 7 of tickets.jsonl: the prompt is empty",
            "c",
        ]
    );
}

#[test]
fn unreadable_items_have_no_fields_and_invalid_ones_keep_theirs() {
    let items = items_of(
        "a.jsonl",
        "{\"text\": \n{\"text\": null, \"custom_id\": \"k\"}\n{\"text\":\"x\"}",
        Prompting::default(),
    );
    assert_eq!(items[0].fields, "");
    assert_eq!(items[1].fields, r#""text":null"#);
    assert_eq!(items[1].custom_id.as_deref(), Some("k"));
    assert!(items[2].request.is_ok());
}

#[test]
fn csv_records_are_items() {
    let csv =
        "custom_id,text,output\r\nk1,\"a, \"\"b\"\"\nc\",1\r\n\r\nk2,d\r\n,e,3\nk4,f,4,5\nk5, ,\n";
    let items = items_of("a.csv", csv, Prompting::default());
    let said: Vec<_> = items.iter().map(said).collect();
    assert_eq!(
        said,
        [
            "a, \"b\"\nc",
            "! line 5 of a.csv: expected 3 fields, found 2",
            "e",
            "! line 7 of a.csv: expected 3 fields, found 4",
            "! line 8 of a.csv: the prompt is empty",
        ]
    );
    let ids: Vec<_> = items.iter().map(|item| item.custom_id.as_deref()).collect();
    assert_eq!(ids, [Some("k1"), Some("k2"), None, Some("k4"), Some("k5")]);
    assert_eq!(
        items[0].fields,
        r#""text":"a, \"b\"\nc","input_output":"1""#
    );
    assert_eq!(items[1].fields, r#""text":"d""#);
    assert_eq!(items[3].fields, r#""text":"f","input_output":"4""#);
}

#[test]
fn tabs_separate_a_tsv_file() {
    assert_eq!(
        read("a.tsv", "q\tn\na,b\t1\n\t2\n", prompt("{{ q }}{{ n }}")),
        ["a,b1", "2"]
    );
}

#[test]
fn a_quote_left_open_spoils_one_item() {
    assert_eq!(
        read("a.csv", "q,n\na,1\n\"b,2\nc,3\n", prompt("{{ q }}")),
        [
            "a",
            "! line 3 of a.csv: a quote is left open up to the end of the input"
        ]
    );
}

#[test]
fn templates_see_fields_and_miss_absent_ones() {
    let lines = "{\"q\": \"é\", \"n\": 1.5, \"o\": {\"k\": [true]}}\n{\"q\": \"b\"}\n";
    assert_eq!(
        read("a.jsonl", lines, prompt("{{ q }}: {{ n }}\n")),
        [
            "é: 1.5\n",
            "! line 2 of a.jsonl: the template names the field `n`, which this item does not have",
        ]
    );
    assert_eq!(
        read(
            "a.jsonl",
            lines,
            prompt("{{ q }}{% if o %} {{ o.k[0] }}{% endif %}")
        ),
        ["é true", "b"]
    );
    assert_eq!(
        read(
            "a.jsonl",
            lines,
            prompt("{{ q }} {{ o.k }} {{ n|default(0) }}")
        ),
        [
            "é [true] 1.5",
            "! line 2 of a.jsonl: the template names the field `o`, which this item does not have",
        ]
    );
}

#[test]
fn the_system_prompt_is_a_template_too() {
    let prompting = Prompting {
        system: Some("Be {{ tone }}.".to_owned()),
        ..Prompting::default()
    };
    let items = items_of("a.csv", "text,tone\nhi,kind\n", prompting);
    let request = items[0].request.as_ref().unwrap();
    assert_eq!(request.system.as_deref(), Some("Be kind."));
}

#[test]
fn items_that_keep_their_messages_are_counted() {
    let files = Files::new();
    let path = files.add(
        "a.jsonl",
        "{\"text\": \"a\"}\n{\"text\": \"b\", \"messages\": [{}]}\n{\"messages\": [{}]}\n",
    );
    let mut source = Source::open(spec(&[path]), prompt("{{ text }}")).unwrap();
    let said: Vec<_> = source.by_ref().map(|item| said(&item.unwrap())).collect();
    assert_eq!(said, ["a", "[{}]", "[{}]"]);
    assert_eq!(
        source
            .n_kept_messages()
            .load(std::sync::atomic::Ordering::Relaxed),
        2
    );
}

#[test]
fn rows_without_messages_among_rows_with_messages_use_the_usual_names() {
    let lines = "{\"messages\": [{}], \"x\": 1, \"y\": 2}\n{\"input\": \"a\"}\n{\"y\": 2}\n";
    let files = Files::new();
    let path = files.add("a.jsonl", lines);
    let said: Vec<_> = all(Source::open(spec(&[path]), Prompting::default()).unwrap())
        .iter()
        .map(said)
        .collect();
    assert_eq!(said[..2], ["[{}]", "a"]);
    assert!(said[2].starts_with("! line 3"));
}

#[test]
fn items_are_numbered_over_all_inputs() {
    let files = Files::new();
    let paths = [
        files.add("a.txt", "0\n1"),
        files.add("b.csv", "text,x\n2,0\n3\n"),
        files.add("empty.txt", ""),
        files.add("c.jsonl", "\n\"4\"\n{\n\"6\"\n"),
    ];
    let numbers = |offset, limit| {
        let spec = InputSpec {
            offset,
            limit,
            ..spec(&paths)
        };
        let source = Source::open(spec, Prompting::default()).unwrap();
        let n = source.n_items(&AtomicBool::new(false)).unwrap();
        let items = all(source);
        assert_eq!(n, items.len() as u64);
        for item in items.iter().filter(|item| item.request.is_ok()) {
            assert_eq!(said(item), item.index.to_string());
        }
        items.iter().map(|item| item.index).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, None), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(1, Some(2)), [1, 2]);
    assert_eq!(numbers(5, None), [5, 6]);
    assert_eq!(numbers(6, Some(9)), [6]);
    assert_eq!(numbers(9, Some(u64::MAX)), [0; 0]);
    assert_eq!(numbers(0, Some(0)), [0; 0]);
}

/// A row that repeated it could be read by hardly any JSON reader.
#[test]
fn deep_nesting_is_a_fault_of_its_item() {
    let nested = |n: usize| {
        let (open, close) = ("[".repeat(n), "]".repeat(n));
        format!("{{\"text\": \"a\", \"deep\": {open}{close}}}\n")
    };
    let line = nested(99);
    let items = items_of("a.jsonl", &line, Prompting::default());
    assert_eq!(said(&items[0]), "a");
    assert_eq!(items[0].fields.len(), line.len() - 3);
    assert_eq!(read("a.jsonl", &line, prompt("{{ deep }}")).len(), 1);
    for n in [100, 200_000] {
        assert_eq!(
            read("a.jsonl", nested(n), Prompting::default()),
            ["! line 1 of a.jsonl: nested more than 100 levels deep"]
        );
    }
}

#[test]
fn a_source_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Source>();
    is_send::<Counter>();
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_numbered_without_a_gap(
        bytes in proptest::collection::vec(
            prop_oneof![
                3 => Just(b'\n'),
                2 => proptest::sample::select(&b"{}[]\":,\\ud8text\r"[..]),
                1 => any::<u8>(),
            ],
            0..200,
        ),
        name in proptest::sample::select(vec!["a.txt", "a.jsonl", "a.csv", "a.tsv"]),
    ) {
        let files = Files::new();
        let path = files.add(name, &bytes);
        for prompting in [Prompting::default(), prompt("{{ text }}"), prompt("constant")] {
            let Ok(mut source) = Source::open(spec(std::slice::from_ref(&path)), prompting) else {
                continue;
            };
            let n = source.n_items(&AtomicBool::new(false)).unwrap();
            let report = source.check_all().unwrap();
            let items = all(source);
            prop_assert_eq!(n, items.len() as u64);
            prop_assert_eq!(report.items, n);
            for (n, item) in items.iter().enumerate() {
                prop_assert_eq!(item.index, n as u64);
                let row = format!("{{{}}}", item.fields);
                prop_assert!(crate::fields::members(&row).is_ok(), "{}", row);
                prop_assert!(!row.contains(['\n', '\r']));
            }
        }
    }
}
