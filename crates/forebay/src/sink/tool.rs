//! Rows in the formats of other tools.
//!
//! Owns which file a row goes to. How a row is written is in a file for each tool.

use std::io::{self, Write};

use super::answered::Answered;
use super::writer::RowWriter;
use super::{anthropic_batch, cookbook, openai_batch};
use crate::fields::{as_str, members};
use crate::item::item_id;

/// Another tool, whose files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// OpenAI's Batch API: an output file and an error file.
    OpenAiBatch,
    /// Anthropic's Message Batches: one file of results.
    AnthropicBatch,
    /// The OpenAI cookbook's script for parallel requests: one file.
    Cookbook,
}

impl Tool {
    /// The tool's name, as the value of a flag.
    pub fn name(self) -> &'static str {
        match self {
            Tool::OpenAiBatch => "openai-batch",
            Tool::AnthropicBatch => "anthropic-batch",
            Tool::Cookbook => "cookbook",
        }
    }

    /// The tool of this name.
    pub fn by_name(name: &str) -> Option<Tool> {
        let all = [Tool::OpenAiBatch, Tool::AnthropicBatch, Tool::Cookbook];
        all.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it writes what failed into a file of its own.
    pub fn has_errors_file(self) -> bool {
        match self {
            Tool::OpenAiBatch => true,
            Tool::AnthropicBatch | Tool::Cookbook => false,
        }
    }
}

/// Which rows a file takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// Those that the provider answered.
    Answers,
    /// The others.
    Rest,
}

/// Writes rows as another tool does.
#[derive(Debug)]
pub(super) struct ToolLines {
    tool: Tool,
    part: Part,
    line: Vec<u8>,
}

impl ToolLines {
    /// The writer of a tool's main file, beside which there may be one for errors.
    pub(super) fn main(tool: Tool) -> ToolLines {
        let part = match tool.has_errors_file() {
            true => Part::Answers,
            false => Part::All,
        };
        ToolLines::of(tool, part)
    }

    pub(super) fn of(tool: Tool, part: Part) -> ToolLines {
        ToolLines {
            tool,
            part,
            line: Vec::new(),
        }
    }

    /// The line of a row; empty when it belongs elsewhere.
    fn line(&mut self, custom_id: &str, body: &str) -> io::Result<&[u8]> {
        self.line.clear();
        let row = Answered::read(body)?;
        let is_here = match self.part {
            Part::All => true,
            Part::Answers => row.is_answer(),
            Part::Rest => !row.is_answer(),
        };
        if is_here {
            match self.tool {
                Tool::OpenAiBatch => openai_batch::write(&mut self.line, custom_id, &row),
                Tool::AnthropicBatch => anthropic_batch::write(&mut self.line, custom_id, &row),
                Tool::Cookbook => cookbook::write(&mut self.line, &row),
            }
        }
        Ok(&self.line)
    }
}

impl RowWriter for ToolLines {
    fn takes(&mut self, body: &str) -> io::Result<bool> {
        self.line("", body).map(|line| !line.is_empty())
    }

    fn row(
        &mut self,
        out: &mut dyn Write,
        custom_id: Option<&str>,
        index: u64,
        body: &str,
    ) -> io::Result<()> {
        out.write_all(self.line(&item_id(custom_id, index), body)?)
    }
}

/// How a growing output writes rows that come as Forebay's own lines.
#[derive(Debug, Default)]
pub(super) struct Shape(Option<ToolLines>);

impl Shape {
    pub(super) fn of(lines: Option<ToolLines>) -> Shape {
        Shape(lines)
    }

    /// Appends a row, line end included, in this shape.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, row: &[u8]) {
        let Some(lines) = &mut self.0 else {
            return out.extend_from_slice(row);
        };
        // Rows are written here, so they can be read; one that could not would not be lost.
        if push_line(lines, out, row).is_err() {
            out.extend_from_slice(row);
        }
    }
}

fn push_line(lines: &mut ToolLines, out: &mut Vec<u8>, row: &[u8]) -> io::Result<()> {
    let row = std::str::from_utf8(row).map_err(io::Error::other)?;
    let id = members(row).map_err(io::Error::other)?;
    let id = id.iter().find(|(name, _)| name == "custom_id");
    let id = id.and_then(|(_, id)| as_str(id)).unwrap_or_default();
    // The members of the head are none that a tool asks for.
    out.extend_from_slice(lines.line(&id, row)?);
    Ok(())
}

#[cfg(test)]
mod tests;
