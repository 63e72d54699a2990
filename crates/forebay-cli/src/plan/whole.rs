//! Runs of whole requests: which flags have no meaning for them, where they go, and what they
//! have to say of their model.

use forebay::endpoint::Dialect;
use forebay::error::Error;
use forebay::route::{self, Route, Target};
use forebay::sink::Tool;
use forebay::source::{BodyModel, FirstLook, Format, InputSpec, Requests};

use super::endpoint::{self, Server};
use crate::args::{OnLengthArg, RunArgs};
use crate::config_file::ConfigFile;

/// Requests that are sent as they are.
#[derive(Debug)]
pub(super) struct Whole {
    kind: Requests,
    model: Option<String>,
    dialect: Option<Dialect>,
}

impl Whole {
    /// Looks whether the input holds whole requests, and says so in `input`.
    ///
    /// # Errors
    /// When files of different kinds are mixed, or a flag has no meaning for whole requests.
    pub(super) fn look(args: &RunArgs, input: &mut InputSpec) -> Result<Option<Whole>, Error> {
        if args.raw_requests {
            if let Some(format) = args.format.as_deref().filter(|format| *format != "jsonl") {
                return Err(Error::config(format!(
                    "--raw-requests cannot go with --format {format}"
                ))
                .with_hint("its input is JSON Lines, a request body a line"));
            }
            input.format = Some(Format::Requests(Requests::Bodies));
        }
        let look = FirstLook::at(input)?;
        let Some(kind) = look.requests else {
            return Ok(None);
        };
        input.format = Some(Format::Requests(kind));
        refuse(args, kind)?;
        Ok(Some(Whole {
            kind,
            model: look.model,
            dialect: look.dialect,
        }))
    }

    /// What the files are called as the value of a flag; `None` for bodies by themselves.
    pub(super) fn tool(&self) -> Option<Tool> {
        match self.kind {
            Requests::Bodies => None,
            Requests::OpenAiBatch => Some(Tool::OpenAiBatch),
            Requests::AnthropicBatch => Some(Tool::AnthropicBatch),
            Requests::Cookbook => Some(Tool::Cookbook),
        }
    }

    /// Says which dialect the requests are written in, when something else than they tells it.
    pub(super) fn is_in(&mut self, dialect: Dialect) {
        self.dialect = Some(dialect);
    }

    /// Finds the endpoint. The bodies name the model; the flag only says where they go.
    pub(super) fn route(&mut self, args: &RunArgs, config: &ConfigFile) -> Result<Route, Error> {
        let mut route = match (&args.model, &args.to.provider) {
            (Some(model), _) => self.by_flag(model, args, config)?,
            (None, Some(provider)) => Route {
                target: route::target(provider, &endpoint::named(config))?,
                model: String::new(),
            },
            (None, None) => self.by_itself(config)?,
        };
        if let Target::Simulated(dialect) = &mut route.target {
            *dialect = self.own_dialect().unwrap_or(*dialect);
        }
        if let Some(model) = &self.model {
            route.model.clone_from(model);
        } else if matches!(route.target, Target::Simulated(_)) {
            // What stands behind `sim/` is no model that the bodies would have to name.
            route.model.clear();
        }
        self.model = Some(route.model.clone()).filter(|model| !model.is_empty());
        Ok(route)
    }

    fn by_flag(&self, model: &str, args: &RunArgs, config: &ConfigFile) -> Result<Route, Error> {
        let route = endpoint::route(model, &args.to, config)?;
        let is_simulated = matches!(route.target, Target::Simulated(_));
        match &self.model {
            Some(named) if !is_simulated && *named != route.model => Err(Error::config(format!(
                "--model {model} does not change the requests, which name {named}"
            ))
            .with_hint("leave --model out, and say where they go with --provider or --base-url")),
            _ => Ok(route),
        }
    }

    fn by_itself(&self, config: &ConfigFile) -> Result<Route, Error> {
        let own = match self.kind {
            Requests::OpenAiBatch | Requests::Cookbook => "openai",
            Requests::AnthropicBatch => "anthropic",
            Requests::Bodies => {
                let model = self.model.as_deref().ok_or_else(|| {
                    Error::config("no model is named").with_hint(
                        "say where the requests go with --provider or --model, such as \
                         --provider openai",
                    )
                })?;
                return route::route(model, None, &endpoint::named(config));
            }
        };
        Ok(Route {
            target: route::target(own, &endpoint::named(config))?,
            model: String::new(),
        })
    }

    fn own_dialect(&self) -> Option<Dialect> {
        match self.kind {
            Requests::OpenAiBatch | Requests::Cookbook => {
                Some(self.dialect.unwrap_or(Dialect::Chat))
            }
            Requests::AnthropicBatch => Some(Dialect::Anthropic),
            Requests::Bodies => None,
        }
    }

    /// Makes the server one for these requests.
    ///
    /// # Errors
    /// When it speaks another dialect, or one whose requests do not name their model.
    pub(super) fn settle(&self, server: &mut Server) -> Result<(), Error> {
        let spoken = server.endpoint().dialect;
        let fits = match self.own_dialect() {
            None => true,
            Some(Dialect::Anthropic) => spoken == Dialect::Anthropic,
            Some(_) => !matches!(spoken, Dialect::Anthropic | Dialect::Gemini),
        };
        if !fits {
            return Err(Error::config(format!(
                "{} cannot take {}: it is asked in the dialect {}",
                server.endpoint().name,
                self.kind.described(),
                spoken.name()
            ))
            .with_hint("name another endpoint with --provider"));
        }
        if let Some(own) = self.own_dialect() {
            server.speak(own);
        } else if spoken == Dialect::Gemini && self.model.is_none() {
            return Err(
                Error::config("no model is named: it stands in the path, not in the body")
                    .with_hint("give --model NAME"),
            );
        }
        Ok(())
    }

    /// What each body has to say of its model.
    pub(super) fn body_model(&self, server: &Server) -> BodyModel {
        match &self.model {
            _ if server.endpoint().dialect == Dialect::Gemini => BodyModel::Any,
            Some(model) => BodyModel::Is(model.clone()),
            None => BodyModel::Needed,
        }
    }
}

/// Refuses flags that would change a request.
fn refuse(args: &RunArgs, kind: Requests) -> Result<(), Error> {
    let retries_cut = args.shape.on_length == Some(OnLengthArg::Retry);
    let given = [
        ("--prompt", args.prompt.is_some()),
        ("--prompt-file", args.prompt_file.is_some()),
        ("--system", args.system.is_some()),
        ("--system-file", args.system_file.is_some()),
        ("--max-tokens", args.max_tokens.is_some()),
        ("--temperature", args.temperature.is_some()),
        ("--top-p", args.top_p.is_some()),
        ("--stop", !args.stops.is_empty()),
        ("--seed", args.seed.is_some()),
        ("--image", !args.images.is_empty()),
        ("--tools", args.tools.is_some()),
        ("--tool-choice", args.tool_choice.is_some()),
        ("--param", !args.params.is_empty()),
        ("--stream", args.stream.is_some()),
        ("--embed", args.embed),
        ("--schema", args.shape.schema.is_some()),
        ("--on-length retry", retries_cut),
        ("--id-field", args.id_field.is_some() && kind.is_batch()),
    ];
    let Some((flag, _)) = given.iter().find(|(_, given)| *given) else {
        return Ok(());
    };
    if args.raw_requests {
        return Err(
            Error::config(format!("{flag} cannot go with --raw-requests"))
                .with_hint("the bodies are sent as they are: put it into them, or leave one out"),
        );
    }
    let fault = format!("{flag} cannot go with {}", kind.described());
    let error = Error::config(fault);
    Err(match args.format {
        Some(_) => error.with_hint("its requests are sent as they are"),
        None => error.with_hint(
            "its requests are sent as they are; with --format jsonl its lines are items",
        ),
    })
}
