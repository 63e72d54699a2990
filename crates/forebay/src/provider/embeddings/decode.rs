//! Reads an answer with vectors: base64 or decimals, in whatever order.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::input::InputOf;
use crate::fields;
use crate::outcome::{Failure, FailureKind, FinishReason, Outcome, Reply, Usage};
use crate::provider::errors::{Context, EMPTY_REPLY, holds_error};
use crate::provider::json::Scalar;

/// The vectors of one answer, in the order of the texts that they were asked for.
#[derive(Debug, Clone)]
pub struct Vectors {
    /// One for each text; all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// The model that answered, as the provider names it.
    pub model: Option<String>,
    /// Tokens of all texts together; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<Vec<Option<Datum<'a>>>>,
    #[serde(borrow, default)]
    model: Scalar<'a>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Datum<'a> {
    #[serde(borrow, default)]
    index: Scalar<'a>,
    #[serde(default)]
    embedding: Vector,
}

#[derive(Deserialize)]
struct Counts<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Scalar<'a>,
    #[serde(borrow, default)]
    total_tokens: Scalar<'a>,
}

/// Reads an answer with a status from 200 to 299 to a request for one vector.
pub(in crate::provider) fn decode(context: &Context<'_>) -> Outcome {
    read(context, 1).map(|vectors| vectors.into_reply().0)
}

impl Vectors {
    /// The reply of the first text, with the tokens of all, and the other texts' vectors.
    pub fn into_reply(self) -> (Reply, Vec<Vec<f32>>) {
        let mut vectors = self.vectors.into_iter();
        let reply = Reply {
            text: None,
            tool_calls: None,
            parsed: None,
            embedding: vectors.next(),
            finish_reason: FinishReason::Stop,
            model: self.model,
            usage: self.usage,
        };
        (reply, vectors.collect())
    }
}

/// Reads an answer with a status from 200 to 299 to a request with this body.
pub(in crate::provider) fn vectors(context: &Context<'_>, body: &[u8]) -> Result<Vectors, Failure> {
    read(
        context,
        InputOf::find(body).map_or(1, |input| input.count()),
    )
}

/// Reads so many vectors.
fn read(context: &Context<'_>, wanted: usize) -> Result<Vectors, Failure> {
    let list: List<'_> = context.object()?;
    let usage = list.usage.and_then(usage);
    if holds_error(list.error) {
        return Err(context.reported(usage));
    }
    let data = list.data.unwrap_or_default();
    if data.is_empty() {
        return Err(context.without_answer("the answer holds no embeddings", usage));
    }
    let vectors = sorted(data, wanted).map_err(|problem| match problem {
        Problem::Empty(what) => {
            context.failed(FailureKind::Malformed, Some(EMPTY_REPLY), &what, usage)
        }
        Problem::Wrong(what) => context.failed(FailureKind::Malformed, None, &what, usage),
    })?;
    Ok(Vectors {
        vectors,
        model: list.model.text().map(str::to_owned),
        usage,
    })
}

/// What is wrong with the vectors of an answer.
enum Problem {
    /// There is none where one should be.
    Empty(String),
    /// They are not what was asked for.
    Wrong(String),
}

/// The vectors by their `index`.
fn sorted(data: Vec<Option<Datum<'_>>>, wanted: usize) -> Result<Vec<Vec<f32>>, Problem> {
    let wrong = |what: String| Err(Problem::Wrong(what));
    if data.len() != wanted {
        let got = data.len();
        return wrong(format!(
            "the answer holds {got} embeddings for {wanted} texts"
        ));
    }
    let mut places: Vec<Option<Vec<f32>>> = Vec::new();
    places.resize_with(wanted, || None);
    for datum in data {
        let Some(datum) = datum else {
            return Err(Problem::Empty("an embedding of the answer is null".into()));
        };
        let Some(index) = datum.index.count().or((wanted == 1).then_some(0)) else {
            return wrong("an embedding of the answer has no index".into());
        };
        let place = usize::try_from(index).ok().and_then(|n| places.get_mut(n));
        let Some(place) = place else {
            return wrong(format!("the answer has index {index} for {wanted} texts"));
        };
        let vector = numbers(datum.embedding, index)?;
        if place.replace(vector).is_some() {
            return wrong(format!("the answer has two embeddings of index {index}"));
        }
    }
    // As many as wanted, none twice and none outside: none is missing.
    let vectors: Vec<Vec<f32>> = places.into_iter().flatten().collect();
    let length = vectors.first().map_or(0, Vec::len);
    match vectors.iter().find(|vector| vector.len() != length) {
        Some(other) => {
            let other = other.len();
            wrong(format!(
                "the answer has embeddings of {length} and of {other} numbers"
            ))
        }
        None => Ok(vectors),
    }
}

/// A vector's numbers, which must be some and finite.
fn numbers(vector: Vector, index: u64) -> Result<Vec<f32>, Problem> {
    let what = match vector {
        Vector::Absent => return Err(Problem::Empty(format!("embedding {index} is missing"))),
        Vector::Numbers(numbers) if numbers.is_empty() => {
            return Err(Problem::Empty(format!("embedding {index} is empty")));
        }
        Vector::Numbers(numbers) => match numbers.iter().position(|n| !n.is_finite()) {
            None => return Ok(numbers),
            Some(at) => format!("has no finite number at place {at}"),
        },
        Vector::NotBase64 => "is not base64".to_owned(),
        Vector::Length(bytes) => {
            format!("has {bytes} bytes, which are no whole numbers of 4 bytes")
        }
        Vector::Other => "is neither base64 nor a list of numbers".to_owned(),
    };
    Err(Problem::Wrong(format!("embedding {index} {what}")))
}

fn usage(raw: &RawValue) -> Option<Usage> {
    let counts: Counts<'_> = fields::decode(raw).ok()?;
    let input_tokens = counts
        .prompt_tokens
        .count()
        .or(counts.total_tokens.count())?;
    Some(Usage {
        input_tokens,
        ..Usage::default()
    })
}

/// A vector as it came.
#[derive(Debug, Default, PartialEq)]
enum Vector {
    /// Missing or `null`.
    #[default]
    Absent,
    Numbers(Vec<f32>),
    NotBase64,
    /// So many bytes are no whole numbers.
    Length(usize),
    Other,
}

impl Vector {
    /// Numbers of 4 bytes each, the lowest first.
    fn of_base64(text: &str) -> Vector {
        let Ok(bytes) = STANDARD.decode(text) else {
            return Vector::NotBase64;
        };
        let (numbers, rest) = bytes.as_chunks::<4>();
        match rest {
            [] => Vector::Numbers(numbers.iter().map(|n| f32::from_le_bytes(*n)).collect()),
            _ => Vector::Length(bytes.len()),
        }
    }
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vector;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64 or a list of numbers")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vector, E> {
        Ok(Vector::of_base64(text))
    }

    fn visit_unit<E>(self) -> Result<Vector, E> {
        Ok(Vector::Absent)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Vector, E> {
        Ok(Vector::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Vector, E> {
        Ok(Vector::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Vector, E> {
        Ok(Vector::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Vector, E> {
        Ok(Vector::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vector, A::Error> {
        let mut numbers = Vec::new();
        let mut other = false;
        while let Some(element) = seq.next_element::<Scalar<'de>>()? {
            match element {
                Scalar::Number(number) => numbers.push(number as f32),
                Scalar::Absent | Scalar::Text(_) | Scalar::Other => other = true,
            }
        }
        match other {
            true => Ok(Vector::Other),
            false => Ok(Vector::Numbers(numbers)),
        }
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Vector, A::Error> {
        use serde::de::IgnoredAny;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vector::Other)
    }
}
