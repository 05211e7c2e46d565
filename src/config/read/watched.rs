//! `vrrp_script`, `track_file`, `vrrp_track_process`, and the lines that track them.

use super::instance::about;
use super::notify::script as script_value;
use super::{Line, Reader};
use crate::config::number::{self, Decimal};
use crate::syntax::command::Inline;
use crate::syntax::{Complaint, Span};
use crate::types::{Command, ScriptUser};
use crate::vrrp::trackers::file::InitFile;
use crate::vrrp::trackers::process::ParameterMatch;
use std::path::PathBuf;
use std::time::Duration;

/// A tracked object's own weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Weight {
    pub(super) weight: Option<i16>,
    pub(super) reverse: Option<bool>,
}

/// One block as far as it has been read. It has the keywords of all three kinds; each table offers only its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) weight: Weight,
    // vrrp_script
    pub(super) command: Option<Command>,
    pub(super) user: Option<ScriptUser>,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
    pub(super) init_fail: bool,
    // track_file
    pub(super) path: Option<PathBuf>,
    pub(super) init: Option<InitFile>,
    // vrrp_track_process
    pub(super) process: Option<(String, Vec<String>)>,
    pub(super) matching: Option<ParameterMatch>,
    pub(super) quorum: Option<u32>,
    pub(super) quorum_max: Option<u32>,
    pub(super) gain_delay: Option<Duration>,
    pub(super) loss_delay: Option<Duration>,
    pub(super) full_command: bool,
}

/// The kinds of tracked objects, each with names of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drafts {
    pub(super) scripts: Vec<Watched>,
    pub(super) files: Vec<Watched>,
    pub(super) processes: Vec<Watched>,
    /// Sessions that VRRP hears of: known when all is read.
    pub(super) bfds: Vec<Watched>,
    current: Watched,
}

/// One line of a `track_*` block.
#[derive(Clone, Debug)]
pub(crate) struct TrackDraft {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) weight: Weight,
}

const LEFT_OUT: &str = "the line is left out";

type Kind = fn(&mut Drafts) -> &mut Vec<Watched>;

fn block(reader: &mut Reader, line: &Line<'_>, kind: Kind) {
    let Some(name) = line.arg(0) else {
        let message = format!("{} must have a name", &*line.word);
        reader.complain(Complaint::error(line.span(), message).help("the block is left out".to_owned()));
        return;
    };
    if kind(&mut reader.watched).iter().any(|other| other.name == *name.text) {
        let message = format!("{} {} already defined", &*line.word, &**name);
        reader.complain(Complaint::error(name.span, message).help("the block is left out".to_owned()));
        return;
    }
    reader.watched.current = Watched { name: name.to_string(), span: name.span, ..Watched::default() };
    reader.walk(&line.children);
    let done = std::mem::take(&mut reader.watched.current);
    kind(&mut reader.watched).push(done);
}

impl Drafts {
    /// The weight of the `track_file` of that name, 1 when not written, and whether it counts the other way round.
    pub(super) fn file_weight(&self, name: &str) -> Option<(i64, bool)> {
        let object = self.files.iter().find(|object| object.name == name)?;
        Some((object.weight.weight.map_or(1, i64::from), object.weight.reverse.unwrap_or(false)))
    }
}

pub(crate) fn script_block(reader: &mut Reader, line: &Line<'_>) {
    block(reader, line, |drafts| &mut drafts.scripts);
}

pub(crate) fn file_block(reader: &mut Reader, line: &Line<'_>) {
    block(reader, line, |drafts| &mut drafts.files);
}

pub(crate) fn process_block(reader: &mut Reader, line: &Line<'_>) {
    block(reader, line, |drafts| &mut drafts.processes);
}

pub(crate) fn script(reader: &mut Reader, line: &Line<'_>) {
    let Some(command) = script_value(reader, line, Inline::Nothing) else { return };
    if reader.watched.current.command.is_some() {
        let message = format!("vrrp_script {}: script already specified - ignoring", reader.watched.current.name);
        reader.complain(Complaint::remark(line.span(), message).help("the first one counts".to_owned()));
        return;
    }
    reader.watched.current.command = Some(command);
}

/// 1 ms to about 49 days; 0 is 1 s.
const INTERVAL: Decimal = Decimal { range: 0..=4_294_967_295_000, instead: LEFT_OUT, zero_is_usual: false, unit: true };

pub(crate) fn interval(reader: &mut Reader, line: &Line<'_>) {
    if let Some(time) = number::decimal(reader, line, &INTERVAL) {
        let zero = time < Duration::from_millis(1);
        if zero {
            let message = format!("Warning - script {} interval is 0, using 1 s", reader.watched.current.name);
            reader.complain(Complaint::warning(line.arg_span(0), message));
        }
        reader.watched.current.interval = Some(if zero { Duration::from_secs(1) } else { time });
    }
}

pub(crate) fn timeout(reader: &mut Reader, line: &Line<'_>) {
    if let Some(time) = number::decimal(reader, line, &INTERVAL) {
        let zero = time < Duration::from_millis(1);
        if zero {
            let message = format!("({}): vrrp script timeout must be greater than 0, setting to 1", reader.watched.current.name);
            reader.complain(Complaint::warning(line.arg_span(0), message));
        }
        reader.watched.current.timeout = Some(if zero { Duration::from_secs(1) } else { time });
    }
}

pub(crate) fn rise(reader: &mut Reader, line: &Line<'_>) {
    reader.watched.current.rise = number::unsigned(reader, line, 1, "1 is used");
}

pub(crate) fn fall(reader: &mut Reader, line: &Line<'_>) {
    reader.watched.current.fall = number::unsigned(reader, line, 1, "1 is used");
}

pub(crate) fn user(reader: &mut Reader, line: &Line<'_>) {
    if let Some(user) = line.arg(0) {
        reader.watched.current.user = Some(ScriptUser::from_words(user, line.arg(1).map(|group| &*group.text)));
    }
}

pub(crate) fn init_fail(reader: &mut Reader, _: &Line<'_>) {
    reader.watched.current.init_fail = true;
}

/// Of a `vrrp_script`: as in the original, beyond the range is the end of the range, and no number at all is no weight.
pub(crate) fn script_weight(reader: &mut Reader, line: &Line<'_>) {
    let weight = number::int(reader, line, 0, -253..=253, "the nearest weight is used");
    own_weight(reader, line, weight.or_else(|| line.arg(0)?.parse::<i64>().ok()));
}

/// Of a `track_file` or `vrrp_track_process`: as in the original, one beyond the range is left out.
pub(crate) fn weight(reader: &mut Reader, line: &Line<'_>) {
    let weight = number::int(reader, line, 0, -254..=254, "the weight is left out");
    own_weight(reader, line, weight);
}

fn own_weight(reader: &mut Reader, line: &Line<'_>, weight: Option<i64>) {
    let reverse = line.arg(1).map(|word| &*word.text == "reverse");
    if let Some(word) = line.arg(1).filter(|word| &*word.text != "reverse") {
        let message = format!("{}: unknown weight option '{}'", reader.watched.current.name, &**word);
        reader.complain(Complaint::error(word.span, message).expected("reverse"));
    }
    reader.watched.current.weight = Weight { weight: weight.map(clamped), reverse };
}

/// Nothing beyond has passed, except of scripts.
fn clamped(weight: i64) -> i16 {
    i16::try_from(weight.clamp(-254, 254)).unwrap_or_default()
}

pub(crate) fn file(reader: &mut Reader, line: &Line<'_>) {
    reader.watched.current.path = line.arg(0).map(|word| PathBuf::from(&*word.text));
}

pub(crate) fn init_file(reader: &mut Reader, line: &Line<'_>) {
    let overwrite = line.args.iter().any(|word| &*word.text == "overwrite");
    let written = line.args.iter().position(|word| &*word.text != "overwrite");
    let value =
        written.map_or(Some(0), |number| number::int(reader, line, number, i64::from(i32::MIN)..=i64::from(i32::MAX), "0 is written"));
    reader.watched.current.init = Some(InitFile { value: value.unwrap_or(0), overwrite });
}

pub(crate) fn process(reader: &mut Reader, line: &Line<'_>) {
    let mut words = line.args.iter().map(ToString::to_string);
    let Some(command) = words.next() else { return };
    reader.watched.current.process = Some((command, words.collect()));
}

pub(crate) fn param_match(reader: &mut Reader, line: &Line<'_>) {
    reader.watched.current.matching = Some(match line.arg(0).map(|word| &*word.text) {
        None => ParameterMatch::Exact,
        Some("initial") => ParameterMatch::Initial,
        Some("partial") => ParameterMatch::Partial,
        Some(other) => {
            let message = format!("unknown param_match '{other}'");
            reader.complain(Complaint::error(line.arg_span(0), message).expected("initial or partial"));
            return;
        }
    });
}

pub(crate) fn quorum(reader: &mut Reader, line: &Line<'_>) {
    let value = number::int(reader, line, 0, 1..=65535, "1 is used").and_then(|value| u32::try_from(value).ok());
    let current = &mut reader.watched.current;
    current.quorum = value;
    let most = current.quorum_max.filter(|most| *most != 0);
    if let (Some(quorum), Some(most)) = (value, most)
        && quorum > most
    {
        let complaint = Complaint::error(line.arg_span(0), format!("quorum is greater than quorum_max {most}: there is no limit"));
        reader.complain(complaint.expected(format!("1..{most}")));
    }
}

pub(crate) fn quorum_max(reader: &mut Reader, line: &Line<'_>) {
    let value = number::int(reader, line, 0, 0..=65535, "there is no limit").and_then(|value| u32::try_from(value).ok());
    let current = &mut reader.watched.current;
    current.quorum_max = value;
    let quorum = current.quorum.unwrap_or(1);
    if value.is_some_and(|most| most != 0 && most < quorum) {
        let complaint = Complaint::error(line.arg_span(0), "quorum_max is less than quorum - ignoring");
        reader.complain(complaint.expected(format!("0, or {quorum} or more")));
    }
}

const DELAY: Decimal = Decimal { range: 1..=3_600_000_000, instead: LEFT_OUT, zero_is_usual: false, unit: true };

pub(crate) fn delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::decimal(reader, line, &DELAY) {
        (reader.watched.current.gain_delay, reader.watched.current.loss_delay) = (Some(delay), Some(delay));
    }
}

pub(crate) fn terminate_delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::decimal(reader, line, &DELAY) {
        reader.watched.current.loss_delay = Some(delay);
    }
}

pub(crate) fn fork_delay(reader: &mut Reader, line: &Line<'_>) {
    if let Some(delay) = number::decimal(reader, line, &DELAY) {
        reader.watched.current.gain_delay = Some(delay);
    }
}

pub(crate) fn full_command(reader: &mut Reader, _: &Line<'_>) {
    reader.watched.current.full_command = true;
}

// track_script, track_file, track_process, track_bfd

pub(crate) fn track_script(reader: &mut Reader, block: &Line<'_>) {
    let lines = tracked(reader, block);
    for line in &lines {
        if line.weight.weight.is_some_and(|weight| weight.abs() == 254) {
            let message = about(reader, format!("weight for {} cannot be +/-254. Setting to +/-253", line.name));
            reader.complain(Complaint::warning(line.span, message));
        }
    }
    reader.instance().track_scripts.extend(lines);
}

pub(crate) fn track_file(reader: &mut Reader, block: &Line<'_>) {
    let lines = tracked(reader, block);
    reader.instance().track_files.extend(lines);
}

pub(crate) fn track_process(reader: &mut Reader, block: &Line<'_>) {
    let lines = tracked(reader, block);
    reader.instance().track_processes.extend(lines);
}

pub(crate) fn track_bfd(reader: &mut Reader, block: &Line<'_>) {
    let mut lines = tracked(reader, block);
    for line in &mut lines {
        if line.weight.weight.is_some_and(|weight| weight.abs() == 254) {
            let message = about(reader, format!("weight for track bfd {} must be in [-253..253] inclusive. Ignoring...", line.name));
            reader.complain(Complaint::error(line.span, message).help("its own weight is used".to_owned()));
            line.weight = Weight::default();
        }
    }
    reader.instance().track_bfds.extend(lines);
}

fn tracked(reader: &mut Reader, block: &Line<'_>) -> Vec<TrackDraft> {
    let mut lines: Vec<TrackDraft> = Vec::new();
    for line in &block.children {
        let name = line.word.to_string();
        if lines.iter().any(|other| other.name == name) {
            let message = about(reader, format!("duplicate {} {name} - ignoring", &*block.word));
            reader.complain(Complaint::error(line.word.span, message));
            continue;
        }
        let weight = track_weight(reader, line, &block.word);
        lines.push(TrackDraft { name, span: line.word.span, weight });
    }
    lines
}

/// `[weight -253..253 [reverse|noreverse]]`: what is bad is left out, and the object's own weight counts.
fn track_weight(reader: &mut Reader, line: &Line<'_>, block: &str) -> Weight {
    let Some(word) = line.arg(0) else { return Weight::default() };
    let usage = "'NAME [weight -253..253 [reverse|noreverse]]'";
    let mut bad = |span, what: String| {
        let message = about(reader, what);
        reader.complain(Complaint::error(span, message).expected(usage).help("its own weight is used".to_owned()));
        Weight::default()
    };
    if &*word.text != "weight" {
        return bad(word.span, format!("unknown {block} option '{}' for {}", &**word, &*line.word));
    }
    let Some(value) = line.arg(1) else { return bad(word.span, format!("weight without value for {block} {}", &*line.word)) };
    let Some(weight) = value.parse::<i64>().ok().filter(|weight| (-254..=254).contains(weight)) else {
        return bad(value.span, format!("weight {} for {} must be between [-253..253] inclusive", &**value, &*line.word));
    };
    let reverse = match line.arg(2).map(|word| (word, &*word.text)) {
        None => None,
        Some((_, "reverse")) => Some(true),
        Some((_, "noreverse")) => Some(false),
        Some((word, other)) => {
            bad(word.span, format!("unknown weight option '{other}' for {}", &*line.word));
            None
        }
    };
    Weight { weight: Some(clamped(weight)), reverse }
}
