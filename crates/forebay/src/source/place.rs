//! One input: how to open it, what is in it, what to call it.
//!
//! Owns files, pipes, spools and decompression. Never looks at records.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::format::{self, Announced, Compression, Format};
use super::split::{Shape, Splitter};
use super::{InputSpec, Location};
use crate::error::Error;

/// Any input, decompressed.
pub(super) type Input = Box<dyn Read + Send>;

/// One input that was found.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The file name as the user typed it, or `stdin`.
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) delimiter: u8,
    /// The field that is the prompt when there is no template.
    pub(super) prompt_field: Option<String>,
    origin: Origin,
    /// What a Parquet file says of itself.
    #[cfg(feature = "parquet")]
    pub(super) table: Option<super::parquet::Table>,
}

#[derive(Clone)]
enum Origin {
    File(PathBuf),
    /// What a stream held, decompressed.
    Spool(Arc<File>),
    /// Can be read once.
    Stream(Arc<Mutex<Option<Input>>>),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::File(_) => "File",
            Origin::Spool(_) => "Spool",
            Origin::Stream(_) => "Stream",
        })
    }
}

impl Place {
    /// Finds every input of a run; `stdin` opens the standard input.
    ///
    /// # Errors
    /// When one does not exist, is no file, or has no known format.
    pub(super) fn find_all(
        spec: &InputSpec,
        stdin: impl Fn() -> Input,
    ) -> Result<Vec<Place>, Error> {
        let n_stdin = spec
            .locations
            .iter()
            .filter(|location| **location == Location::Stdin)
            .count();
        if n_stdin > 1 {
            return Err(Error::config("stdin is named more than once as input"));
        }
        spec.locations
            .iter()
            .map(|location| match location {
                Location::Stdin => Place::stream("stdin".to_owned(), stdin(), spec.format, b','),
                Location::Path(path) => Place::find(path, spec.format),
            })
            .collect()
    }

    /// Finds a file.
    ///
    /// # Errors
    /// When it does not exist, is no file, or has no known format.
    pub(super) fn find(path: &Path, format: Option<Format>) -> Result<Place, Error> {
        let name = path.display().to_string();
        let metadata = fs::metadata(path).map_err(|error| cannot_open(&name, &error))?;
        if metadata.is_dir() {
            return Err(Error::io(format!("{name} is a directory, not a file"))
                .with_hint(format!("name the files in it, for example {name}/*.jsonl")));
        }
        let announced = Announced::by(path);
        let format = format.or(announced.format);
        if !metadata.is_file() {
            let input = File::open(path).map_err(|error| cannot_open(&name, &error))?;
            return Place::stream(name, Box::new(input), format, announced.delimiter);
        }
        let format = format.ok_or_else(|| format::unknown(&name))?;
        let place = Place {
            format,
            name,
            compression: announced.compression,
            delimiter: announced.delimiter,
            prompt_field: None,
            origin: Origin::File(path.to_owned()),
            #[cfg(feature = "parquet")]
            table: None,
        };
        place.check_signature()?;
        #[cfg(feature = "parquet")]
        let place = place.with_table(path)?;
        Ok(place)
    }

    /// A place that can be read once; its format is told by its first byte unless given.
    fn stream(
        name: String,
        mut input: Input,
        format: Option<Format>,
        delimiter: u8,
    ) -> Result<Place, Error> {
        let mut head = Vec::new();
        let format = match format {
            #[cfg(feature = "parquet")]
            Some(Format::Parquet) => return Err(super::parquet::no_pipe(&name)),
            Some(format) => format,
            None => match first_byte(&mut input, &mut head) {
                Ok(Some(b'{')) => Format::JsonLines,
                #[cfg(feature = "parquet")]
                Ok(Some(_)) if super::parquet::begins(&head) => {
                    return Err(super::parquet::no_pipe(&name));
                }
                Ok(_) => Format::Text,
                Err(error) => return Err(Error::io(format!("cannot read {name}: {error}"))),
            },
        };
        let place = Place {
            name,
            format,
            compression: Compression::None,
            delimiter,
            prompt_field: None,
            origin: Origin::Stream(Arc::default()),
            #[cfg(feature = "parquet")]
            table: None,
        };
        place.put_back(head, input);
        Ok(place)
    }

    /// The number of its records, when the file says so itself.
    pub(super) fn n_rows(&self) -> Option<u64> {
        #[cfg(feature = "parquet")]
        return self.table.as_ref().map(super::parquet::Table::n_rows);
        #[cfg(not(feature = "parquet"))]
        None
    }

    /// The names of a Parquet file's columns.
    #[cfg(feature = "parquet")]
    pub(super) fn table_columns(&self) -> Vec<String> {
        self.table
            .as_ref()
            .map_or_else(Vec::new, super::parquet::Table::columns)
    }

    /// The same place with what a Parquet file says of itself.
    #[cfg(feature = "parquet")]
    fn with_table(mut self, path: &Path) -> Result<Place, Error> {
        if self.format == Format::Parquet {
            self.table = Some(super::parquet::Table::open(path, &self.name)?);
        } else if self.compression == Compression::None && super::parquet::is_table(path) {
            let fault = format!("{} is Parquet data, which its name does not say", self.name);
            return Err(Error::io(fault).with_hint("read it with --format parquet"));
        }
        Ok(self)
    }

    /// Whether it can be read once only.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Stream(_))
    }

    /// How its records end.
    pub(super) fn shape(&self) -> Shape {
        match self.format {
            Format::Text | Format::JsonLines | Format::Requests(_) => Shape::Lines,
            Format::Csv => Shape::Csv {
                delimiter: self.delimiter,
            },
            #[cfg(feature = "parquet")]
            Format::Parquet => Shape::Lines,
        }
    }

    /// Its bytes from the start, decompressed; from where it stands for a stream.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn input(&self) -> Result<Input, Error> {
        let file = match &self.origin {
            Origin::File(path) => {
                File::open(path).map_err(|error| cannot_open(&self.name, &error))?
            }
            Origin::Spool(file) => {
                return Ok(Box::new(FromStart {
                    file: Arc::clone(file),
                    at: 0,
                }));
            }
            Origin::Stream(slot) => {
                let input = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                return input
                    .ok_or_else(|| Error::io(format!("{} can be read only once", self.name)));
            }
        };
        #[cfg(feature = "parquet")]
        if let Some(table) = &self.table {
            return Ok(Box::new(table.rows(file, &self.name)?));
        }
        Ok(match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Compression::Zstd => Box::new(
                zstd::stream::read::Decoder::new(file)
                    .map_err(|error| cannot_open(&self.name, &error))?,
            ),
        })
    }

    /// A splitter over its bytes.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn splitter(&self) -> Result<Splitter<Input>, Error> {
        Ok(Splitter::new(self.input()?, self.shape()))
    }

    /// Puts bytes of a stream back before the rest of it.
    pub(super) fn put_back(&self, head: Vec<u8>, rest: Input) {
        if let Origin::Stream(slot) = &self.origin {
            let whole: Input = Box::new(io::Cursor::new(head).chain(rest));
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(whole);
        }
    }

    /// Copies a stream into an unnamed temporary file, so that it can be read again.
    ///
    /// # Errors
    /// When the stream cannot be read or the file cannot be written.
    pub(super) fn spool(&mut self) -> Result<(), Error> {
        if !self.is_stream() {
            return Ok(());
        }
        let mut input = self.input()?;
        let file = self
            .copy(&mut input)
            .map_err(|error| Error::io(format!("cannot spool {}: {error}", self.name)))?;
        self.origin = Origin::Spool(Arc::new(file));
        Ok(())
    }

    fn copy(&self, input: &mut Input) -> io::Result<File> {
        let mut file = tempfile::tempfile()?;
        io::copy(input, &mut file)?;
        file.flush()?;
        file.rewind()?;
        Ok(file)
    }

    /// Checks that the first bytes are what the name announces.
    fn check_signature(&self) -> Result<(), Error> {
        let Origin::File(path) = &self.origin else {
            return Ok(());
        };
        let mut head = Vec::with_capacity(4);
        File::open(path)
            .and_then(|file| file.take(4).read_to_end(&mut head))
            .map_err(|error| cannot_open(&self.name, &error))?;
        let found = Compression::of(&head);
        if found == self.compression {
            return Ok(());
        }
        let name = &self.name;
        let (kind, extension) = match self.compression {
            Compression::None => found.names(),
            announced => {
                let (kind, _) = announced.names();
                return Err(Error::io(format!("{name} is not {kind} data"))
                    .with_hint("its extension says so; was it copied whole?"));
            }
        };
        Err(Error::io(format!(
            "{name} is {kind} data, which its name does not say"
        ))
        .with_hint(format!("name it {name}{extension}, or decompress it first")))
    }
}

/// The error for a file that cannot be opened.
pub(super) fn cannot_open(name: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::io(format!("{name} does not exist"))
            .with_hint("check its name and the folder that you are in"),
        _ => Error::io(format!("cannot open {name}: {error}")),
    }
}

/// The error for a fault after a line of a file.
pub(super) fn cannot_read(place: &Place, line: u64, error: &io::Error) -> Error {
    let (name, unit) = (&place.name, place.format.unit());
    let fault = Error::io(format!("cannot read {name} after {unit} {line}: {error}"));
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            fault.with_hint("the file ends too early; was it copied whole?")
        }
        _ => fault,
    }
}

/// Reads up to the first byte that is neither blank nor part of a byte order mark; everything
/// that was read is in `head`.
fn first_byte(input: &mut Input, head: &mut Vec<u8>) -> io::Result<Option<u8>> {
    /// Bytes read at once; a row's beginning is among them.
    const STEP: usize = 8192;
    /// Blank bytes after which it is text whatever follows.
    const BLANK: usize = 1 << 20;
    let mut step = [0; STEP];
    while head.len() < BLANK {
        let n = match input.read(&mut step) {
            Ok(0) => return Ok(None),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        head.extend_from_slice(&step[..n]);
        let is_said =
            |byte: &&u8| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf);
        if let Some(byte) = step[..n].iter().find(is_said) {
            return Ok(Some(*byte));
        }
    }
    Ok(None)
}

/// Reads a shared file from its start, whoever else reads it.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(out, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}
