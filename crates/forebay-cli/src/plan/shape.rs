//! What answers have to be: their schema, and what becomes of those that were cut.

use std::path::Path;

use forebay::config::OnLength;
use forebay::error::Error;
use forebay::message::AnswerSchema;
use forebay::schema::{Schema, SchemaCheck};

use crate::args::ShapeArgs;
use crate::config_file::RunDefaults;

/// The shape that answers have to have.
#[derive(Debug)]
pub(super) struct Shape {
    /// What is told to the provider.
    pub(super) told: AnswerSchema,
    /// What answers are checked against.
    pub(super) check: SchemaCheck,
}

/// The schema, from its file.
pub(super) fn shape(args: &ShapeArgs, run: &RunDefaults) -> Result<Option<Shape>, Error> {
    let Some(path) = args.schema.as_deref().or(run.schema.as_deref()) else {
        return without_schema(args).map(|()| None);
    };
    let (own, schema) = named_schema(path)?;
    let named = args.schema_name.as_deref().or(run.schema_name.as_deref());
    let mut told = AnswerSchema::new(named.unwrap_or(&own), std::sync::Arc::clone(schema.json()));
    let mode = args.schema_mode.or(run.schema_mode);
    told.mode = mode.map(Into::into).unwrap_or_default();
    let retries = args.schema_retries.or(run.schema_retries.map(|n| n.0));
    let check = SchemaCheck {
        schema,
        retries: retries.unwrap_or(SchemaCheck::DEFAULT_RETRIES),
    };
    Ok(Some(Shape { told, check }))
}

/// A schema, from its file, and its name: its title, else the file's name.
///
/// # Errors
/// When the file cannot be read or holds no JSON Schema.
pub(crate) fn named_schema(path: &Path) -> Result<(String, Schema), Error> {
    let schema = read(path)?;
    let own = schema.title().or_else(|| path.file_stem()?.to_str());
    // `ticket.schema.json` is the schema of a ticket.
    let own = own.map(|name| name.trim_end_matches(".schema"));
    Ok((own.unwrap_or_default().to_owned(), schema))
}

/// Flags about a schema that is not there are a slip.
fn without_schema(args: &ShapeArgs) -> Result<(), Error> {
    let given = [
        ("--schema-name", args.schema_name.is_some()),
        ("--schema-mode", args.schema_mode.is_some()),
        ("--schema-retries", args.schema_retries.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Error::config(format!("{flag} needs a schema"))
            .with_hint("give one with --schema FILE")),
    }
}

fn read(path: &Path) -> Result<Schema, Error> {
    let place = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("cannot read the schema {place}: {error}"))
            .with_hint("check its name and that you may read it")
    })?;
    Schema::compile(&text).map_err(|error| {
        let fault = Error::config(format!("{place}: {error}"));
        match error.hint() {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    })
}

/// What becomes of cut answers; one that was to fit a schema is of no use.
pub(super) fn on_length(args: &ShapeArgs, run: &RunDefaults, has_schema: bool) -> OnLength {
    let own = match has_schema {
        true => OnLength::Error,
        false => OnLength::Ok,
    };
    let given = args.on_length.or(run.on_length);
    given.map_or(own, OnLength::from)
}
