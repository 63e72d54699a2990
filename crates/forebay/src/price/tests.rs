//! The embedded table through its public face.

use super::*;
use crate::money::Usd;
use crate::outcome::Usage;

fn find(provider: &str, model: &str) -> Option<ModelInfo> {
    PriceTable::embedded().find(provider, model)
}

fn picos(amount: Option<Usd>) -> Option<i128> {
    amount.map(Usd::picos)
}

#[test]
fn the_table_unpacks_whole_and_every_line_can_be_found() {
    let names: Vec<_> = table().lines().filter_map(split_line).collect();
    assert_eq!(names.len(), 3480);
    assert!(names.iter().all(|(name, _)| !name.contains(['"', '\\'])));
    // The models without an output price (embeddings) have no price at all here.
    let priced = names
        .iter()
        .filter(|(name, entry)| parse::entry(name, entry).is_some());
    assert_eq!(priced.count(), 3469);
    // Each look-up scans, so only some lines are looked up: the first, the last, and others.
    for (name, entry) in names.iter().step_by(71) {
        assert_eq!(listed(name), parse::entry(name, entry), "{name}");
    }
}

#[test]
fn gpt_4o_mini_costs_what_it_says() {
    let info = find("openai", "gpt-4o-mini").unwrap();
    assert_eq!(info.name, "gpt-4o-mini");
    assert_eq!(info.price.input.picos(), 150_000);
    assert_eq!(info.price.output.picos(), 600_000);
    assert_eq!(picos(info.price.cache_read), Some(75_000));
    assert_eq!(info.provider.as_deref(), Some("openai"));
    assert_eq!(info.mode.as_deref(), Some("chat"));
    assert_eq!(info.max_input_tokens, Some(128_000));
    assert_eq!(info.max_output_tokens, Some(16_384));
    let usage = Usage {
        input_tokens: 1000,
        output_tokens: 10,
        cached_input_tokens: 400,
        reasoning_tokens: 4,
        ..Usage::default()
    };
    let want = 600 * 150_000 + 400 * 75_000 + 10 * 600_000;
    assert_eq!(info.price.cost(&usage).picos(), want);
}

#[test]
fn claude_counts_cache_writes_of_both_kinds() {
    let info = find("anthropic", "claude-opus-5-5").unwrap();
    assert_eq!(info.price.input.picos(), 4_000_000);
    assert_eq!(picos(info.price.cache_write), Some(5_000_000));
    assert_eq!(picos(info.price.cache_write_1h), Some(8_000_000));
    let usage = Usage {
        input_tokens: 100,
        output_tokens: 1,
        cached_input_tokens: 20,
        cache_write_tokens: 30,
        cache_write_1h_tokens: 40,
        reasoning_tokens: 0,
    };
    let want = 10 * 4_000_000 + 20 * 200_000 + 30 * 5_000_000 + 40 * 8_000_000 + 20_000_000;
    assert_eq!(info.price.cost(&usage).picos(), want);
    let worst = info.price.worst_case(100, 1).picos();
    assert_eq!(worst, 100 * 8_000_000 + 20_000_000);
    assert!(worst >= want);
}

#[test]
fn a_large_request_has_the_tiers_rates_as_a_whole() {
    let price = find("openai", "gpt-5.4").unwrap().price;
    let cost = |input_tokens| {
        let usage = Usage {
            input_tokens,
            output_tokens: 10,
            ..Usage::default()
        };
        price.cost(&usage).picos()
    };
    assert_eq!(cost(272_000), 272_000 * 2_500_000 + 10 * 15_000_000);
    assert_eq!(cost(272_001), 272_001 * 5_000_000 + 10 * 22_500_000);
    assert_eq!(price.worst_case(272_000, 10).picos(), cost(272_000));
    assert_eq!(price.worst_case(272_001, 10).picos(), cost(272_001));
}

#[test]
fn reasoning_tokens_may_have_a_rate_of_their_own() {
    let price = find("dashscope", "qwen-turbo").unwrap().price;
    let usage = Usage {
        output_tokens: 10,
        reasoning_tokens: 4,
        ..Usage::default()
    };
    assert_eq!(price.cost(&usage).picos(), 6 * 200_000 + 4 * 500_000);
}

#[test]
fn snapshots_and_prefixes_lead_to_the_model() {
    for (provider, model, name) in [
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
        ("openai", "gpt-4o-mini-2031-01-02", "gpt-4o-mini"),
        ("anthropic", "claude-opus-5-5-20310102", "claude-opus-5-5"),
        ("router", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("router", "openai/gpt-4o-mini-2031-01-02", "gpt-4o-mini"),
        ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        ("gemini", "gemini-2.5-flash", "gemini/gemini-2.5-flash"),
        (
            "openai",
            "ft:gpt-4o-mini-2024-07-18:acme::abc123",
            "ft:gpt-4o-mini-2024-07-18",
        ),
    ] {
        let info = find(provider, model);
        assert_eq!(info.map(|i| i.name).as_deref(), Some(name), "{model}");
    }
}

/// Fault 62: calls the cost unknown, never nothing.
#[test]
fn an_unknown_model_has_no_price_and_a_free_one_costs_nothing() {
    for model in ["no-such-model", "", "\"", "ft:no-such:x", "sample_spec"] {
        assert_eq!(find("openai", model), None, "{model}");
    }
    assert_eq!(find("mistral", "mistral-embed"), None);
    let free = find("codestral", "codestral-2405").unwrap().price;
    assert_eq!(free.worst_case(1000, 1000), Usd::ZERO);
}

#[test]
fn the_users_own_price_wins() {
    let own = |input| Price {
        input: Usd::from_picos(input),
        ..Price::default()
    };
    let mut prices = PriceTable::embedded();
    prices.set("gpt-4o", own(1));
    prices.set("mine/llama", own(2));
    prices.set("gemini-2.5-flash", own(3));
    let input = |provider, model| {
        let info = prices.find(provider, model)?;
        Some(info.price.input.picos())
    };
    assert_eq!(input("openai", "gpt-4o"), Some(1));
    assert_eq!(input("mine", "llama"), Some(2));
    assert_eq!(input("other", "llama"), None);
    assert_eq!(input("gemini", "gemini-2.5-flash"), Some(3));
    // A snapshot with a price of its own keeps it; one without has the user's.
    assert_eq!(input("openai", "gpt-4o-2024-05-13"), Some(5_000_000));
    assert_eq!(input("openai", "gpt-4o-2031-01-02"), Some(1));
    let info = prices.find("openai", "gpt-4o").unwrap();
    assert_eq!(info.max_output_tokens, Some(16_384));
    let found = prices.matching("llama");
    let mine = found.iter().find(|(name, _)| name == "mine/llama").unwrap();
    assert_eq!(mine.1.price, own(2));
}

#[test]
fn matching_is_sorted_and_knows_stars() {
    let prices = PriceTable::embedded();
    let names = |pattern| -> Vec<String> {
        let found = prices.matching(pattern);
        found.into_iter().map(|(name, _)| name).collect()
    };
    let starred = names("GPT-4o-mini*");
    assert_eq!(starred[0], "gpt-4o-mini");
    assert!(starred.is_sorted() && starred.iter().all(|n| n.starts_with("gpt-4o-mini")));
    assert!(names("gpt-4o-mini").len() > starred.len());
    assert_eq!(names("").len(), 3469);
    assert_eq!(names("no such model"), Vec::<String>::new());
}

#[test]
fn impossible_counts_do_not_make_money() {
    let price = find("openai", "gpt-4o-mini").unwrap().price;
    let usage = Usage {
        input_tokens: 1,
        cached_input_tokens: u64::MAX,
        cache_write_tokens: u64::MAX,
        reasoning_tokens: u64::MAX,
        ..Usage::default()
    };
    assert!(price.cost(&usage) > Usd::ZERO);
}
