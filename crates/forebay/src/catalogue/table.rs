//! The table of providers, a row each; a catalogue.
//!
//! Addresses, variables and what each provider does about rates are those of its documentation
//! and its official SDK. What could not be checked there says so.

use super::{
    Embeddings, HeaderVariable, KeyVariable, Provider, RateHeaders, Seed, UrlShape, UrlVariable,
};
use crate::endpoint::{Dialect, KeyHeader, TokenField};

/// All providers, in the order in which they are shown.
///
/// A row begins with name, base URL and key variables of a server that is compatible with OpenAI
/// chat completions; what follows says how it differs.
pub static PROVIDERS: [Provider; 20] = [
    compatible(
        "openai",
        "https://api.openai.com/v1",
        &key("OPENAI_API_KEY"),
    )
    .moved_by("OPENAI_BASE_URL", UrlShape::BaseUrl)
    .with_headers(&OPENAI_HEADERS)
    .new_token_field()
    .rates(RateHeaders::PerMinute)
    .notes("chat completions; the first choice of other compatible servers too, with --base-url"),
    compatible(
        "openai-responses",
        "https://api.openai.com/v1",
        &key("OPENAI_API_KEY"),
    )
    .speaks(Dialect::Responses)
    .moved_by("OPENAI_BASE_URL", UrlShape::BaseUrl)
    .with_headers(&OPENAI_HEADERS)
    .new_token_field()
    .rates(RateHeaders::PerMinute)
    .priced_as("openai")
    .notes("the same models through the responses API"),
    compatible("anthropic", "https://api.anthropic.com", &ANTHROPIC_KEYS)
        .speaks(Dialect::Anthropic)
        .moved_by("ANTHROPIC_BASE_URL", UrlShape::BaseUrl)
        .with_headers(&ANTHROPIC_HEADERS)
        .rates(RateHeaders::Anthropic)
        .embeds(Embeddings::None)
        .notes("every request needs a cap on output tokens; base URL without /v1"),
    compatible(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        &GEMINI_KEYS,
    )
    .speaks(Dialect::Gemini)
    .moved_by("GOOGLE_GEMINI_BASE_URL", UrlShape::Before("/v1beta"))
    .rates(RateHeaders::None)
    .embeds(Embeddings::At(
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ))
    .notes("waits stand in the error's body, not in headers"),
    // The v1 API, which needs no api-version; deployments go by their name as the model.
    compatible("azure", "", &AZURE_KEYS)
        .moved_by("AZURE_OPENAI_ENDPOINT", UrlShape::Before("/openai/v1"))
        .key_in(KeyHeader::ApiKey)
        .new_token_field()
        .rates(RateHeaders::Seconds)
        .notes("the model is the deployment's name; limits also hold over 1 s and 10 s"),
    compatible(
        "openrouter",
        "https://openrouter.ai/api/v1",
        &key("OPENROUTER_API_KEY"),
    )
    .rates(RateHeaders::Unknown)
    .notes("names look like meta-llama/llama-3.3-70b-instruct; an error may come with status 200"),
    compatible(
        "groq",
        "https://api.groq.com/openai/v1",
        &key("GROQ_API_KEY"),
    )
    .rates(RateHeaders::RequestsPerDay)
    .embeds(Embeddings::None)
    .notes("status 498 is a lack of capacity and is retried"),
    compatible(
        "together",
        "https://api.together.ai/v1",
        &key("TOGETHER_API_KEY"),
    )
    .rates(RateHeaders::PerSecond)
    .priced_as("together_ai")
    .notes("limits move with the load of each model"),
    // Which headers about rates are sent is not verified.
    compatible(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        &key("FIREWORKS_API_KEY"),
    )
    .rates(RateHeaders::Unknown)
    .priced_as("fireworks_ai")
    .notes("names look like accounts/fireworks/models/NAME"),
    compatible(
        "deepseek",
        "https://api.deepseek.com",
        &key("DEEPSEEK_API_KEY"),
    )
    .rates(RateHeaders::None)
    // Of the larger model, by its page on rate limits.
    .seeded(Seed::InFlight(500))
    .embeds(Embeddings::None)
    .notes("limits what is in flight, not rates; sends blank lines while a request is queued"),
    // Limits per second are possible; the headers are not verified.
    compatible(
        "mistral",
        "https://api.mistral.ai/v1",
        &key("MISTRAL_API_KEY"),
    )
    .rates(RateHeaders::Unknown)
    .notes("refuses members that it does not know; its seed is called random_seed"),
    // The headers are not verified.
    compatible("xai", "https://api.x.ai/v1", &key("XAI_API_KEY"))
        .rates(RateHeaders::Unknown)
        .embeds(Embeddings::None)
        .notes("limits per second are possible"),
    // From its documentation; not verified on the wire.
    compatible(
        "cerebras",
        "https://api.cerebras.ai/v1",
        &key("CEREBRAS_API_KEY"),
    )
    .new_token_field()
    .rates(RateHeaders::DayAndMinute)
    .embeds(Embeddings::None)
    .notes("requests are limited per minute, hour and day"),
    // That it lists no models is not verified.
    compatible("perplexity", "https://api.perplexity.ai", &PERPLEXITY_KEYS)
        .rates(RateHeaders::Unknown)
        .embeds(Embeddings::None)
        .notes("no /v1 in its paths; each request costs a fee that tokens do not show"),
    // The headers are not verified.
    compatible(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        &key("NVIDIA_API_KEY"),
    )
    .rates(RateHeaders::Unknown)
    .priced_as("nvidia_nim")
    .notes("the catalogue of hosted NIM models"),
    // The headers are not verified.
    compatible(
        "huggingface",
        "https://router.huggingface.co/v1",
        &key("HF_TOKEN"),
    )
    .rates(RateHeaders::Unknown)
    .embeds(Embeddings::None)
    .notes("the router; NAME:PROVIDER picks who serves a model"),
    local("ollama", "http://localhost:11434/v1", &[])
        .moved_by("OLLAMA_HOST", UrlShape::Host(11_434, "/v1"))
        // OLLAMA_NUM_PARALLEL, as long as nobody sets it; no page tells it.
        .seeded(Seed::InFlight(1))
        .notes("the first request loads the model, which may take minutes"),
    local("vllm", "http://localhost:8000/v1", &key("VLLM_API_KEY"))
        .seeded(Seed::VllmMetrics)
        .notes("queues without bound"),
    local(
        "llama.cpp",
        "http://localhost:8080/v1",
        &key("LLAMA_API_KEY"),
    )
    .seeded(Seed::LlamaProps)
    .notes("answers 503 while the model loads"),
    local("lmstudio", "http://localhost:1234/v1", &[])
        .notes("start its server in the developer view"),
];

const OPENAI_HEADERS: [HeaderVariable; 2] = [
    header("OPENAI_ORG_ID", Some("openai-organization")),
    header("OPENAI_PROJECT_ID", Some("openai-project")),
];
const ANTHROPIC_HEADERS: [HeaderVariable; 1] = [header("ANTHROPIC_CUSTOM_HEADERS", None)];
const ANTHROPIC_KEYS: [KeyVariable; 2] = [
    variable("ANTHROPIC_API_KEY"),
    bearer("ANTHROPIC_AUTH_TOKEN"),
];
/// Google's SDK takes the first when both are set.
const GEMINI_KEYS: [KeyVariable; 2] = [variable("GOOGLE_API_KEY"), variable("GEMINI_API_KEY")];
const AZURE_KEYS: [KeyVariable; 2] = [
    variable("AZURE_OPENAI_API_KEY"),
    bearer("AZURE_OPENAI_AD_TOKEN"),
];
const PERPLEXITY_KEYS: [KeyVariable; 2] =
    [variable("PERPLEXITY_API_KEY"), variable("PPLX_API_KEY")];

const fn variable(name: &'static str) -> KeyVariable {
    KeyVariable { name, header: None }
}

const fn key(name: &'static str) -> [KeyVariable; 1] {
    [variable(name)]
}

const fn bearer(name: &'static str) -> KeyVariable {
    KeyVariable {
        name,
        header: Some(KeyHeader::Bearer),
    }
}

const fn header(name: &'static str, header: Option<&'static str>) -> HeaderVariable {
    HeaderVariable { name, header }
}

/// A provider that is compatible with OpenAI chat completions; an empty base URL is none.
const fn compatible(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [KeyVariable],
) -> Provider {
    Provider {
        name,
        dialect: Dialect::Chat,
        base_url: if base_url.is_empty() {
            None
        } else {
            Some(base_url)
        },
        url_variable: None,
        key_variables,
        is_local: false,
        key_header: None,
        token_field: TokenField::MaxTokens,
        rate_headers: RateHeaders::Unknown,
        seed: Seed::None,
        header_variables: &[],
        embeddings: Embeddings::Here,
        price_name: name,
        notes: "",
    }
}

/// A compatible server of one's own, which sends no headers about rates.
const fn local(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [KeyVariable],
) -> Provider {
    Provider {
        is_local: true,
        rate_headers: RateHeaders::None,
        ..compatible(name, base_url, key_variables)
    }
}

impl Provider {
    const fn speaks(self, dialect: Dialect) -> Provider {
        Provider { dialect, ..self }
    }

    const fn moved_by(self, name: &'static str, holds: UrlShape) -> Provider {
        let url_variable = Some(UrlVariable { name, holds });
        Provider {
            url_variable,
            ..self
        }
    }

    const fn with_headers(self, header_variables: &'static [HeaderVariable]) -> Provider {
        Provider {
            header_variables,
            ..self
        }
    }

    const fn key_in(self, header: KeyHeader) -> Provider {
        Provider {
            key_header: Some(header),
            ..self
        }
    }

    const fn new_token_field(self) -> Provider {
        Provider {
            token_field: TokenField::MaxCompletionTokens,
            ..self
        }
    }

    const fn rates(self, rate_headers: RateHeaders) -> Provider {
        Provider {
            rate_headers,
            ..self
        }
    }

    const fn seeded(self, seed: Seed) -> Provider {
        Provider { seed, ..self }
    }

    const fn embeds(self, embeddings: Embeddings) -> Provider {
        Provider { embeddings, ..self }
    }

    const fn priced_as(self, price_name: &'static str) -> Provider {
        Provider { price_name, ..self }
    }

    const fn notes(self, notes: &'static str) -> Provider {
        Provider { notes, ..self }
    }
}
