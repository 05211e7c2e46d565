//! `global_defs` and the root's keywords: names, files, processes.

use super::{Line, Reader};
use crate::config::model::{IpvsNamespace, Scheduling};
use crate::config::number;
use crate::syntax::{Complaint, INCLUDE_CHECKS};

const DEFAULT: &str = "the default is used";
const LEFT_OUT: &str = "the line is left out";

fn text(line: &Line<'_>) -> Option<String> {
    line.arg(0).map(ToString::to_string)
}

// Names, files, processes.

pub(crate) fn router_id(reader: &mut Reader, line: &Line<'_>) {
    reader.global.router_id = text(line);
}

pub(crate) fn default_interface(reader: &mut Reader, line: &Line<'_>) {
    if let Some(name) = line.arg(0) {
        reader.global.default_interface = name.to_string();
    }
}

/// For keywords that the original takes once: a second one is ignored.
fn once(reader: &mut Reader, line: &Line<'_>, place: fn(&mut Reader) -> &mut Option<String>) {
    if place(reader).is_some() {
        return ignored(reader, line);
    }
    *place(reader) = text(line);
}

fn ignored(reader: &mut Reader, line: &Line<'_>) {
    let message = format!("{} already specified - ignoring {}", &*line.word, line.arg(0).map_or("", |word| &word.text));
    reader.complain(Complaint::error(line.span(), message));
}

pub(crate) fn net_namespace(reader: &mut Reader, line: &Line<'_>) {
    once(reader, line, |reader| &mut reader.global.net_namespace);
    reader.global.use_pid_dir = true;
}

pub(crate) fn net_namespace_ipvs(reader: &mut Reader, line: &Line<'_>) {
    if reader.global.net_namespace_ipvs.is_some() {
        return ignored(reader, line);
    }
    reader.global.net_namespace_ipvs = Some(text(line).map_or(IpvsNamespace::Default, IpvsNamespace::Named));
}

pub(crate) fn daemon_instance(reader: &mut Reader, line: &Line<'_>) {
    once(reader, line, |reader| &mut reader.global.instance);
    reader.global.use_pid_dir = true;
}

pub(crate) fn use_pid_dir(reader: &mut Reader, _: &Line<'_>) {
    reader.global.use_pid_dir = true;
}

pub(crate) fn child_wait_time(reader: &mut Reader, line: &Line<'_>) {
    if let Some(time) = number::seconds(reader, line, DEFAULT) {
        reader.global.child_wait_time = time;
    }
}

pub(crate) fn process_names(reader: &mut Reader, _: &Line<'_>) {
    reader.global.process_names = true;
}

/// The kernel keeps 15 bytes of a process's name.
fn process_title(line: &Line<'_>) -> Option<String> {
    let fits = |length: &mut usize, c: char| {
        *length += c.len_utf8();
        (*length <= 15).then_some(c)
    };
    line.arg(0).map(|word| word.chars().scan(0, fits).collect())
}

pub(crate) fn process_name(reader: &mut Reader, line: &Line<'_>) {
    reader.global.process_name = process_title(line);
}

pub(crate) fn vrrp_process_name(reader: &mut Reader, line: &Line<'_>) {
    reader.global.vrrp_process_name = process_title(line);
}

pub(crate) fn checker_process_name(reader: &mut Reader, line: &Line<'_>) {
    reader.global.checker_process_name = process_title(line);
}

pub(crate) fn bfd_process_name(reader: &mut Reader, line: &Line<'_>) {
    reader.global.bfd_process_name = process_title(line);
}

pub(crate) fn umask(reader: &mut Reader, line: &Line<'_>) {
    let written: String = line.args.iter().map(|word| &*word.text).collect();
    let number = written.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let mask = if number { mask_number(&written) } else { written.split('|').try_fold(0, |mask, name| Some(mask | mask_bit(name)?)) };
    match mask.filter(|mask| *mask <= 0o777) {
        Some(mask) => reader.global.umask = Some(mask),
        None => {
            let complaint = Complaint::error(line.arg_span(0), format!("invalid umask value {written}"));
            reader.complain(complaint.expected("an octal number up to 0777, or IRUSR|IWGRP|…").help(DEFAULT.to_owned()));
        }
    }
}

fn mask_number(written: &str) -> Option<u32> {
    match (written.strip_prefix("0x"), written.strip_prefix('0')) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (None, Some("")) => Some(0),
        (None, Some(octal)) => u32::from_str_radix(octal, 8).ok(),
        (None, None) => written.parse().ok(),
    }
}

fn mask_bit(name: &str) -> Option<u32> {
    let (kind, who) = name.split_at_checked(name.len().checked_sub(if name.starts_with("IRWX") { 1 } else { 3 })?)?;
    let shift = match who {
        "USR" | "U" => 6,
        "GRP" | "G" => 3,
        "OTH" | "O" => 0,
        _ => return None,
    };
    let bits = match kind {
        "IR" => 4,
        "IW" => 2,
        "IX" => 1,
        "IRWX" => 7,
        _ => return None,
    };
    Some(bits << shift)
}

pub(crate) fn script_user(reader: &mut Reader, line: &Line<'_>) {
    if let Some(user) = line.arg(0) {
        reader.global.script_user = Some((user.to_string(), line.arg(1).map(ToString::to_string)));
    }
}

pub(crate) fn enable_script_security(reader: &mut Reader, _: &Line<'_>) {
    reader.global.enable_script_security = true;
}

pub(crate) fn reload_check_config(reader: &mut Reader, line: &Line<'_>) {
    reader.global.reload_check_config = Some(text(line).unwrap_or_else(|| "/dev/null".to_owned()));
}

pub(crate) fn reload_time_file(reader: &mut Reader, line: &Line<'_>) {
    once(reader, line, |reader| &mut reader.global.reload_time_file);
}

pub(crate) fn config_save_dir(reader: &mut Reader, line: &Line<'_>) {
    reader.global.config_save_dir = text(line);
}

pub(crate) fn reload_repeat(reader: &mut Reader, _: &Line<'_>) {
    reader.global.reload_repeat = true;
}

pub(crate) fn reload_file(reader: &mut Reader, line: &Line<'_>) {
    reader.global.reload_file = Some(text(line));
}

pub(crate) fn data_use_instance(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.global.data_use_instance = on;
    }
}

pub(crate) fn state_dump_file(reader: &mut Reader, line: &Line<'_>) {
    reader.global.state_dump_file = text(line);
}

pub(crate) fn stats_dump_file(reader: &mut Reader, line: &Line<'_>) {
    reader.global.stats_dump_file = text(line);
}

pub(crate) fn json_dump_file(reader: &mut Reader, line: &Line<'_>) {
    reader.global.json_dump_file = text(line);
}

/// Whose the word is.
fn scheduling<'r>(reader: &'r mut Reader, line: &Line<'_>) -> &'r mut Scheduling {
    let global = &mut reader.global;
    match line.word.split_once('_') {
        Some(("checker", _)) => &mut global.checker_process,
        Some(("bfd", _)) => &mut global.bfd_process,
        _ => &mut global.vrrp_process,
    }
}

pub(crate) fn nice(reader: &mut Reader, line: &Line<'_>) {
    if let Some(nice) = number::int(reader, line, 0, -20..=19, LEFT_OUT).and_then(|value| i8::try_from(value).ok()) {
        scheduling(reader, line).nice = Some(nice);
    }
}

pub(crate) fn rt_priority(reader: &mut Reader, line: &Line<'_>) {
    // SCHED_RR's own range (sched_get_priority_min(2)); the original clamps.
    let Some(value) = number::int(reader, line, 0, i64::from(i32::MIN)..=i64::from(i32::MAX), LEFT_OUT) else { return };
    let clamped = value.clamp(1, 99);
    if clamped != value {
        let message = format!("{} {value} is outside 1..99: {clamped} is used", &*line.word);
        reader.complain(Complaint::warning(line.arg_span(0), message));
    }
    scheduling(reader, line).rt_priority = u8::try_from(clamped).ok();
}

pub(crate) fn rt_limit(reader: &mut Reader, line: &Line<'_>) {
    let Some(limit) = number::unsigned(reader, line, 1, LEFT_OUT) else { return };
    if limit == 1 {
        reader.complain(Complaint::remark(line.arg_span(0), "a limit of 1 µs ends a process at once: it is taken as 2"));
    }
    scheduling(reader, line).rlimit_rttime = Some(limit.max(2));
}

pub(crate) fn no_swap(reader: &mut Reader, line: &Line<'_>) {
    scheduling(reader, line).no_swap = true;
}

pub(crate) fn cpu_affinity(reader: &mut Reader, line: &Line<'_>) {
    for at in 0..line.args.len() {
        let cpu = number::int(reader, line, at, 0..=8191, "this processor is left out").and_then(|cpu| u16::try_from(cpu).ok());
        scheduling(reader, line).cpu_affinity.extend(cpu);
    }
}

pub(crate) fn process_buffer(reader: &mut Reader, line: &Line<'_>) {
    reader.global.process_buffer = number::unsigned(reader, line, 1, LEFT_OUT).or(reader.global.process_buffer);
}

pub(crate) fn use_symlink_paths(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.global.use_symlink_paths = on;
    }
}

pub(crate) fn set_supplementary_groups(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.global.set_supplementary_groups = on;
    }
}

/// The preprocessor has acted on it; here its words are looked at (in the original's words).
pub(crate) fn include_check(reader: &mut Reader, line: &Line<'_>) {
    for (number, word) in line.args.iter().enumerate() {
        let name = word.strip_prefix(['+', '-']).unwrap_or(word);
        let problem = if number > 0 && name.len() == word.len() {
            format!("Duplicate include_check '{}' specified - ignoring", &**word)
        } else if INCLUDE_CHECKS.contains(&name) {
            continue;
        } else {
            format!("Unknown include_check type '{name}' - ignoring")
        };
        let complaint = Complaint::error(word.span, problem).expected("[+-]read, match, wildcard_match or brace_match");
        let readable = (name == "readable").then(|| "the manual says 'readable', keepalived takes 'read'".to_owned());
        reader.complain(complaint.help(readable.or_else(|| Some("after the first word a '+' or '-' stands before each".to_owned()))));
    }
}

/// Without effect in the original too: it is set again before each reading.
pub(crate) fn random_seed(reader: &mut Reader, line: &Line<'_>) {
    number::unsigned(reader, line, 0, LEFT_OUT);
}
