//! `najda read`: what a message says, one JSON line a message, without deciding anything.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value, json};

use crate::units::Timestamp;
use crate::wire::reading::{self, Kind, Reading};
use crate::wire::reading_json;

/// A file of more bytes is no message.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Read messages of telephony and say what is in them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  najda read --as sip invite.sip
  najda read --as msd crash.bin                 a car's data, binary or as hexadecimal digits
  najda read --as aml-sms *.sms | jq .location
  cat call.sip | najda read --as sip -          standard input
  najda explain --as sip invite.sip             the same, and the decision

Prints one JSON object a message: what was read (caller, number, urn, cell, location, msd, cap, ...), `discrepancies` (what was odd)
and `outcome`: routed, answered, rejected with its `status`, or dropped. A file that cannot be read yields {\"file\":...,\"error\":...},
the run goes on, and the exit code is 1.")]
pub struct ReadArgs {
    /// What the files hold.
    #[arg(long = "as", value_name = "KIND", value_parser = kinds())]
    kind: Kind,
    /// The moment to read at, as Unix seconds or 2026-01-31T08:00:00Z: alerts expire. Now when it is left out.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    now: Option<Timestamp>,
    /// Files to read; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub fn run(args: &ReadArgs) -> Result<ExitCode> {
    each_message(args.kind, &args.files, args.now, |_, _, _| {})
}

/// The kinds of message as values of `--as`.
pub(crate) fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::word)).map(|word| Kind::from_word(&word).unwrap_or(Kind::Sip))
}

/// Unix seconds or a time with its offset.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(secs) = text.parse::<u64>() {
        return Ok(Timestamp::from_secs(secs));
    }
    let at = text.parse::<jiff::Timestamp>().map_err(|_| "write Unix seconds or a time like 2026-01-31T08:00:00Z".to_owned())?;
    u64::try_from(at.as_microsecond()).map(Timestamp::from_micros).map_err(|_| "write a time after 1970".to_owned())
}

/// Reads every message of every file and prints one line each; `more` may add to it.
pub(crate) fn each_message(
    kind: Kind,
    files: &[PathBuf],
    now: Option<Timestamp>,
    mut more: impl FnMut(&Reading, Timestamp, &mut Map<String, Value>),
) -> Result<ExitCode> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let name = json!(file.display().to_string());
        let bytes = match bytes_of(file, kind) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("najda: {error:#}");
                code = ExitCode::FAILURE;
                if !print(&mut out, &json!({ "file": name, "error": format!("{error:#}") }))? {
                    return Ok(code);
                }
                continue;
            }
        };
        for message in reading::messages(kind, &bytes) {
            let clock = || Timestamp::from_micros(jiff::Timestamp::now().as_microsecond().unsigned_abs());
            let now = now.unwrap_or_else(clock);
            let reading = reading::read(kind, message, now);
            let mut object = Map::new();
            object.insert("file".into(), name.clone());
            object.append(&mut reading_json::object(&reading));
            more(&reading, now, &mut object);
            if !print(&mut out, &Value::Object(object))? {
                return Ok(code);
            }
        }
    }
    match out.flush() {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(code)
}

/// `false` when nobody reads on.
fn print(out: &mut impl Write, value: &Value) -> Result<bool> {
    match writeln!(out, "{value}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("writing to standard output"),
    }
}

fn bytes_of(file: &Path, kind: Kind) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).context("reading standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("opening {}: name a file that exists", file.display()))?;
        opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("reading {}", file.display()))?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{}: more than {FILE_BYTES_MAX} bytes are no message; name one message a file", file.display());
    }
    Ok(if kind == Kind::Msd { hexadecimal(&bytes).unwrap_or(bytes) } else { bytes })
}

/// A car's data as people paste it: hexadecimal digits and blanks only.
fn hexadecimal(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    Some(digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect())
}
