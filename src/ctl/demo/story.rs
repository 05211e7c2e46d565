//! The acts, in order, and the summary.

use super::stage::{A, ADDRESS, ADVERT, B, Outage, PERIOD, Powers, SECOND, Stage, Trouble};
use super::timeline::{Look, millis};
use crate::ctl::lab::{Pinger, now};
use nix::sys::signal::Signal;
use std::time::Duration;

/// How long any act may take: several times what the protocol takes.
const LIMIT: Duration = Duration::from_secs(15);
/// How long the client is watched after a reload.
const WATCHED: Duration = Duration::from_millis(1200);

/// Skew_Time (RFC 3768 §5.3.3): the lower the priority, the longer the wait.
fn skew_time(priority: u8) -> Duration {
    Duration::from_secs(1) * (256 - u32::from(priority)) / 256
}

/// Master_Down_Interval (RFC 3768 §5.3.3).
fn master_down_interval(priority: u8) -> Duration {
    ADVERT * 3 + skew_time(priority)
}

/// Everything, from start to summary.
pub(super) fn tell(stage: &mut Stage, hold: bool) -> Result<(), Trouble> {
    opening(stage)?;
    let crash = crash(stage)?;
    let back = return_of_the_first(stage)?;
    let stop = orderly_stop(stage)?;
    let reload = reload(stage)?;
    summary(stage, [crash, back, stop, reload]);
    if hold { hold_on(stage) } else { Ok(()) }
}

fn opening(stage: &mut Stage) -> Result<(), Trouble> {
    let timeline = stage.timeline;
    timeline.heading(format_args!("Two nodes share {ADDRESS}; a client pings it every {}", millis(PERIOD)));
    for node in [A, B] {
        stage.start(node)?;
        timeline.now(format_args!("{} starts keepalived, priority {}", stage.label(node), stage.nodes[node].priority));
    }
    stage.wait_for_master(A, LIMIT)?;
    timeline.now("the client is answered");
    stage.pause(Duration::from_millis(700))
}

fn crash(stage: &mut Stage) -> Result<Outage, Trouble> {
    let timeline = stage.timeline;
    timeline.heading("The master dies");
    let begin = now();
    stage.lab.set_carrier(stage.nodes[A].name(), false)?;
    let killed = stage.nodes[A].daemon.take().map_or(0, |mut daemon| {
        let processes = daemon.processes().len();
        daemon.kill_all();
        processes
    });
    let died = timeline.paint(Look::Bad, "dies");
    timeline.at(begin, format_args!("{} {died}: cable out, SIGKILL to its {killed} processes", stage.label(A)));
    stage.wait_for_master(B, LIMIT)?;
    Ok(told(stage, stage.outage(begin)))
}

fn return_of_the_first(stage: &mut Stage) -> Result<Outage, Trouble> {
    let timeline = stage.timeline;
    timeline.heading("It comes back, and takes over again (its priority is higher)");
    stage.forget_addresses(A)?;
    stage.lab.set_carrier(stage.nodes[A].name(), true)?;
    let begin = now();
    stage.start(A)?;
    timeline.now(format_args!("{} is up again and starts keepalived", stage.label(A)));
    stage.wait_for_master(A, LIMIT)?;
    stage.pause(Duration::from_millis(300))?;
    Ok(told(stage, stage.outage(begin)))
}

fn orderly_stop(stage: &mut Stage) -> Result<Outage, Trouble> {
    let timeline = stage.timeline;
    timeline.heading("The master is stopped in order");
    let begin = stage.signal(A, Signal::SIGTERM)?;
    timeline.at(begin, format_args!("{} gets SIGTERM", stage.label(A)));
    let ended = stage.wait("the end of the stopped daemon", LIMIT, |stage| {
        let daemon = stage.nodes[A].daemon.as_mut()?;
        (!daemon.is_running()).then(now)
    })?;
    timeline.at(ended, format_args!("{} has ended, {} after the signal", stage.label(A), millis(ended.since(begin))));
    if stage.nodes[A].host.has(ADDRESS) {
        return Err(Trouble::Wrong(format!("{} ended in order and still has {ADDRESS}", stage.nodes[A].name())));
    }
    stage.nodes[A].daemon = None;
    stage.wait_for_master(B, LIMIT)?;
    Ok(told(stage, stage.outage(begin)))
}

fn reload(stage: &mut Stage) -> Result<Outage, Trouble> {
    let timeline = stage.timeline;
    timeline.heading("A reload adds an address");
    let mut second = Pinger::open(stage.lab.host("client"), SECOND)?;
    if second.answers(PERIOD * 2) {
        return Err(Trouble::Wrong(format!("{SECOND} answers before anybody has it")));
    }
    stage.configure(B, &[ADDRESS, SECOND])?;
    let begin = stage.signal(B, Signal::SIGHUP)?;
    timeline.at(begin, format_args!("{} gets SIGHUP; its configuration now has {SECOND} too", stage.label(B)));
    stage.wait("an answer from the added address", LIMIT, |_| second.answers(PERIOD * 2).then_some(()))?;
    timeline.now(format_args!("{SECOND} answers"));
    stage.pause(WATCHED)?;
    let outage = told(stage, stage.outage(begin));
    if outage.lost > 0 {
        return Err(Trouble::Wrong(format!("the reload cost the client {} pings to {ADDRESS}", outage.lost)));
    }
    Ok(outage)
}

fn told(stage: &Stage, outage: Outage) -> Outage {
    let look = if outage.lost == 0 { Look::Good } else { Look::Strong };
    stage.timeline.now(format_args!("the client's outage: {}", stage.timeline.paint(look, outage)));
    outage
}

fn summary(stage: &Stage, [crash, back, stop, reload]: [Outage; 4]) {
    let timeline = stage.timeline;
    let priority = stage.nodes[B].priority;
    timeline.heading("What the client saw");
    for (what, outage, bound) in [
        ("the master died", crash, format!("RFC 3768: at most {} (3 adverts of 1 s and the skew)", millis(master_down_interval(priority)))),
        ("it came back", back, "RFC 3768: the new master speaks before the old one goes".to_owned()),
        ("the master was stopped", stop, format!("RFC 3768: {} (the skew alone)", millis(skew_time(priority)))),
        ("a reload added an address", reload, "nothing that ran was touched".to_owned()),
    ] {
        timeline.line(format_args!("  {what:<27}{:<32}{}", outage.to_string(), timeline.paint(Look::Quiet, bound)));
    }
}

/// Keeps everything running, and tells what happens.
fn hold_on(stage: &mut Stage) -> Result<(), Trouble> {
    let timeline = stage.timeline;
    timeline.heading("Look around (Ctrl-C ends it)");
    stage.start(A)?;
    let user = match stage.powers {
        Powers::Root => "",
        Powers::UserNamespace => "--user --preserve-credentials ",
    };
    for host in stage.lab.hosts() {
        let enter = format!("nsenter --target {} {user}--net --mount --pid --uts", host.first_process());
        timeline.line(format_args!("  {:<8} {:<12} {enter}", host.name(), host.ipv4()));
    }
    loop {
        stage.pause(Duration::from_secs(1))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_the_rfcs() {
        assert_eq!(master_down_interval(100), Duration::from_micros(3_609_375));
        assert_eq!(skew_time(100), Duration::from_micros(609_375));
        assert_eq!(master_down_interval(200), Duration::from_micros(3_218_750));
    }
}
