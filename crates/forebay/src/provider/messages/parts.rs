//! Reads the parts of a message of any dialect's form.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object::{Object, Place, written};
use super::read::{arguments, no_counterpart, result_text};
use crate::fields;
use crate::outcome::Failure;
use crate::provider::picture::Picture;
use crate::provider::turn::{Call, Given, Piece, Text};

/// Takes a message's content: a string, or a list of parts.
///
/// # Errors
/// When a part says what other dialects cannot.
pub(super) fn content<'a>(message: &mut Object<'a>) -> Result<Vec<Piece<'a>>, Failure> {
    let Some(raw) = message.take("content") else {
        return Ok(Vec::new());
    };
    if let Some(text) = written(raw) {
        return Ok(vec![Piece::Text(text)]);
    }
    let parts: Vec<&RawValue> =
        fields::decode(raw).map_err(|_| message.not("content", "a string or an array"))?;
    let place = |at| message.place.part("content", at);
    let parts = parts.into_iter().enumerate();
    parts.map(|(at, raw)| part(raw, place(at))).collect()
}

/// Reads a part in OpenAI's or Anthropic's form.
///
/// # Errors
/// When it says what other dialects cannot.
pub(super) fn part(raw: &RawValue, place: Place) -> Result<Piece<'_>, Failure> {
    if let Some(text) = written(raw) {
        return Ok(Piece::Text(text));
    }
    let mut part = Object::of(raw, place)?;
    let piece = match &*part.string("type")? {
        "text" | "input_text" | "output_text" => match part.text("text")? {
            Some(text) => Piece::Text(text),
            None => return Err(place.invalid("the part has no text")),
        },
        "image_url" | "input_image" => {
            let detail = part.string("detail")?;
            check_detail(place, &detail)?;
            Piece::Image(linked(&mut part)?)
        }
        "image" => Piece::Image(source(&mut part)?),
        "tool_use" => Piece::Call(Call {
            id: part.string("id")?,
            name: part.string("name")?,
            arguments: arguments(&mut part, "input")?,
        }),
        "tool_result" => Piece::Given(Given {
            id: part.string("tool_use_id")?,
            name: Cow::Borrowed(""),
            content: result_text(&mut part, "content")?,
            is_error: part.take("is_error").is_some_and(|raw| raw.get() == "true"),
        }),
        "" => return Err(place.invalid("the part has no type")),
        kind => return Err(no_counterpart(place, "a part", kind)),
    };
    part.end()?;
    Ok(piece)
}

/// Only one dialect can say how closely to look.
fn check_detail(place: Place, detail: &str) -> Result<(), Failure> {
    match detail {
        "" | "auto" => Ok(()),
        detail => Err(place.invalid(format!(
            "the image detail {detail:?} cannot be translated into another dialect; leave it out"
        ))),
    }
}

/// OpenAI's image: an address, or an object with one.
fn linked<'a>(part: &mut Object<'a>) -> Result<Picture<'a>, Failure> {
    let is_object = part
        .get("image_url")
        .is_some_and(|raw| raw.get().starts_with('{'));
    let url = if is_object {
        let mut inner = part.object("image_url")?;
        let detail = inner.string("detail")?;
        check_detail(part.place, &detail)?;
        let url = inner.string("url")?;
        inner.end()?;
        url
    } else {
        part.string("image_url")?
    };
    Picture::at(url).map_err(|why| part.place.invalid(why))
}

/// Anthropic's image.
fn source<'a>(part: &mut Object<'a>) -> Result<Picture<'a>, Failure> {
    let place = part.place;
    let mut source = part.object("source")?;
    let picture = match &*source.string("type")? {
        "base64" => {
            // What the data itself says counts.
            source.take("media_type");
            Picture::encoded(source.string("data")?)
        }
        "url" => Picture::at(source.string("url")?),
        kind => return Err(no_counterpart(place, "an image source", kind)),
    };
    source.end()?;
    picture.map_err(|why| place.invalid(why))
}

/// Takes the parts of a message in Gemini's form, with names in camel or in snake case.
///
/// # Errors
/// When a part says what other dialects cannot.
pub(super) fn gemini<'a>(message: &mut Object<'a>) -> Result<Vec<Piece<'a>>, Failure> {
    let place = message.place;
    let parts = message.list("parts")?.into_iter().enumerate();
    parts
        .map(|(at, raw)| gemini_part(raw, place.part("parts", at)))
        .collect()
}

fn gemini_part(raw: &RawValue, place: Place) -> Result<Piece<'_>, Failure> {
    let mut part = Object::of(raw, place)?;
    let inner = |raw| Object::of(raw, place);
    let piece = if let Some(text) = part.text("text")? {
        Piece::Text(text)
    } else if let Some(raw) = part.take_either("inlineData", "inline_data") {
        let mut data = inner(raw)?;
        // What the data itself says counts.
        data.take_either("mimeType", "mime_type");
        let picture = Picture::encoded(data.string("data")?);
        data.end()?;
        Piece::Image(picture.map_err(|why| place.invalid(why))?)
    } else if let Some(raw) = part.take_either("fileData", "file_data") {
        let mut file = inner(raw)?;
        let uri = file.take_either("fileUri", "file_uri");
        let kind = file
            .take_either("mimeType", "mime_type")
            .and_then(fields::as_str);
        if let Some(kind) = kind.filter(|kind| !kind.starts_with("image/")) {
            return Err(no_counterpart(place, "a file", &kind));
        }
        file.end()?;
        let uri = uri.and_then(fields::as_str).unwrap_or_default();
        Piece::Image(Picture::at(uri).map_err(|why| place.invalid(why))?)
    } else if let Some(raw) = part.take_either("functionCall", "function_call") {
        let mut call = inner(raw)?;
        let piece = Piece::Call(Call {
            id: call.string("id")?,
            name: call.string("name")?,
            arguments: arguments(&mut call, "args")?,
        });
        call.end()?;
        piece
    } else if let Some(raw) = part.take_either("functionResponse", "function_response") {
        let mut response = inner(raw)?;
        let piece = Piece::Given(gemini_given(&mut response)?);
        response.end()?;
        piece
    } else {
        return Err(place.invalid("the part cannot be translated into another dialect"));
    };
    part.end()?;
    Ok(piece)
}

/// What a function gave back: the object as JSON, or the text that is all it holds as `output`
/// or, when the function failed, as `error`.
fn gemini_given<'a>(response: &mut Object<'a>) -> Result<Given<'a>, Failure> {
    let id = response.string("id")?;
    let name = response.string("name")?;
    let given = response.take("response");
    let (content, is_error) = match given {
        None => (Text::Plain(Cow::Borrowed("")), false),
        Some(raw) => match fields::members(raw.get()).as_deref() {
            Ok([(name, value)]) if matches!(&**name, "output" | "error") => {
                let json = || Text::Plain(Cow::Borrowed(value.get()));
                (written(value).unwrap_or_else(json), name == "error")
            }
            Ok(_) => (Text::Plain(Cow::Borrowed(raw.get())), false),
            Err(_) => return Err(response.not("response", "an object")),
        },
    };
    Ok(Given {
        id,
        name,
        content,
        is_error,
    })
}
