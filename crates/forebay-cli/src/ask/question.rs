//! What is asked: words, pipes, files and pictures put together.
//!
//! Owns the text that goes to the models. Never asks.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use forebay::Client;
use forebay::client::ChatRequest;
use forebay::error::Error;
use forebay::message::Image;
use forebay::schema::Schema;
use forebay::source::load_image;

use crate::args::AskArgs;
use crate::config_file::AskDefaults;
use crate::plan;

/// The name under which standard input is handed on.
const STDIN: &str = "standard input";

/// A question, the same for all models.
#[derive(Debug)]
pub(super) struct Question {
    system: Option<String>,
    text: String,
    images: Vec<Image>,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    params: Vec<(String, String)>,
    schema: Option<(String, Schema)>,
    /// Whether answers are streamed.
    pub(super) streams: bool,
}

impl Question {
    /// Reads everything that belongs to the question.
    ///
    /// # Errors
    /// When a file cannot be read or used, or nothing is asked.
    pub(super) fn read(args: &AskArgs, defaults: &AskDefaults) -> Result<Question, Error> {
        let schema = args.schema.as_deref().map(plan::named_schema).transpose()?;
        let images = args.images.iter().map(|name| load_image(name));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        let mut documents = Vec::new();
        for path in &args.files {
            documents.push((path.display().to_string(), text_file(path)?));
        }
        let words = args.prompt.iter().filter(|word| *word != "-");
        let words = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        let reads_stdin = args.prompt.iter().any(|word| word == "-");
        if (reads_stdin || !std::io::stdin().is_terminal())
            && let Some(text) = standard_input()?
        {
            documents.push((STDIN.to_owned(), text));
        }
        let text = put_together(words.trim(), &documents).ok_or_else(|| {
            Error::config("nothing is asked")
                .with_hint("write forebay ask \"…\", or pipe a text into it")
        })?;
        Ok(Question {
            system: args.system.clone().or_else(|| defaults.system.clone()),
            text,
            images,
            max_tokens: args
                .max_tokens
                .or(defaults.max_tokens.map(std::num::NonZeroU32::get)),
            temperature: args.temperature.or(defaults.temperature.map(|t| t.0)),
            params: args.params.clone(),
            schema,
            streams: !args.no_stream,
        })
    }

    /// The question to one model.
    pub(super) fn to(&self, client: &Client, model: &str) -> ChatRequest {
        let mut request = client.chat(model).user(&self.text);
        for image in &self.images {
            request = request.image(image.clone());
        }
        if let Some(system) = &self.system {
            request = request.system(system);
        }
        if let Some(tokens) = self.max_tokens {
            request = request.max_tokens(tokens);
        }
        if let Some(temperature) = self.temperature {
            request = request.temperature(temperature);
        }
        for (name, json) in &self.params {
            request = request.param(name, json);
        }
        if let Some((name, schema)) = &self.schema {
            request = request.schema(name, schema.json().get());
        }
        request
    }

    /// What the answer has to fit.
    pub(super) fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref().map(|(_, schema)| schema)
    }
}

/// The words and the documents as one text; `None` when there are none.
///
/// A document alone is the prompt itself; otherwise each stands between tags that name it, which
/// models are trained to read.
fn put_together(words: &str, documents: &[(String, String)]) -> Option<String> {
    match (words, documents) {
        ("", []) => None,
        ("", [(_, text)]) => Some(text.clone()),
        (words, documents) => {
            let tagged = documents.iter().map(|(name, text)| {
                let name = name.replace('"', "'");
                let text = text.trim_end_matches(['\r', '\n']);
                format!("<document name=\"{name}\">\n{text}\n</document>")
            });
            let words = Some(words.to_owned()).filter(|words| !words.is_empty());
            Some(
                words
                    .into_iter()
                    .chain(tagged)
                    .collect::<Vec<_>>()
                    .join("\n\n"),
            )
        }
    }
}

/// What comes through standard input; `None` when that is nothing.
fn standard_input() -> Result<Option<String>, Error> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io(format!("cannot read {STDIN}: {error}")))?;
    let text = text(bytes, STDIN)?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

fn text_file(path: &Path) -> Result<String, Error> {
    text(bytes(path)?, &path.display().to_string())
}

fn text(bytes: Vec<u8>, place: &str) -> Result<String, Error> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::io(format!("{place} is no UTF-8 text, from byte {at} on"))
            .with_hint("convert it, or give a picture with --image")
    })?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path)
        .map_err(|error| Error::io(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_documents_become_one_text() {
        let document = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        assert_eq!(put_together("", &[]), None);
        assert_eq!(put_together("Hi", &[]).unwrap(), "Hi");
        let alone = [document("a.txt", "only me\n")];
        assert_eq!(put_together("", &alone).unwrap(), "only me\n");
        assert_eq!(
            put_together("Sum up", &alone).unwrap(),
            "Sum up\n\n<document name=\"a.txt\">\nonly me\n</document>"
        );
        let two = [document("a\"b", "1"), document(STDIN, "2\r\n\n")];
        assert_eq!(
            put_together("", &two).unwrap(),
            "<document name=\"a'b\">\n1\n</document>\n\n\
             <document name=\"standard input\">\n2\n</document>"
        );
    }
}
