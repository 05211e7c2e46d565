//! When checks run: the same keywords in a virtual server, a real server and a checker; the innermost word counts.

use super::super::{Line, Reader};
use super::LEFT_OUT;
use crate::config::number::{self, Decimal};
use std::time::Duration;

/// What was written at one level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    pub(super) delay_loop: Option<Duration>,
    pub(super) retry: Option<u32>,
    pub(super) delay_before_retry: Option<Duration>,
    pub(super) warmup: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
}

impl Times {
    /// What is not written here is taken from `outer`.
    pub(super) fn or(&self, outer: &Self) -> Self {
        Self {
            delay_loop: self.delay_loop.or(outer.delay_loop),
            retry: self.retry.or(outer.retry),
            delay_before_retry: self.delay_before_retry.or(outer.delay_before_retry),
            warmup: self.warmup.or(outer.warmup),
            connect_timeout: self.connect_timeout.or(outer.connect_timeout),
        }
    }
}

/// The level that is being read.
fn level(reader: &mut Reader) -> Option<&mut Times> {
    let lvs = &mut reader.lvs;
    match (&mut lvs.checker, &mut lvs.real, &mut lvs.server) {
        (Some(checker), _, _) => Some(&mut checker.times),
        (None, Some(real), _) => Some(&mut real.times),
        (None, None, Some(server)) => Some(&mut server.times),
        (None, None, None) => None,
    }
}

fn time(reader: &mut Reader, line: &Line<'_>, least: u64, place: fn(&mut Times) -> &mut Option<Duration>) {
    let kind = Decimal { range: least..=4_294_967_295, instead: LEFT_OUT, zero_is_usual: false, unit: true };
    if let Some(value) = number::decimal(reader, line, &kind)
        && let Some(times) = level(reader)
    {
        *place(times) = Some(value);
    }
}

pub(crate) fn delay_loop(reader: &mut Reader, line: &Line<'_>) {
    time(reader, line, 1, |times| &mut times.delay_loop);
}

pub(crate) fn delay_before_retry(reader: &mut Reader, line: &Line<'_>) {
    time(reader, line, 0, |times| &mut times.delay_before_retry);
}

pub(crate) fn warmup(reader: &mut Reader, line: &Line<'_>) {
    time(reader, line, 0, |times| &mut times.warmup);
}

pub(crate) fn connect_timeout(reader: &mut Reader, line: &Line<'_>) {
    time(reader, line, 1, |times| &mut times.connect_timeout);
}

pub(crate) fn retry(reader: &mut Reader, line: &Line<'_>) {
    if &*line.word.text == "nb_get_retry" {
        let message = "nb_get_retry is deprecated - please use 'retry'";
        reader.complain(crate::syntax::Complaint::warning(line.word.span, message));
    }
    // Of a server it must be 1 at least, of a checker it may be 0.
    let least = u32::from(reader.lvs.checker.is_none());
    if let Some(value) = number::unsigned(reader, line, least, LEFT_OUT)
        && let Some(times) = level(reader)
    {
        times.retry = Some(value);
    }
}
