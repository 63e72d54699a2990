//! `forebay ask`: a question to one model or several, answered on standard output.
//!
//! One model's answer is shown as it comes; of several, each is shown whole when it is there.
//! Owns no journal: nothing is kept, and what is interrupted is gone.

mod answer;
mod question;
mod screen;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use forebay::error::Error;
use forebay::outcome::{Failure, FailureKind};
use tokio::task::JoinSet;

use crate::args::AskArgs;
use crate::config_file::ConfigFile;
use crate::exit_code::Exit;
use crate::report::{PROXY_HINT, is_of_proxy, one_line, units, what_happened};
use crate::{models, network, plan, run};
use answer::{Answer, Asked, telling};
use question::Question;
use screen::Screen;

/// Asks.
///
/// # Errors
/// When nothing can be asked: no model, no key, no question.
pub(crate) fn ask(args: &AskArgs) -> Result<Exit, Error> {
    let config = ConfigFile::find(args.to.config.as_deref())?;
    let mut asked = all_asked(args, &config)?;
    let question = Question::read(args, &config.ask)?;
    let connector = network::connector()?;
    let mut is_told = args.json;
    let mut calls = Vec::new();
    for mut one in asked.drain(..) {
        network::start_simulator(&mut one.server, is_told)?;
        is_told |= one.server.is_simulated();
        let request = one.request(&question, (args.timeout, connector.clone()))?;
        let (name, alone) = (one.name.clone(), args.models.len() < 2);
        let request = telling(request, move |failure, after| {
            tell_retry(&name, alone, failure, after);
        });
        calls.push((one, request));
    }
    run::end_process_on_signals()?;
    let ended = match (calls.pop(), calls.is_empty()) {
        (Some(call), true) => network::block_on(one(args, call, &question)),
        (last, _) => {
            calls.extend(last);
            network::block_on(several(args, calls, question))
        }
    }?;
    match ended {
        Ok(exit) => Ok(exit),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::BrokenPipe),
        Err(error) => Err(Error::io(format!("cannot write the answer: {error}"))),
    }
}

/// The models, by flag or file, and where they are.
fn all_asked(args: &AskArgs, config: &ConfigFile) -> Result<Vec<Asked>, Error> {
    let by_file = || match &config.ask.model {
        Some(models) => models.names(),
        None => config.run.model.iter().cloned().collect(),
    };
    let names = match args.models.is_empty() {
        true => by_file(),
        false => args.models.clone(),
    };
    if names.is_empty() {
        return Err(Error::config("no model is named").with_hint(
            "give -m NAME, such as gpt-4o-mini, claude-haiku-4-5 or ollama/llama3.2, or sim/gpt-4o \
             to try without a key; a forebay.toml can name it under [ask]",
        ));
    }
    let table = config.price_table();
    let of = |name: String| {
        let route = plan::route(&name, &args.to, config)?;
        let server = plan::server(&args.to, config, &route.target)?;
        Ok(Asked {
            info: table.find(server.price_name(), &route.model),
            model: route.model,
            server,
            name,
        })
    };
    names.into_iter().map(of).collect()
}

type Call = (Asked, forebay::client::ChatRequest);

/// One model's answer, as it comes.
async fn one(args: &AskArgs, (asked, request): Call, question: &Question) -> io::Result<Exit> {
    let mut screen = Screen::new();
    let shows_pieces = !args.json && question.schema().is_none();
    let mut shown = |text: &str| match shows_pieces {
        true => screen.piece(text),
        false => Ok(()),
    };
    let answer = asked.answer(request, question, &mut shown).await?;
    if args.json {
        screen.json(&asked, &answer)?;
    } else {
        let has_text = answer
            .outcome
            .as_ref()
            .is_ok_and(|reply| reply.text.is_some());
        if !shows_pieces || !has_text {
            screen.piece(&screen::text(&answer))?;
        }
        screen.end_line()?;
    }
    match &answer.outcome {
        Ok(_) => {
            if let Some(warning) = screen::warning(&answer) {
                screen::note(&format!("forebay: {warning}"));
            }
            let by = answer.outcome.as_ref().ok().and_then(|r| r.model.clone());
            let name = by.unwrap_or_else(|| asked.name.clone());
            screen::aside(&format!("{name}: {}", screen::took(&answer)));
            Ok(Exit::Ok)
        }
        Err(failure) => {
            screen::note(&format!("error: {}", one_line(&what_happened(failure))));
            if let Some(hint) = hint(&asked, failure).await {
                screen::note(&format!(" hint: {}", one_line(&hint)));
            }
            Ok(Exit::SomeFailed)
        }
    }
}

/// Several models' answers, each when it is there.
async fn several(args: &AskArgs, calls: Vec<Call>, question: Question) -> io::Result<Exit> {
    let began = Instant::now();
    let question = Arc::new(question);
    let mut screen = Screen::new();
    let mut under_way = JoinSet::new();
    for (asked, request) in calls {
        let question = Arc::clone(&question);
        under_way.spawn(async move {
            let answer = asked.answer(request, &question, &mut |_| Ok(())).await;
            (asked, answer)
        });
    }
    let mut answers = Vec::new();
    while let Some(joined) = under_way.join_next().await {
        let (asked, answer) = joined.map_err(io::Error::other)?;
        let answer = answer?;
        match args.json {
            true => screen.json(&asked, &answer)?,
            false => screen.entry(&asked, &answer)?,
        }
        let name = one_line(&asked.name);
        if let Some(warning) = screen::warning(&answer) {
            screen::note(&format!("forebay: {name}: {warning}"));
        }
        if let Err(failure) = &answer.outcome
            && let Some(hint) = hint(&asked, failure).await
        {
            screen::note(&format!("{name}: {}", one_line(&hint)));
        }
        answers.push(answer);
    }
    screen::aside(&screen::total(began.elapsed(), &answers));
    let all_ok = answers.iter().all(|answer: &Answer| answer.outcome.is_ok());
    Ok(match all_ok {
        true => Exit::Ok,
        false => Exit::SomeFailed,
    })
}

/// What to do about a failure, where there is something to say.
async fn hint(asked: &Asked, failure: &Failure) -> Option<String> {
    match failure.kind {
        FailureKind::NotFound => {
            let served = models::not_served(&asked.server, &asked.model).await;
            let usual = "check the model's name (--model) and the base URL (--base-url)";
            Some(served.unwrap_or_else(|| usual.to_owned()))
        }
        FailureKind::Auth => Some(
            "check the API key: its environment variable, --api-key-env or --api-key-file".into(),
        ),
        FailureKind::Connect if is_of_proxy(failure) => Some(PROXY_HINT.into()),
        FailureKind::QuotaExhausted => Some("add credit at the provider".into()),
        FailureKind::Connect => {
            let url = &asked.server.endpoint().base_url;
            Some(format!("check that a server listens at {url}"))
        }
        _ => None,
    }
}

/// Says why nothing comes for a while.
fn tell_retry(name: &str, alone: bool, failure: &Failure, after: Duration) {
    let who = match alone {
        true => String::new(),
        false => format!("{name}: "),
    };
    let what = what_happened(failure);
    let wait = match after.is_zero() {
        true => String::new(),
        false => format!(" in {}", units::duration(after)),
    };
    screen::note(&one_line(&format!(
        "forebay: {who}{what}; trying again{wait}"
    )));
}
