//! An image that an item names.
//!
//! Owns the choice between a file and an address, and the reading of the file. Never follows an
//! address.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::Error;
use crate::message::Image;

/// The largest file that is read: no provider takes a larger request.
const MOST_BYTES: u64 = 100 * 1024 * 1024;

/// What an address begins with.
const ADDRESSES: [&str; 4] = ["http:", "https:", "gs:", "data:"];

/// The image of this name: an address, which is not looked at, or a file that is read.
///
/// # Errors
/// When the file cannot be read, is larger than 100 MiB, or is no image.
pub fn load_image(name: &str) -> Result<Image, Error> {
    load(name).map_err(Error::io)
}

/// The image of this name: an address, or a file that is read.
///
/// # Errors
/// When the file cannot be read, is too large, or is no image.
pub(super) fn load(name: &str) -> Result<Image, String> {
    let name = name.trim();
    if name.is_empty() {
        return Err("the image template gives no path and no address".to_owned());
    }
    let is_address = |start: &str| {
        let head = name.get(..start.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    if ADDRESSES.iter().any(|start| is_address(start)) {
        return Ok(Image::Url(name.to_owned()));
    }
    let bytes =
        read(Path::new(name)).map_err(|why| format!("cannot read the image {name}: {why}"))?;
    Image::from_bytes(bytes)
        .map_err(|_| format!("the file {name} is no image of a known kind (PNG, JPEG, GIF, WebP)"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    // A pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let too_large = || format!("larger than {MOST_BYTES} bytes");
    if metadata.len() > MOST_BYTES {
        return Err(too_large());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    let mut limited = file.take(MOST_BYTES + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    // It may have grown meanwhile.
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_not_looked_at() {
        for name in [
            "https://h/a.png",
            "HTTP://h/a",
            "gs://b/c.png",
            "data:image/png;base64,x",
        ] {
            let image = load(&format!(" {name}\n")).unwrap();
            assert!(matches!(image, Image::Url(url) if url == name));
        }
    }

    #[test]
    fn files_are_read_and_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("a.txt"), b"\xff\xd8\xff\xe0rest").unwrap();
        match load(&path("a.txt")).unwrap() {
            Image::Bytes { media_type, data } => {
                assert_eq!(media_type, "image/jpeg");
                assert_eq!(&data[..], b"\xff\xd8\xff\xe0rest");
            }
            Image::Url(url) => panic!("{url}"),
        }
        std::fs::write(path("b.png"), "no picture").unwrap();
        std::fs::write(path("e.png"), "").unwrap();
        let large = File::create(path("c.png")).unwrap();
        large.set_len(MOST_BYTES + 1).unwrap();
        for (name, why) in [
            ("b.png", "b.png is no image of a known kind"),
            ("e.png", "e.png is no image of a known kind"),
            ("c.png", "c.png: larger than"),
            ("d.png", "d.png: No such file"),
            ("", ": not a file"),
        ] {
            let fault = load(&path(name)).unwrap_err();
            assert!(fault.contains(why), "{fault}");
        }
        assert!(load(" ").unwrap_err().contains("gives no path"));
    }
}
