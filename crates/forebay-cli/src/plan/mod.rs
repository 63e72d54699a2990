//! What a run is going to do: flags, environment and configuration, resolved and checked.
//!
//! Flags beat the environment, which beats the file. Nothing is sent and no item is read here.

mod cookbook;
mod endpoint;
mod output;
mod request;
mod shape;
mod whole;

use std::time::Duration;

use forebay::config::{Concurrency, EngineSettings, Limits, Packing, RetrySettings, Timeouts};
use forebay::endpoint::{Dialect, Endpoint};
use forebay::error::Error;
use forebay::journal::{Durability, Settings};
use forebay::price::ModelInfo;
use forebay::sink::Tool;
use forebay::source::{BodyModel, InputSpec, Prompting};

use whole::Whole;

pub(crate) use endpoint::{Server, named, route, server};
pub(crate) use output::{Destination, OutputPlan};
pub(crate) use shape::named_schema;

use crate::args::{DurabilityArg, RunArgs};
use crate::config_file::{ConfigFile, EndpointEntry, Positive, Seconds};

/// Everything that a run needs to know.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) input: InputSpec,
    pub(crate) prompting: Prompting,
    pub(crate) server: Server,
    pub(crate) model: Option<ModelInfo>,
    pub(crate) output: OutputPlan,
    pub(crate) settings: EngineSettings,
    pub(crate) durability: Durability,
    /// What makes this run the same as an earlier one.
    pub(crate) identity: Settings,
    /// What the user should know before anything is sent.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    /// Resolves and checks.
    ///
    /// # Errors
    /// When anything is missing, contradictory or out of range.
    pub(crate) fn resolve(args: &RunArgs) -> Result<Plan, Error> {
        let mut args = args.clone();
        let cookbook = cookbook::resolve(&mut args)?;
        let args = &args;
        let mut config = ConfigFile::find(args.to.config.as_deref())?;
        let mut input = request::input(args)?;
        let mut whole = Whole::look(args, &mut input)?;
        if let Some(whole) = &mut whole {
            config.run.forget_requests();
            if let Some(cookbook) = &cookbook {
                whole.is_in(cookbook.dialect);
            }
        }
        if args.embed {
            config.run.forget_answers();
        }
        let prompting = request::prompting(args, &config.run)?;
        let route = match &mut whole {
            Some(whole) => whole.route(args, &config)?,
            None => endpoint::route(model(args, &config)?, &args.to, &config)?,
        };
        let mut server = match args.embed {
            true => endpoint::embedder(&args.to, &config, &route.target)?,
            false => endpoint::server(&args.to, &config, &route.target)?,
        };
        let entry = server.entry(&config);
        let table = config.price_table();
        let model = table.find(server.price_name(), &route.model);
        if let Some(whole) = &whole {
            whole.settle(&mut server)?;
        }
        let shape = shape::shape(&args.shape, &config.run)?;
        let told = shape.as_ref().map(|shape| shape.told.clone());
        let prompting = Prompting {
            parameters: request::parameters(args, &config.run, (&route.model, told))?,
            body_model: whole
                .as_ref()
                .map_or_else(BodyModel::default, |whole| whole.body_model(&server)),
            ..prompting
        };
        let settings = EngineSettings {
            on_length: shape::on_length(&args.shape, &config.run, shape.is_some()),
            schema: shape.map(|shape| shape.check),
            ..settings(args, &config, entry, &prompting)
        };
        request::check(server.endpoint(), &prompting.parameters)?;
        if settings.max_cost.is_some() {
            // Vectors are no output tokens.
            let longest = settings.embed.map(|_| 0).or(settings.max_tokens);
            check_cap(model.as_ref(), &route.model, longest)?;
        }
        let tool = whole.as_ref().and_then(Whole::tool);
        let output = output::plan(args, tool)?;
        check_tool(&output, &server)?;
        let settings = EngineSettings {
            // Other tools' lines hold the provider's own answer.
            raw: settings.raw || output.tool.is_some(),
            ..settings
        };
        let mut identity = request::identity(&prompting, &server);
        let name = |tool: Option<Tool>| tool.map_or("", Tool::name).to_owned();
        identity.push(("format".into(), name(tool)));
        identity.push(("output-format".into(), name(output.tool)));
        Ok(Plan {
            input,
            identity,
            notes: cookbook.map(|cookbook| cookbook.notes).unwrap_or_default(),
            model,
            output,
            settings,
            durability: match args.durability {
                Some(DurabilityArg::Fsync) => Durability::Fsync,
                Some(DurabilityArg::Process) | None => Durability::Process,
            },
            server,
            prompting,
        })
    }

    /// The endpoint, once the simulated provider has its port.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.server.endpoint()
    }
}

/// Anthropic's results hold Anthropic's messages.
fn check_tool(output: &OutputPlan, server: &Server) -> Result<(), Error> {
    let dialect = server.endpoint().dialect;
    if output.tool == Some(Tool::AnthropicBatch) && dialect != Dialect::Anthropic {
        return Err(Error::config(format!(
            "--output-format anthropic-batch cannot hold answers in the dialect {}",
            dialect.name()
        ))
        .with_hint("use openai-batch, or leave it out for rows of Forebay's own"));
    }
    Ok(())
}

/// The model as the user names it.
fn model<'a>(args: &'a RunArgs, config: &'a ConfigFile) -> Result<&'a str, Error> {
    let named = args.model.as_ref().or(config.run.model.as_ref());
    named.map(String::as_str).ok_or_else(|| {
        Error::config("no model is named").with_hint(
            "give --model NAME, such as gpt-4o-mini, claude-haiku-4-5, or sim/gpt-4o to try \
             without a key",
        )
    })
}

fn file_cost(config: &ConfigFile) -> Option<forebay::money::Usd> {
    forebay::money::Usd::from_dollars(config.run.max_cost?.0)
}

/// A cap needs a price and a longest answer.
fn check_cap(model: Option<&ModelInfo>, name: &str, max_tokens: Option<u32>) -> Result<(), Error> {
    match model {
        None if name.is_empty() => Err(Error::config(
            "--max-cost cannot be kept: the requests' model is not known before they are read",
        )
        .with_hint("name it with --model NAME")),
        None => Err(Error::config(format!(
            "--max-cost cannot be kept: no price is known for {name}"
        ))
        .with_hint(format!("give one in forebay.toml under [prices.{name:?}]"))),
        Some(info) if max_tokens.is_none() && info.max_output_tokens.is_none() => Err(
            Error::config("--max-cost cannot be kept: the longest answer is not known")
                .with_hint("give --max-tokens"),
        ),
        Some(_) => Ok(()),
    }
}

fn settings(
    args: &RunArgs,
    config: &ConfigFile,
    endpoint: Option<&EndpointEntry>,
    prompting: &Prompting,
) -> EngineSettings {
    let run = &config.run;
    let concurrency = args
        .concurrency
        .or(run.concurrency.map(|n| n.0))
        .or_else(|| Some(endpoint?.concurrency?.0));
    let utilization = args
        .target_utilization
        .or(run.target_utilization.map(|share| share.0))
        .or_else(|| Some(endpoint?.target_utilization?.0));
    let seconds = |flag: Option<Duration>, file: Option<Seconds>| flag.or(file.map(|s| s.0));
    let timeouts = Timeouts::default();
    let retry = RetrySettings::default();
    EngineSettings {
        concurrency: concurrency.unwrap_or(Concurrency::DEFAULT),
        limits: limits(args, config, endpoint),
        target_utilization: utilization.unwrap_or(1.0),
        timeouts: Timeouts {
            total: seconds(args.timeout, run.timeout).unwrap_or(timeouts.total),
            connect: seconds(args.connect_timeout, run.connect_timeout).unwrap_or(timeouts.connect),
            first_byte: seconds(args.first_byte_timeout, run.first_byte_timeout)
                .unwrap_or(timeouts.first_byte),
            idle: seconds(args.idle_timeout, run.idle_timeout).unwrap_or(timeouts.idle),
        },
        retry: RetrySettings {
            max_attempts: args
                .max_attempts
                .or(run.max_attempts.map(|n| n.0))
                .unwrap_or(retry.max_attempts),
            max_wait: seconds(args.max_wait, run.max_wait).unwrap_or(retry.max_wait),
            ..retry
        },
        max_cost: args.max_cost.or(file_cost(config)),
        dedup: args.dedup,
        raw: args.raw,
        max_tokens: request::token_cap(&prompting.parameters),
        embed: args.embed.then(|| packing(args)),
        seed: fastrand::u64(..),
        ..EngineSettings::default()
    }
}

fn packing(args: &RunArgs) -> Packing {
    let usual = Packing::default();
    Packing {
        max_inputs: args.embed_batch.unwrap_or(usual.max_inputs),
        ..usual
    }
}

fn limits(args: &RunArgs, config: &ConfigFile, endpoint: Option<&EndpointEntry>) -> Limits {
    let run = &config.run;
    let of = endpoint
        .map(|entry| entry.limits.limits())
        .unwrap_or_default();
    let pick = |flag: Option<f64>, file: Option<Positive>, of: Option<f64>| {
        flag.or(file.map(|n| n.0)).or(of)
    };
    Limits {
        rps: pick(args.rps, run.rps, of.rps),
        rpm: pick(args.rpm, run.rpm, of.rpm),
        tpm: pick(args.tpm, run.tpm, of.tpm),
        itpm: pick(args.itpm, run.itpm, of.itpm),
        otpm: pick(args.otpm, run.otpm, of.otpm),
        rpd: args
            .rpd
            .or(run.rpd.map(std::num::NonZeroU64::get))
            .or(of.rpd),
    }
}
