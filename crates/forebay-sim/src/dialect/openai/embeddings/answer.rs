//! Writes embeddings.
//!
//! Owns the choice of vectors from seed and text alone. Never looks at the text itself.

use serde::{Serialize, Serializer};

use crate::dialect::{Completion, Details};
use crate::script::Oddity;

#[derive(Serialize)]
pub(in crate::dialect) struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Option<Vector>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// A vector's numbers, made when they are written.
struct Vector {
    seed: u64,
    dimensions: usize,
    base64: bool,
}

pub(in crate::dialect) fn embeddings<'a>(completion: &'a Completion<'_>) -> Embeddings<'a> {
    let (inputs, width, base64) = match &completion.details {
        Details::Embeddings {
            inputs,
            dimensions,
            base64,
        } => (&inputs[..], *dimensions, *base64),
        Details::None | Details::Choices(_) | Details::Response(_) | Details::Gemini { .. } => {
            (&[][..], 0, false)
        }
    };
    let embedding = |(index, seed): (usize, &u64)| Embedding {
        object: "embedding",
        index,
        embedding: match completion.oddity {
            Some(Oddity::NullContent) => None,
            Some(Oddity::EmptyText) => Some(0),
            _ => Some(width),
        }
        .map(|dimensions| Vector {
            seed: *seed,
            dimensions,
            base64,
        }),
    };
    Embeddings {
        object: "list",
        data: match completion.oddity {
            Some(Oddity::NoChoices) => Vec::new(),
            _ => inputs.iter().enumerate().map(embedding).collect(),
        },
        model: &completion.model,
        usage: (completion.oddity != Some(Oddity::NoUsage)).then_some(Usage {
            prompt_tokens: completion.input_tokens,
            total_tokens: completion.input_tokens,
        }),
    }
}

impl Vector {
    /// The numbers: evenly drawn, then scaled to length 1.
    fn numbers(&self) -> Vec<f32> {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let mut numbers: Vec<f32> = (0..self.dimensions)
            .map(|_| rng.f32() * 2.0 - 1.0)
            .collect();
        let squares: f64 = numbers
            .iter()
            .map(|number| f64::from(*number).powi(2))
            .sum();
        let length = squares.sqrt().max(f64::MIN_POSITIVE);
        for number in &mut numbers {
            *number = (f64::from(*number) / length) as f32;
        }
        numbers
    }
}

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = self.numbers();
        if !self.base64 {
            return numbers.serialize(serializer);
        }
        let bytes: Vec<u8> = numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        serializer.serialize_str(&base64(&bytes))
    }
}

/// Base64 with padding, as RFC 4648 has it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            text.push(match digit <= chunk.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = [
            "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy",
        ];
        assert_eq!(texts.map(|text| base64(text.as_bytes())), expected);
    }
}
