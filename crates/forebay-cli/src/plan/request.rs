//! What is asked: input, templates, parameters, and what identifies them.

use std::path::Path;
use std::sync::Arc;

use forebay::endpoint::Endpoint;
use forebay::error::Error;
use forebay::item::{Content, Parameters, Request};
use forebay::journal::{Key, Settings};
use forebay::message::{AnswerSchema, Tool, ToolChoice};
use forebay::provider;
use forebay::source::{Format, InputSpec, Location, Prompting};
use serde_json::value::RawValue;

use super::endpoint::Server;
use crate::args::{RunArgs, StreamArg};
use crate::config_file::RunDefaults;

/// The cap on output tokens above which answers are streamed when nobody says otherwise.
///
/// Anthropic's SDK refuses to ask for more in one piece: it reckons with 128,000 tokens an hour,
/// and connections that are silent for more than ten minutes get lost.
const LONG_ANSWER: u32 = 21_333;

/// The input as it is to be read.
pub(super) fn input(args: &RunArgs) -> Result<InputSpec, Error> {
    let locations: Vec<_> = args
        .inputs
        .iter()
        .map(|path| {
            if path == Path::new("-") {
                Location::Stdin
            } else {
                Location::Path(path.clone())
            }
        })
        .collect();
    let stdins = locations
        .iter()
        .filter(|place| matches!(place, Location::Stdin));
    if stdins.count() > 1 {
        return Err(Error::config("standard input (-) is named more than once"));
    }
    Ok(InputSpec {
        locations,
        format: args.format.as_deref().and_then(Format::by_name),
        offset: args.offset.unwrap_or(0),
        limit: args.limit,
    })
}

/// The templates, from flags, files and configuration.
pub(super) fn prompting(args: &RunArgs, run: &RunDefaults) -> Result<Prompting, Error> {
    let by_flag = args.prompt.is_some() || args.prompt_file.is_some();
    let system_by_flag = args.system.is_some() || args.system_file.is_some();
    let prompt = if by_flag {
        text_or_file(args.prompt.as_ref(), args.prompt_file.as_deref())?
    } else {
        text_or_file(run.prompt.as_ref(), run.prompt_file.as_deref())?
    };
    let system = if system_by_flag {
        text_or_file(args.system.as_ref(), args.system_file.as_deref())?
    } else {
        text_or_file(run.system.as_ref(), run.system_file.as_deref())?
    };
    Ok(Prompting {
        prompt,
        system,
        images: args.images.clone(),
        id_field: args.id_field.clone().or_else(|| run.id_field.clone()),
        // The parameters need the model's name, which is resolved later.
        ..Prompting::default()
    })
}

fn text_or_file(text: Option<&String>, file: Option<&Path>) -> Result<Option<String>, Error> {
    if let Some(text) = text {
        return Ok(Some(text.clone()));
    }
    let Some(path) = file else { return Ok(None) };
    let read = std::fs::read_to_string(path).map_err(|error| {
        Error::io(format!(
            "cannot read the template {}: {error}",
            path.display()
        ))
    })?;
    // Editors end files with a line break that nobody means to send.
    let text = read.strip_suffix('\n').unwrap_or(&read);
    Ok(Some(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

/// The parameters that all requests have in common.
pub(super) fn parameters(
    args: &RunArgs,
    run: &RunDefaults,
    (model, schema): (&str, Option<AnswerSchema>),
) -> Result<Arc<Parameters>, Error> {
    let mut extra: Vec<(String, Box<RawValue>)> = Vec::new();
    let mut put = |name: &str, json: String| -> Result<(), Error> {
        let value = RawValue::from_string(json)
            .map_err(|error| Error::config(format!("parameter {name} is not JSON: {error}")))?;
        extra.retain(|(known, _)| known != name);
        extra.push((name.to_owned(), value));
        Ok(())
    };
    for (name, value) in &run.params {
        put(name, value.to_string())?;
    }
    for (name, json) in &args.params {
        put(name, json.clone())?;
    }
    if let Some(n) = args.dimensions {
        put("dimensions", n.to_string())?;
    }
    if args.embed && extra.iter().any(|(name, _)| name == "input") {
        return Err(Error::config(
            "--param input cannot go with --embed: the text is the item's own",
        )
        .with_hint("name another field with --prompt \"{{ FIELD }}\""));
    }
    if extra
        .iter()
        .any(|(name, value)| name == "stream" && value.get() != "false")
    {
        return Err(
            Error::config("--param stream cannot be set: it has a flag of its own")
                .with_hint("use --stream"),
        );
    }
    if extra
        .iter()
        .any(|(name, value)| name == "n" && value.get() != "1")
    {
        return Err(
            Error::config("--param n cannot be set: only one answer has a place in a row")
                .with_hint("repeat the items in the input instead"),
        );
    }
    let parameters = Parameters {
        model: model.to_owned(),
        max_tokens: args
            .max_tokens
            .or(run.max_tokens.map(std::num::NonZeroU32::get)),
        temperature: args.temperature.or(run.temperature.map(|t| t.0)),
        schema,
        top_p: args.top_p,
        stop: args.stops.clone(),
        seed: args.seed,
        tools: tools(args)?,
        tool_choice: args.tool_choice.as_deref().map(tool_choice),
        extra,
        ..Parameters::default()
    };
    Ok(Arc::new(Parameters {
        stream: match args.stream.or(run.stream).unwrap_or(StreamArg::Auto) {
            StreamArg::On => true,
            StreamArg::Off => false,
            StreamArg::Auto => token_cap(&parameters) > Some(LONG_ANSWER),
        },
        ..parameters
    }))
}

/// The tools of a file.
fn tools(args: &RunArgs) -> Result<Vec<Tool>, Error> {
    let Some(path) = &args.tools else {
        return Ok(Vec::new());
    };
    let path_shown = path.display();
    let json = std::fs::read_to_string(path)
        .map_err(|error| Error::io(format!("cannot read the tools {path_shown}: {error}")))?;
    provider::read_tools(&json).map_err(|error| {
        let told = Error::config(format!("{path_shown}: {error}"));
        match error.hint() {
            Some(hint) => told.with_hint(hint),
            None => told,
        }
    })
}

fn tool_choice(text: &str) -> ToolChoice {
    match text {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "required" => ToolChoice::Required,
        name => ToolChoice::Named(name.to_owned()),
    }
}

/// Checks that the endpoint's dialect can say what all requests have in common.
///
/// # Errors
/// When it cannot, which would make every item unusable.
pub(super) fn check(endpoint: &Endpoint, parameters: &Arc<Parameters>) -> Result<(), Error> {
    let request = Request {
        shared: Arc::clone(parameters),
        system: None,
        content: Content::Prompt("x".to_owned()),
    };
    match provider::encode(endpoint, &request) {
        Ok(_) => Ok(()),
        Err(failure) => Err(Error::config(failure.message)),
    }
}

/// The cap on output tokens that the provider will see: a parameter beats the flag.
pub(super) fn token_cap(parameters: &Parameters) -> Option<u32> {
    let by_parameter = parameters
        .extra
        .iter()
        .filter(|(name, _)| {
            matches!(
                name.as_str(),
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" | "maxOutputTokens"
            )
        })
        .filter_map(|(_, value)| value.get().parse().ok())
        .max();
    by_parameter.or(parameters.max_tokens)
}

fn schema_identity(parameters: &Parameters) -> String {
    let Some(schema) = &parameters.schema else {
        return "none".to_owned();
    };
    let hash = Key::of("schema", schema.schema.get().as_bytes());
    format!("hash:{:032x} {} {:?}", hash.0, schema.name, schema.mode)
}

/// What makes two runs the same one: what their requests are made of.
///
/// Prompts are given as hashes: they are the user's own matter, and may be long.
pub(super) fn identity(prompting: &Prompting, server: &Server) -> Settings {
    let hash = |text: &Option<String>| match text {
        Some(text) => format!("hash:{:032x}", Key::of("template", text.as_bytes()).0),
        None => "none".to_owned(),
    };
    let parameters = &prompting.parameters;
    let or_default = |value: Option<String>| value.unwrap_or_else(|| "default".to_owned());
    let mut identity: Settings = vec![
        ("endpoint".into(), server.endpoint().name.clone()),
        ("provider".into(), server.endpoint().dialect.name().into()),
        ("model".into(), parameters.model.clone()),
        ("prompt".into(), hash(&prompting.prompt)),
        ("system".into(), hash(&prompting.system)),
        (
            "max-tokens".into(),
            or_default(parameters.max_tokens.map(|n| n.to_string())),
        ),
        (
            "temperature".into(),
            or_default(parameters.temperature.map(|t| t.to_string())),
        ),
        ("id-field".into(), or_default(prompting.id_field.clone())),
        ("schema".into(), schema_identity(parameters)),
    ];
    let mut extra: Vec<_> = parameters.extra.iter().collect();
    extra.sort_by(|a, b| a.0.cmp(&b.0));
    let params: Vec<_> = extra
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    identity.push(("param".into(), params.join(" ")));
    identity.extend(further_identity(prompting));
    identity
}

/// What is told only when somebody sets it, so that journals without it stay good.
fn further_identity(prompting: &Prompting) -> Settings {
    let hash = |texts: &[String]| {
        let text = texts.join("\n");
        format!("hash:{:032x}", Key::of("template", text.as_bytes()).0)
    };
    let parameters = &prompting.parameters;
    let tools = parameters.tools.iter().map(|tool| {
        let description = tool.description.as_deref().unwrap_or_default();
        let strict = if tool.strict { "strict" } else { "" };
        [&tool.name, description, tool.parameters.get(), strict].join("\n")
    });
    let tools: Vec<String> = tools.collect();
    let choice = parameters.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::Auto => "auto".to_owned(),
        ToolChoice::None => "none".to_owned(),
        ToolChoice::Required => "required".to_owned(),
        ToolChoice::Named(name) => name.clone(),
    });
    let many = |list: &[String]| (!list.is_empty()).then(|| hash(list));
    [
        ("image", many(&prompting.images)),
        ("tools", many(&tools)),
        ("tool-choice", choice),
        ("top-p", parameters.top_p.map(|p| p.to_string())),
        ("stop", many(&parameters.stop)),
        ("seed", parameters.seed.map(|seed| seed.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}
