//! `forebay providers`: the table, whose key is set, and endpoints of the user's own.

use serde_json::Value;

use crate::harness::Folder;

/// A key that is never shown.
const SECRET: &str = "sk-do-not-show-5d1c";

#[test]
fn are_listed_with_what_the_environment_has() {
    let folder = Folder::new();
    let ended = folder
        .forebay(&["providers"])
        .env("GEMINI_API_KEY", SECRET)
        .env("OLLAMA_HOST", "gpu-box")
        .ends(0);
    ended.keeps_quiet_about(SECRET);
    assert_eq!(ended.stderr, "");
    insta::assert_snapshot!(ended.stdout);
}

#[test]
fn those_of_the_file_come_first() {
    let folder = Folder::new();
    folder.write(
        "forebay.toml",
        "[endpoints.box]\nprovider = \"anthropic\"\nbase-url = \"https://box.example.com\"\n\
         api-key-env = \"BOX_KEY\"\n\n\
         [endpoints.groq]\napi-key-env = \"MY_GROQ_KEY\"\n",
    );
    let ended = folder
        .forebay(&["providers", "--json"])
        .env("MY_GROQ_KEY", SECRET)
        .ends(0);
    ended.keeps_quiet_about(SECRET);
    let rows: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(rows[0]["provider"], "box");
    assert_eq!(rows[0]["dialect"], "anthropic");
    assert_eq!(rows[0]["has_key"], false);
    let groq = rows.iter().find(|row| row["provider"] == "groq").unwrap();
    assert_eq!(groq["has_key"], true);
    assert_eq!(groq["base_url"], "https://api.groq.com/openai/v1");
    let azure = rows.iter().find(|row| row["provider"] == "azure").unwrap();
    assert!(azure["base_url"].is_null());
    assert_eq!(azure["base_url_variable"], "AZURE_OPENAI_ENDPOINT");
}
