//! Reads the lines of a batch's file.
//!
//! Owns what is rejected of them. Never reads a request's body beyond its model and its inputs.

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::message::Text;
use crate::dialect::openai::parse_embeddings;
use crate::dialect::{Details, Operation};

/// The most lines of a batch; OpenAI's batch guide.
const MOST_LINES: usize = 50_000;

/// The most inputs of embeddings in a batch; OpenAI's batch guide.
const MOST_INPUTS: usize = 50_000;

/// The most problems of a file that are told; the simulator's own, to bound a batch's page.
const MOST_ERRORS: usize = 100;

/// What is wrong with a batch's file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Errors {
    object: &'static str,
    data: Vec<LineError>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LineError {
    code: &'static str,
    line: Option<usize>,
    message: String,
    param: Option<&'static str>,
}

/// One request of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BatchLine {
    pub(crate) custom_id: String,
    /// The place of its body in the file.
    pub(crate) body: Range<usize>,
}

/// The requests of a batch, and their model.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct BatchLines {
    pub(crate) lines: Vec<BatchLine>,
    pub(crate) model: Option<String>,
    inputs: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: Option<String>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Reads the requests of a file, or says what is wrong with it.
pub(crate) fn read_lines(
    file: &[u8],
    operation: Operation,
    endpoint: &str,
) -> Result<BatchLines, Errors> {
    let mut reader = Reader {
        file,
        operation,
        endpoint,
        ids: HashSet::new(),
        read: BatchLines::default(),
        errors: Vec::new(),
    };
    let whole = file.strip_suffix(b"\n").unwrap_or(file);
    if whole.is_empty() {
        reader.complain(None, "empty_file", "The input file is empty.", None);
    } else {
        for (at, line) in whole.split(|byte| *byte == b'\n').enumerate() {
            if at == MOST_LINES {
                let message = format!("The input file has more than {MOST_LINES} requests.");
                reader.complain(None, "too_many_requests", message, None);
            }
            if at >= MOST_LINES || reader.errors.len() == MOST_ERRORS {
                break;
            }
            reader.line(at + 1, line);
        }
    }
    if reader.read.inputs > MOST_INPUTS {
        let message = format!("The input file has more than {MOST_INPUTS} embedding inputs.");
        reader.complain(None, "too_many_embedding_inputs", message, None);
    }
    match reader.errors.is_empty() {
        true => Ok(reader.read),
        false => Err(Errors {
            object: "list",
            data: reader.errors,
        }),
    }
}

struct Reader<'a> {
    file: &'a [u8],
    operation: Operation,
    endpoint: &'a str,
    ids: HashSet<String>,
    read: BatchLines,
    errors: Vec<LineError>,
}

impl Reader<'_> {
    fn complain(
        &mut self,
        line: Option<usize>,
        code: &'static str,
        message: impl Into<String>,
        param: Option<&'static str>,
    ) {
        self.errors.push(LineError {
            code,
            line,
            message: message.into(),
            param,
        });
    }

    fn line(&mut self, at: usize, bytes: &[u8]) {
        let at = Some(at);
        let Ok(line) = serde_json::from_slice::<Line<'_>>(bytes) else {
            let message = "This line is not parseable as valid JSON.";
            return self.complain(at, "invalid_json_line", message, None);
        };
        let fields = [
            ("custom_id", line.custom_id.is_some()),
            ("method", line.method.is_some()),
            ("url", line.url.is_some()),
            ("body", line.body.is_some()),
        ];
        let (Some(custom_id), Some(method), Some(url), Some(body)) =
            (line.custom_id, line.method, line.url, line.body)
        else {
            let missing = fields.iter().find(|(_, there)| !there);
            let name = missing.map_or("", |(name, _)| name);
            let message = format!("Missing required parameter: '{name}'.");
            return self.complain(at, "missing_required_parameter", message, Some(name));
        };
        if method.0 != "POST" {
            let message = format!("Invalid method: '{}'. Only 'POST' is supported.", method.0);
            return self.complain(at, "invalid_method", message, Some("method"));
        }
        if url.0 != self.endpoint {
            let message = "The URL provided for this request does not match the batch endpoint.";
            return self.complain(at, "mismatched_url", message, Some("url"));
        }
        if !body.get().starts_with('{') {
            let message = "The body of a request must be a JSON object.";
            return self.complain(at, "invalid_body", message, Some("body"));
        }
        if !self.ids.insert(custom_id.clone()) {
            let message = "The custom_id for this request is a duplicate of another request. \
                           The custom_id parameter must be unique for each request in a batch.";
            return self.complain(at, "duplicate_custom_id", message, Some("custom_id"));
        }
        self.model(at, body);
        let start = body.get().as_ptr().addr() - self.file.as_ptr().addr();
        self.read.lines.push(BatchLine {
            custom_id,
            body: start..start + body.get().len(),
        });
    }

    /// All requests are for the model of the first.
    fn model(&mut self, at: Option<usize>, body: &RawValue) {
        #[derive(Default, Deserialize)]
        struct Body<'a> {
            #[serde(borrow, default)]
            model: Option<Text<'a>>,
        }
        let body_of: Body<'_> = serde_json::from_str(body.get()).unwrap_or_default();
        let model = body_of.model.unwrap_or_default().0;
        match &self.read.model {
            None => self.read.model = Some(model.into_owned()),
            Some(first) if *first == model => {}
            Some(first) => {
                let message = format!(
                    "The provided model '{model}' in this request does not match the model \
                     '{first}' of the first request. All requests of a batch must use the same \
                     model."
                );
                self.complain(at, "mismatched_model", message, Some("body.model"));
            }
        }
        if self.operation == Operation::Embeddings {
            let parsed = parse_embeddings(body.get().as_bytes());
            if let Details::Embeddings { inputs, .. } = parsed.ask.details {
                self.read.inputs += inputs.len();
            }
        }
    }
}
