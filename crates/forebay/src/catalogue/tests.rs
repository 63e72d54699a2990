//! The table's rows hold together, and what follows from them.

use std::collections::HashSet;

use super::*;

/// An environment of these variables.
fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| {
        let pair = pairs.iter().find(|(known, _)| *known == name);
        pair.map(|(_, value)| (*value).to_owned())
    }
}

#[test]
fn every_row_holds_together() {
    let mut seen = HashSet::new();
    for row in &PROVIDERS {
        assert!(seen.insert(row.name), "{} stands twice", row.name);
        assert!(!row.name.contains('/') && row.name != "sim", "{}", row.name);
        assert!(!row.notes.is_empty(), "{} has no notes", row.name);
        assert!(!row.price_name.is_empty(), "{}", row.name);
        match row.base_url {
            Some(url) => {
                let parsed = BaseUrl::parse(url).unwrap();
                assert_eq!(parsed.to_string(), url, "{}", row.name);
                assert_eq!(parsed.tls, !row.is_local, "{}", row.name);
                assert_eq!(parsed.is_local(), row.is_local, "{}", row.name);
            }
            None => assert!(row.url_variable.is_some(), "{} is nowhere", row.name),
        }
        assert!(
            row.is_local || !row.key_variables.is_empty(),
            "{}",
            row.name
        );
        if let Embeddings::At(url) = row.embeddings {
            assert!(BaseUrl::parse(url).unwrap().tls, "{}", row.name);
        }
    }
}

#[test]
fn variables_are_environment_variables() {
    for row in &PROVIDERS {
        let keys = row.key_variables.iter().map(|variable| variable.name);
        let headers = row.header_variables.iter().map(|variable| variable.name);
        let url = row.url_variable.iter().map(|variable| variable.name);
        for name in keys.chain(headers).chain(url) {
            let fine = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(name.chars().all(fine), "{name}");
        }
    }
}

#[test]
fn an_unknown_name_is_told_with_the_nearest_or_all() {
    for (name, near) in [
        ("grok", "groq"),
        ("Antropic", "anthropic"),
        ("llamacpp", "llama.cpp"),
    ] {
        let error = get(name).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(error.hint().unwrap(), format!("did you mean {near}?"));
    }
    let hint = get("zzz").unwrap_err().hint().unwrap().to_owned();
    assert!(names().iter().all(|name| hint.contains(name)), "{hint}");
}

#[test]
fn an_endpoint_has_the_row_s_habits() {
    let key = || ApiKey::new("k").ok();
    let openai = endpoint_of("openai", key(), None).unwrap();
    assert_eq!(openai.token_field, TokenField::MaxCompletionTokens);
    assert_eq!(openai.base_url.to_string(), "https://api.openai.com/v1");
    let compatible = endpoint_of("openai", None, Some("http://localhost:1/v1")).unwrap();
    assert_eq!(compatible.token_field, TokenField::MaxTokens);
    assert_eq!(compatible.rate_headers, RateHeaders::Unknown);
    let regional = endpoint_of("openai", key(), Some("https://eu.api.openai.com/v1")).unwrap();
    assert_eq!(regional.token_field, TokenField::MaxCompletionTokens);
    assert_eq!(regional.rate_headers, RateHeaders::PerMinute);
    let azure = endpoint_of(
        "azure",
        key(),
        Some("https://me.openai.azure.com/openai/v1"),
    )
    .unwrap();
    assert_eq!(azure.token_field, TokenField::MaxCompletionTokens);
    assert_eq!(azure.rate_headers, RateHeaders::Seconds);
    assert_eq!(azure.key.unwrap().header(), Some(KeyHeader::ApiKey));
    assert!(endpoint_of("ollama", None, None).unwrap().key.is_none());
    let missing = endpoint_of("gemini", None, None).unwrap_err().to_string();
    assert!(missing.contains("GOOGLE_API_KEY") && missing.contains("GEMINI_API_KEY"));
    let nowhere = endpoint_of("azure", key(), None).unwrap_err();
    assert!(nowhere.hint().unwrap().contains("AZURE_OPENAI_ENDPOINT"));
}

#[test]
fn the_environment_gives_keys_in_order_of_preference() {
    let both = [("GEMINI_API_KEY", "second"), ("GOOGLE_API_KEY", "first")];
    let gemini = get("gemini").unwrap();
    assert_eq!(
        gemini.key_from(env(&both)).unwrap().unwrap().expose(),
        "first"
    );
    assert_eq!(
        gemini.key_from(env(&both[..1])).unwrap().unwrap().expose(),
        "second"
    );
    assert!(gemini.key_from(env(&[])).unwrap().is_none());
    let anthropic = get("anthropic").unwrap();
    let token = anthropic.key_from(env(&[("ANTHROPIC_AUTH_TOKEN", "t")]));
    assert_eq!(token.unwrap().unwrap().header(), Some(KeyHeader::Bearer));
    let azure = get("azure").unwrap();
    let token = azure.key_from(env(&[("AZURE_OPENAI_AD_TOKEN", "t")]));
    assert_eq!(token.unwrap().unwrap().header(), Some(KeyHeader::Bearer));
    let bad = gemini
        .key_from(env(&[("GOOGLE_API_KEY", "a b")]))
        .unwrap_err();
    assert!(bad.to_string().starts_with("in GOOGLE_API_KEY"), "{bad}");
    assert!(!bad.to_string().contains("a b"), "{bad}");
}

#[test]
fn the_environment_s_places_become_base_urls() {
    for (name, variable, value, url) in [
        ("openai", "OPENAI_BASE_URL", "https://h/v1", "https://h/v1"),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://me.openai.azure.com/",
            "https://me.openai.azure.com/openai/v1",
        ),
        (
            "azure",
            "AZURE_OPENAI_ENDPOINT",
            "https://h/openai/v1/",
            "https://h/openai/v1",
        ),
        (
            "gemini",
            "GOOGLE_GEMINI_BASE_URL",
            "https://h",
            "https://h/v1beta",
        ),
        (
            "ollama",
            "OLLAMA_HOST",
            "0.0.0.0",
            "http://127.0.0.1:11434/v1",
        ),
        ("ollama", "OLLAMA_HOST", "gpu:1", "http://gpu:1/v1"),
        ("ollama", "OLLAMA_HOST", ":1", "http://127.0.0.1:1/v1"),
        ("ollama", "OLLAMA_HOST", "[::]", "http://[::1]:11434/v1"),
        ("ollama", "OLLAMA_HOST", "[::1]:5", "http://[::1]:5/v1"),
        ("ollama", "OLLAMA_HOST", "https://h", "https://h:443/v1"),
        (
            "ollama",
            "OLLAMA_HOST",
            "http://h/proxy/",
            "http://h:80/proxy/v1",
        ),
    ] {
        let env = [(variable, value)];
        let base_url = get(name).unwrap().base_url_from(self::env(&env));
        assert_eq!(base_url.as_deref(), Some(url), "{value}");
        BaseUrl::parse(url).unwrap();
    }
}

#[test]
fn embeddings_have_a_place_of_their_own_where_they_need_one() {
    let embeddings = |name: &str| get(name).unwrap().for_embeddings();
    let gemini = embeddings("gemini").unwrap();
    let endpoint = gemini.endpoint(ApiKey::new("k").ok(), None).unwrap();
    assert_eq!(endpoint.dialect, Dialect::Embeddings);
    assert!(endpoint.base_url.path.ends_with("/openai"));
    assert_eq!(endpoint.key.unwrap().header(), Some(KeyHeader::Bearer));
    assert_eq!(embeddings("openai").unwrap().dialect, Dialect::Embeddings);
    assert_eq!(embeddings("anthropic"), None);
}
