//! `keepalivedctl fmt`: one layout of a configuration text.

use super::print;
use super::write::replace;
use crate::config::load::is_toml;
use crate::config::{Files, LoadOptions, load};
use crate::process::configuration::host_name;
use crate::process::files::Disk;
use crate::syntax::layout;
use clap::Args;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use thiserror::Error;

/// Something is in the way.
const TROUBLE: u8 = 2;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The files; - or none is standard input. Files that they include are to be named too
    #[arg(value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,

    /// Write nothing: name the files that are not laid out so; exit status 1 when there are any
    #[arg(long, conflicts_with = "in_place")]
    check: bool,

    /// Write the files instead of standard output
    #[arg(short, long)]
    in_place: bool,
}

/// Why a file is as it was.
#[derive(Debug, Error)]
enum FmtError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is TOML: only keepalived.conf text has this layout")]
    Toml,
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Never seen; what would be lost is somebody's configuration.
    #[error("laid out it would not mean the same: it is left as it is (please report this)")]
    Other,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let standard = [PathBuf::from("-")];
    let files = if options.files.is_empty() { &standard[..] } else { &options.files };
    let (mut different, mut trouble) = (false, false);
    for path in files {
        let name = if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() };
        match one(path, options) {
            Ok(same) => {
                different |= !same;
                if options.check && !same {
                    print(&format!("{name}\n"));
                }
            }
            Err(error) => {
                eprintln!("keepalivedctl fmt: {name}: {error}");
                trouble = true;
            }
        }
    }
    match (trouble, options.check && different) {
        (true, _) => ExitCode::from(TROUBLE),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether the file was laid out so already.
fn one(path: &Path, options: &Options) -> Result<bool, FmtError> {
    if is_toml(path) {
        return Err(FmtError::Toml);
    }
    let mut bytes = Vec::new();
    if is_standard(path) {
        io::stdin().lock().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path)?;
    }
    let text = String::from_utf8(bytes).map_err(|_| FmtError::NotUtf8)?;
    let text = text.trim_start_matches('\u{feff}');
    let laid = layout::format(text);
    if !means_the_same(path, text, &laid) {
        return Err(FmtError::Other);
    }
    if options.in_place && !is_standard(path) {
        if laid != text {
            replace(path, laid.as_bytes())?;
        }
    } else if !options.check {
        print(&laid);
    }
    Ok(laid == text)
}

/// One file in another wording, the others as they are.
struct Instead<'t>(&'t Path, &'t str);

impl Files for Instead<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.0 { Ok(self.1.as_bytes().to_vec()) } else { Disk.read(path) }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        Disk.glob(pattern)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Disk.variable(name)
    }
}

/// Words and comments are those that were there, and the configuration is; `${_RANDOM}` is another one at every reading.
fn means_the_same(path: &Path, text: &str, laid: &str) -> bool {
    let options = LoadOptions { config_id: host_name(), ..LoadOptions::default() };
    let config = |text: &str| load(&Instead(path, text), path, &options).config;
    let sorted = |text: &str| {
        let (words, mut comments) = layout::essence(text);
        comments.sort();
        (words, comments)
    };
    sorted(text) == sorted(laid) && (text.contains("_RANDOM") || config(text) == config(laid))
}
