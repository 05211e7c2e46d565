//! Who is told what: `notify_*`, FIFOs, mail switches, the daemon's own scripts.

use super::instance::about;
use super::{Line, Reader};
use crate::config::model::{Fifo, OnceScript};
use crate::config::number;
use crate::syntax::command::{CommandError, Inline, command, of_words};
use crate::syntax::{Complaint, Span};
use crate::types::{Command, ScriptUser};
use crate::vrrp::notify::Notify;

use std::time::Duration;

/// What an instance or a group says about being told, before defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotifyDraft {
    pub(super) notify: Notify,
    pub(super) mail: Option<bool>,
    pub(super) priority_changes: Option<bool>,
}

/// `smtp_alert*`, `vrrp_notify_priority_changes` of global_defs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotifyDefaults {
    pub(super) mail: Option<bool>,
    pub(super) mail_vrrp: Option<bool>,
    pub(super) mail_checker: Option<bool>,
    pub(super) priority_changes: bool,
}

impl NotifyDraft {
    /// Defaults filled in: an instance's come from its group, then from global_defs. `None` when nothing is asked for.
    pub(super) fn finish(&self, group: Option<&Self>, global: NotifyDefaults) -> Option<Box<Notify>> {
        let mail = self.mail.or(global.mail_vrrp).or(global.mail).unwrap_or(false);
        let of_group = group.and_then(|group| group.priority_changes);
        let priority_changes = self.priority_changes.or(of_group).unwrap_or(global.priority_changes);
        let notify = Notify { mail, priority_changes, ..self.notify.clone() };
        (notify != Notify::default()).then(|| Box::new(notify))
    }
}

const LEFT_OUT: &str = "the line is left out";

/// A script value; a complaint and `None` when it cannot be read.
pub(super) fn script(reader: &mut Reader, line: &Line<'_>, inline: Inline) -> Option<Command> {
    let read = match line.raw.0 {
        Some(text) => command(text, inline),
        None => of_words(&line.args.iter().map(ToString::to_string).collect::<Vec<_>>(), inline),
    };
    match read {
        Ok(command) => {
            reader.scripts.entry(command.argv.clone()).or_insert_with(|| line.span());
            Some(command)
        }
        Err(error) => {
            let message = format!("{}: {error}", &*line.word);
            let usage = line.row.map(|row| format!("'{}'", row.usage())).unwrap_or_default();
            let alone = match error {
                CommandError::TooMany { script, .. } if inline == Inline::Nothing => of_words(&[script], inline).ok(),
                _ => None,
            };
            // As in the original, which says nothing of it, the script then runs without its arguments.
            let complaint = match alone {
                Some(_) => Complaint::remark(line.span(), message).help("the words after the script are left out".to_owned()),
                None => Complaint::error(line.span(), message).help(LEFT_OUT.to_owned()),
            };
            reader.complain(complaint.expected(usage));
            if let Some(command) = &alone {
                reader.scripts.entry(command.argv.clone()).or_insert_with(|| line.span());
            }
            alone
        }
    }
}

pub(super) fn twice(reader: &mut Reader, line: &Line<'_>) {
    let rest = line.args.iter().map(|word| &*word.text).collect::<Vec<_>>().join(" ");
    let message = format!("{} already specified - ignoring {rest}", &*line.word).trim_end().to_owned();
    reader.complain(Complaint::error(line.span(), message).help("the first one counts".to_owned()));
}

/// The first one counts, as in the original.
fn put(reader: &mut Reader, line: &Line<'_>, place: fn(&mut Notify) -> &mut Option<Command>) {
    let Some(command) = script(reader, line, Inline::User) else { return };
    let slot = place(&mut reader.instance().told.notify);
    if slot.is_some() {
        twice(reader, line);
    } else {
        *slot = Some(command);
    }
}

pub(crate) fn notify_master(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.master);
}

pub(crate) fn notify_backup(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.backup);
}

pub(crate) fn notify_fault(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.fault);
}

pub(crate) fn notify_stop(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.stop);
}

pub(crate) fn notify(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.any);
}

pub(crate) fn notify_lower_priority(reader: &mut Reader, line: &Line<'_>) {
    put(reader, line, |notify| &mut notify.lower_priority);
}

pub(crate) fn notify_deleted(reader: &mut Reader, line: &Line<'_>) {
    let second = std::mem::replace(&mut reader.instance().told.notify.says_deleted, true);
    if line.args.is_empty() {
        if second {
            twice(reader, line);
        }
    } else {
        put(reader, line, |notify| &mut notify.deleted);
    }
}

pub(crate) fn smtp_alert(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    let told = &mut reader.instance().told;
    told.mail = value.or(told.mail);
}

pub(crate) fn notify_priority_changes(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    let told = &mut reader.instance().told;
    told.priority_changes = value.or(told.priority_changes);
}

// global_defs

pub(crate) fn global_smtp_alert(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    reader.defaults.told.mail = value.or(reader.defaults.told.mail);
}

pub(crate) fn global_smtp_alert_vrrp(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    reader.defaults.told.mail_vrrp = value.or(reader.defaults.told.mail_vrrp);
}

pub(crate) fn global_smtp_alert_checker(reader: &mut Reader, line: &Line<'_>) {
    let value = number::switch(reader, line, LEFT_OUT);
    reader.defaults.told.mail_checker = value.or(reader.defaults.told.mail_checker);
}

pub(crate) fn global_priority_changes(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.defaults.told.priority_changes = on;
    }
}

pub(crate) fn no_checker_emails(reader: &mut Reader, line: &Line<'_>) {
    if let Some(on) = number::switch(reader, line, LEFT_OUT) {
        reader.global.mail.only_server_changes = on;
    }
}

pub(crate) fn no_email_faults(reader: &mut Reader, _: &Line<'_>) {
    reader.global.mail.no_faults = true;
}

pub(crate) fn states_on_reload(reader: &mut Reader, _: &Line<'_>) {
    reader.global.fifos.states_on_reload = true;
}

type OnceOf = fn(&mut Reader) -> &mut OnceScript;

fn once(reader: &mut Reader, line: &Line<'_>, of: OnceOf) {
    let Some(command) = script(reader, line, Inline::User) else { return };
    if of(reader).command.is_some() {
        twice(reader, line);
    } else {
        of(reader).command = Some(command);
    }
}

fn once_timeout(reader: &mut Reader, line: &Line<'_>, of: OnceOf) {
    if let Some(seconds) = number::int(reader, line, 0, 1..=1000, "10 s are used").and_then(|seconds| u64::try_from(seconds).ok()) {
        of(reader).timeout = Duration::from_secs(seconds);
    }
}

pub(crate) fn startup(reader: &mut Reader, line: &Line<'_>) {
    once(reader, line, |reader| &mut reader.global.startup);
}

pub(crate) fn startup_timeout(reader: &mut Reader, line: &Line<'_>) {
    once_timeout(reader, line, |reader| &mut reader.global.startup);
}

pub(crate) fn shutdown(reader: &mut Reader, line: &Line<'_>) {
    once(reader, line, |reader| &mut reader.global.shutdown);
}

pub(crate) fn shutdown_timeout(reader: &mut Reader, line: &Line<'_>) {
    once_timeout(reader, line, |reader| &mut reader.global.shutdown);
}

type FifoOf = fn(&mut Reader) -> &mut Fifo;

fn fifo(reader: &mut Reader, line: &Line<'_>, of: FifoOf) {
    let Some(path) = line.arg(0).map(|word| std::path::PathBuf::from(&*word.text)) else { return };
    if of(reader).path.is_some() {
        return twice(reader, line);
    }
    let owner = line.arg(1).map(|user| ScriptUser::from_words(user, line.arg(2).map(|group| &*group.text)));
    let fifo = of(reader);
    (fifo.path, fifo.owner) = (Some(path), owner);
}

fn fifo_reader(reader: &mut Reader, line: &Line<'_>, of: FifoOf) {
    let Some(command) = script(reader, line, Inline::User) else { return };
    if of(reader).reader.is_some() {
        return twice(reader, line);
    }
    of(reader).reader = Some(command);
}

pub(crate) fn fifo_all(reader: &mut Reader, line: &Line<'_>) {
    fifo(reader, line, |reader| &mut reader.global.fifos.all);
}

pub(crate) fn fifo_all_reader(reader: &mut Reader, line: &Line<'_>) {
    fifo_reader(reader, line, |reader| &mut reader.global.fifos.all);
}

pub(crate) fn fifo_vrrp(reader: &mut Reader, line: &Line<'_>) {
    fifo(reader, line, |reader| &mut reader.global.fifos.vrrp);
}

pub(crate) fn fifo_vrrp_reader(reader: &mut Reader, line: &Line<'_>) {
    fifo_reader(reader, line, |reader| &mut reader.global.fifos.vrrp);
}

pub(crate) fn fifo_lvs(reader: &mut Reader, line: &Line<'_>) {
    fifo(reader, line, |reader| &mut reader.global.fifos.lvs);
}

pub(crate) fn fifo_lvs_reader(reader: &mut Reader, line: &Line<'_>) {
    fifo_reader(reader, line, |reader| &mut reader.global.fifos.lvs);
}

/// What belongs together in FIFOs: a specific one with the global one's name is dropped, a reader without a FIFO never runs.
pub(super) fn settle(reader: &mut Reader) {
    let fifos = &mut reader.global.fifos;
    let mut dropped = Vec::new();
    for (name, fifo) in [("vrrp_notify_fifo", &mut fifos.vrrp), ("lvs_notify_fifo", &mut fifos.lvs)] {
        if fifo.path.is_some() && fifo.path == fifos.all.path {
            *fifo = Fifo::default();
            dropped.push(format!("{name} is the same as notify_fifo: {name} is dropped, notify_fifo hears everything"));
        }
    }
    for (name, fifo) in [("notify_fifo", &mut fifos.all), ("vrrp_notify_fifo", &mut fifos.vrrp), ("lvs_notify_fifo", &mut fifos.lvs)] {
        if fifo.path.is_none() && fifo.reader.take().is_some() {
            dropped.push(format!("{name}_script without {name}: the script is dropped"));
        }
    }
    for message in dropped {
        reader.complain(Complaint::remark(None, message));
    }
}

/// Says that a whole block is left out.
pub(super) fn block_left_out(reader: &mut Reader, span: Span, what: &str) {
    let message = about(reader, what);
    reader.complain(Complaint::error(span, message).help("the block is left out".to_owned()));
}
