//! Images on their way into a request.
//!
//! Owns what is an image: its kind by its first bytes, its bytes in base64. Never opens a file
//! and never follows an address.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::message::Image;

/// The alphabet for URLs, with or without padding: what browsers and some libraries write.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const UNPADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// What is said of data that is no image.
const UNKNOWN: &str = "the image is of no known kind (PNG, JPEG, GIF, WebP)";

/// An image.
#[derive(Debug)]
pub(super) struct Picture<'a>(Data<'a>);

#[derive(Debug)]
enum Data<'a> {
    Bytes(&'static str, &'a [u8]),
    /// Base64 with padding.
    Encoded(&'static str, Cow<'a, str>),
    Url(Cow<'a, str>),
}

/// Where an image is.
pub(super) enum Place<'p> {
    /// In the request.
    Inline { media_type: &'static str },
    /// At an address that the provider fetches.
    Url(&'p str),
}

impl<'a> Picture<'a> {
    /// An image in neutral terms.
    ///
    /// # Errors
    /// When it is of no known kind.
    pub(super) fn of(image: &'a Image) -> Result<Picture<'a>, &'static str> {
        match image {
            Image::Bytes { data, .. } => match Image::media_type_of(data) {
                Some(media_type) => Ok(Picture(Data::Bytes(media_type, data))),
                None => Err(UNKNOWN),
            },
            Image::Url(url) => Picture::at(Cow::Borrowed(url)),
        }
    }

    /// The image at an address, or in it when the address is a `data:` URL.
    ///
    /// # Errors
    /// When a `data:` URL holds no image in base64, or the address is no web address.
    pub(super) fn at(url: Cow<'a, str>) -> Result<Picture<'a>, &'static str> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("http" | "https" | "gs") => return Ok(Picture(Data::Url(url))),
            Some("data") => {}
            _ => return Err("the image is neither a data: URL nor a web address"),
        }
        let no_base64 = "the data: URL of an image is not in base64";
        let comma = url.find(',').ok_or(no_base64)?;
        let is_base64 = url[..comma].to_ascii_lowercase().ends_with(";base64");
        if !is_base64 {
            return Err(no_base64);
        }
        Picture::encoded(match url {
            Cow::Borrowed(url) => Cow::Borrowed(&url[comma + 1..]),
            Cow::Owned(url) => Cow::Owned(url[comma + 1..].to_owned()),
        })
    }

    /// An image in base64.
    ///
    /// # Errors
    /// When it is not base64, or an image of no known kind.
    pub(super) fn encoded(text: Cow<'a, str>) -> Result<Picture<'a>, &'static str> {
        let kind = |data: &[u8]| Image::media_type_of(data).ok_or(UNKNOWN);
        if let Ok(data) = STANDARD.decode(&*text) {
            return Ok(Picture(Data::Encoded(kind(&data)?, text)));
        }
        let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let data = UNPADDED.decode(&text).or_else(|_| URL_SAFE.decode(&text));
        let data = data.map_err(|_| "the data of an image is not base64")?;
        let text = STANDARD.encode(&data);
        Ok(Picture(Data::Encoded(kind(&data)?, Cow::Owned(text))))
    }

    /// Where it is.
    pub(super) fn place(&self) -> Place<'_> {
        match &self.0 {
            Data::Bytes(media_type, _) | Data::Encoded(media_type, _) => {
                Place::Inline { media_type }
            }
            Data::Url(url) => Place::Url(url),
        }
    }

    /// The length of its base64 in bytes; 0 for an address.
    pub(super) fn encoded_len(&self) -> usize {
        match &self.0 {
            Data::Bytes(_, data) => data.len().div_ceil(3) * 4,
            Data::Encoded(_, text) => text.len(),
            Data::Url(_) => 0,
        }
    }

    /// Writes its base64, without quotes; nothing for an address.
    pub(super) fn push_base64(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Data::Bytes(_, data) => {
                let start = out.len();
                out.resize(start + self.encoded_len(), 0);
                // The room is exactly what the encoding takes.
                let _ = STANDARD.encode_slice(data, &mut out[start..]);
            }
            Data::Encoded(_, text) => out.extend_from_slice(text.as_bytes()),
            Data::Url(_) => {}
        }
    }

    /// Writes the address as a JSON string: a `data:` URL for an image in the request.
    pub(super) fn push_url(&self, out: &mut Vec<u8>) {
        match self.place() {
            Place::Url(url) => crate::fields::push_json_str(out, url),
            Place::Inline { media_type } => {
                out.extend_from_slice(b"\"data:");
                out.extend_from_slice(media_type.as_bytes());
                out.extend_from_slice(b";base64,");
                self.push_base64(out);
                out.push(b'"');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIF: &[u8] = b"GIF89a\xff\xef\xbe";

    fn url(picture: &Picture<'_>) -> String {
        let mut out = Vec::new();
        picture.push_url(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn data_urls_are_checked_and_put_right() {
        let right = "data:image/gif;base64,R0lGODlh/+++";
        for text in [
            right,
            // Another name of the kind, the alphabet of URLs, line breaks.
            "DATA:image/png;charset=x;BASE64,R0lGODlh/+++",
            "data:;base64,R0lGODlh_---",
            "data:image/gif;base64,R0lG\r\nODlh /+++\n",
        ] {
            let picture = Picture::at(Cow::Borrowed(text)).unwrap();
            assert_eq!(url(&picture), format!("\"{right}\""), "{text}");
            assert_eq!(picture.encoded_len(), 12);
        }
        let bytes = Image::Bytes {
            media_type: "image/png".to_owned(),
            data: GIF.into(),
        };
        assert_eq!(url(&Picture::of(&bytes).unwrap()), format!("\"{right}\""));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (text, why) in [
            ("data:image/png,abc", "not in base64"),
            ("data:image/png;base64", "not in base64"),
            ("data:image/png;base64,%%%%", "not base64"),
            ("data:image/png;base64,aGVsbG8=", "no known kind"),
            ("data:image/png;base64,", "no known kind"),
            ("cat.png", "neither"),
            ("file:///etc/passwd", "neither"),
        ] {
            let fault = Picture::at(Cow::Borrowed(text)).unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }

    #[test]
    fn unpadded_data_gets_its_padding() {
        let picture = Picture::encoded(Cow::Borrowed("R0lGODlhAQ")).unwrap();
        assert_eq!(url(&picture), "\"data:image/gif;base64,R0lGODlhAQ==\"");
    }
}
