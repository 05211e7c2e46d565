//! `keepalivedctl convert`: a configuration in the other notation.

use super::print;
use super::write::put;
use crate::config::convert::{Converted, convert};
use crate::config::load::is_toml;
use crate::config::{LoadOptions, Severity};
use crate::process::configuration::host_name;
use crate::process::files::Disk;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Something is in the way.
const TROUBLE: u8 = 2;

#[derive(Args, Debug)]
pub(super) struct Options {
    /// The configuration: TOML when its name ends in .toml, else text
    #[arg(default_value = "/etc/keepalived/keepalived.conf", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,

    /// Write the result, and that of every included file, beside what it was made from; else the main file goes to standard output
    #[arg(short, long)]
    write: bool,

    /// Write the main file here; included ones beside it as the old ones are beside the old one
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Also when the configuration has errors (what is wrong is left out), and over files that are there
    #[arg(long)]
    force: bool,

    /// What @ID lines are compared with; else the host's name
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let load = LoadOptions { config_id: options.config_id.clone().unwrap_or_else(host_name), ..LoadOptions::default() };
    let mut done = convert(&Disk, &options.file, &load);
    let found = done.loaded.report.diagnostics();
    let wrong = found.iter().any(|one| one.severity == Severity::Error);
    found.iter().filter(|one| one.severity == Severity::Error).for_each(|one| eprint!("{}", one.render()));
    if done.files.is_empty() {
        return ExitCode::from(TROUBLE);
    }
    if wrong && !options.force {
        eprintln!("keepalivedctl convert: the configuration has errors; --force converts what is good of it");
        return ExitCode::FAILURE;
    }
    if !done.means_the_same(&Disk, &load) {
        eprintln!("keepalivedctl convert: the result does not mean the same as {} (${{_RANDOM}} never does)", options.file.display());
        if !options.force {
            return ExitCode::FAILURE;
        }
    }
    done.remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
    if !options.write && options.output.is_none() {
        return show(&done);
    }
    if let Some(output) = &options.output {
        if is_toml(output) == is_toml(&options.file) {
            eprintln!("keepalivedctl convert: {} is to be {}", output.display(), if is_toml(output) { "text" } else { "TOML: NAME.toml" });
            return ExitCode::from(TROUBLE);
        }
        relocate(&mut done, output);
    }
    write(&done, options.force)
}

fn show(done: &Converted) -> ExitCode {
    let mut files = done.files.iter();
    let told = files.next().map_or(ExitCode::SUCCESS, |main| print(&main.text));
    for file in files {
        eprintln!("note: {} is included: with --write it becomes {}", file.from.display(), file.to.display());
    }
    told
}

/// The main file there, and what is below its folder as it is here.
fn relocate(done: &mut Converted, output: &Path) {
    let Some(main) = done.files.first().map(|file| file.to.clone()) else { return };
    let (from, to) = (main.parent().unwrap_or(Path::new("")), output.parent().unwrap_or(Path::new("")));
    for file in &mut done.files {
        if file.to == main {
            output.clone_into(&mut file.to);
        } else if let Ok(below) = file.to.strip_prefix(from) {
            file.to = to.join(below);
        }
    }
}

fn write(done: &Converted, force: bool) -> ExitCode {
    let there: Vec<String> = done.files.iter().filter(|file| file.to.exists()).map(|file| file.to.display().to_string()).collect();
    if !there.is_empty() && !force {
        eprintln!("keepalivedctl convert: {} exists already; --force writes over it", there.join(", "));
        return ExitCode::FAILURE;
    }
    for file in &done.files {
        if let Err(error) = put(&file.to, file.text.as_bytes(), &file.from) {
            eprintln!("keepalivedctl convert: cannot write {}: {error}", file.to.display());
            return ExitCode::from(TROUBLE);
        }
        print(&format!("{} -> {}\n", file.from.display(), file.to.display()));
    }
    ExitCode::SUCCESS
}
