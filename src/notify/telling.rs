//! A notice into what it gives: scripts, a FIFO line, a letter (keepalived.conf(5), `notify`; byte-exact where programs read it).

use crate::types::Command;
use crate::vrrp::event::State;
use crate::vrrp::notify::{Happened, Notice, Notify, Subject};

/// Everything one notice gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Telling {
    /// Scripts, started side by side in this order.
    pub scripts: Vec<Script>,
    /// Line for the FIFOs, newline included.
    pub line: Option<String>,
    /// Letter.
    pub letter: Option<Letter>,
}

/// A script and the arguments appended to its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// As configured.
    pub command: Command,
    /// For `notify`: what, name, state, priority.
    pub more: Vec<String>,
}

/// What a mail says; whom it goes to is everybody's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Subject without the router's name: `VRRP Instance VI_1 - Entering MASTER state`.
    pub subject: String,
    /// One line.
    pub body: String,
}

/// What this notice gives when `notify` is what its subject asked for. FIFO lines need no asking, but those of priorities and of lower
/// priorities heard.
pub fn telling(notice: &Notice, notify: Option<&Notify>, no_fault_mails: bool) -> Telling {
    let nothing = Notify::default();
    let notify = notify.unwrap_or(&nothing);
    match notice.happened {
        Happened::Entered(state) => match word(state) {
            Some(word) => entered(notice, notify, word, specific(notify, state), letter(&notice.subject, state, no_fault_mails)),
            None => Telling::default(),
        },
        Happened::Deleted => entered(notice, notify, "DELETED", notify.deleted.as_ref(), Some(deleted(&notice.subject))),
        Happened::LowerPriorityHeard => match &notify.lower_priority {
            Some(command) => Telling {
                scripts: vec![Script { command: command.clone(), more: Vec::new() }],
                line: Some(line(notice, "MASTER_RX_LOWER_PRI")),
                letter: None,
            },
            None => Telling::default(),
        },
        Happened::PriorityChanged(state) => {
            let word = match state {
                State::Master => "MASTER_PRIORITY",
                State::Init | State::Backup | State::Fault => "BACKUP_PRIORITY",
                State::Stopped => return Telling::default(),
            };
            Telling { line: notify.priority_changes.then(|| line(notice, word)), ..Telling::default() }
        }
    }
}

/// The specific script, then the generic one, the line, the letter.
fn entered(notice: &Notice, notify: &Notify, word: &str, specific: Option<&Command>, letter: Option<Letter>) -> Telling {
    let specific = specific.map(|command| Script { command: command.clone(), more: Vec::new() });
    let generic = notify.any.as_ref().map(|command| Script { command: command.clone(), more: appended(notice, word) });
    Telling {
        scripts: specific.into_iter().chain(generic).collect(),
        line: Some(line(notice, word)),
        letter: letter.filter(|_| notify.mail),
    }
}

fn appended(notice: &Notice, word: &str) -> Vec<String> {
    let subject = &notice.subject;
    vec![subject.word().to_owned(), subject.name().to_owned(), word.to_owned(), priority(notice).to_string()]
}

fn line(notice: &Notice, word: &str) -> String {
    let subject = &notice.subject;
    format!("{} \"{}\" {word} {}\n", subject.word(), subject.name(), priority(notice))
}

fn priority(notice: &Notice) -> u8 {
    notice.priority.map_or(0, crate::types::Priority::get)
}

/// The state as scripts and FIFO lines have it.
const fn word(state: State) -> Option<&'static str> {
    match state {
        State::Master => Some("MASTER"),
        State::Backup => Some("BACKUP"),
        State::Fault => Some("FAULT"),
        State::Stopped => Some("STOP"),
        State::Init => None,
    }
}

const fn specific(notify: &Notify, state: State) -> Option<&Command> {
    match state {
        State::Master => notify.master.as_ref(),
        State::Backup => notify.backup.as_ref(),
        State::Fault => notify.fault.as_ref(),
        State::Stopped => notify.stop.as_ref(),
        State::Init => None,
    }
}

fn letter(subject: &Subject, state: State, no_fault_mails: bool) -> Option<Letter> {
    let (phrase, body) = match (state, subject) {
        (State::Fault, _) if no_fault_mails => return None,
        (State::Master, Subject::Instance(_)) => ("Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <="),
        (State::Backup, Subject::Instance(_)) => ("Entering BACKUP state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
        (State::Fault, Subject::Instance(_)) => ("Entering FAULT state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
        (State::Stopped, Subject::Instance(_)) => ("Stopping", "=> VRRP Instance stopping <="),
        (State::Master, Subject::Group(_)) => ("Entering MASTER state", "=> All VRRP group instances are now in MASTER state <="),
        (State::Backup, Subject::Group(_)) => ("Entering BACKUP state", "=> All VRRP group instances are now in BACKUP state <="),
        (State::Fault, Subject::Group(_)) => ("Entering FAULT state", "=> All VRRP group instances are now in FAULT state <="),
        (State::Stopped, Subject::Group(_)) => ("Stopping", "=> All VRRP group instances are now stopping <="),
        (State::Init, _) => return None,
    };
    Some(Letter { subject: about(subject, phrase), body: body.to_owned() })
}

fn deleted(subject: &Subject) -> Letter {
    Letter { subject: about(subject, "Deleted"), body: "=> VRRP Deleted at reload <=".to_owned() }
}

fn about(subject: &Subject, phrase: &str) -> String {
    match subject {
        Subject::Instance(name) => format!("VRRP Instance {name} - {phrase}"),
        Subject::Group(name) => format!("VRRP Group {name} - {phrase}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Priority;

    fn command(path: &str) -> Command {
        Command { argv: vec![path.into()], user: None }
    }

    fn notice(happened: Happened) -> Notice {
        Notice { subject: Subject::Instance("VI_1".into()), happened, priority: Some(Priority::DEFAULT) }
    }

    fn all() -> Notify {
        Notify {
            master: Some(command("/m")),
            backup: Some(command("/b")),
            fault: Some(command("/f")),
            stop: Some(command("/s")),
            deleted: Some(command("/d")),
            says_deleted: true,
            lower_priority: Some(command("/l")),
            any: Some(command("/n")),
            mail: true,
            priority_changes: true,
        }
    }

    #[test]
    fn the_specific_script_comes_first_and_the_generic_one_gets_four_arguments() {
        for (happened, path, word) in [
            (Happened::Entered(State::Master), "/m", "MASTER"),
            (Happened::Entered(State::Backup), "/b", "BACKUP"),
            (Happened::Entered(State::Fault), "/f", "FAULT"),
            (Happened::Entered(State::Stopped), "/s", "STOP"),
            (Happened::Deleted, "/d", "DELETED"),
        ] {
            let told = telling(&notice(happened), Some(&all()), false);
            assert_eq!(told.scripts[0], Script { command: command(path), more: Vec::new() });
            assert_eq!(
                told.scripts[1],
                Script { command: command("/n"), more: ["INSTANCE", "VI_1", word, "100"].map(str::to_owned).into() }
            );
            assert_eq!(told.line.unwrap(), format!("INSTANCE \"VI_1\" {word} 100\n"));
        }
    }

    #[test]
    fn a_group_has_priority_zero() {
        let notice = Notice { subject: Subject::Group("G1".into()), happened: Happened::Entered(State::Master), priority: None };
        let told = telling(&notice, Some(&all()), false);
        assert_eq!(told.line.as_deref(), Some("GROUP \"G1\" MASTER 0\n"));
        assert_eq!(told.scripts[1].more, ["GROUP", "G1", "MASTER", "0"]);
        assert_eq!(told.letter.unwrap().subject, "VRRP Group G1 - Entering MASTER state");
    }

    #[test]
    fn lines_of_states_need_no_asking_and_the_others_do() {
        let line = |happened| telling(&notice(happened), None, false).line;
        assert_eq!(line(Happened::Entered(State::Backup)).as_deref(), Some("INSTANCE \"VI_1\" BACKUP 100\n"));
        assert_eq!(line(Happened::PriorityChanged(State::Master)), None);
        assert_eq!(line(Happened::LowerPriorityHeard), None);
        let asked = |happened| telling(&notice(happened), Some(&all()), false);
        assert_eq!(asked(Happened::PriorityChanged(State::Master)).line.as_deref(), Some("INSTANCE \"VI_1\" MASTER_PRIORITY 100\n"));
        for state in [State::Init, State::Backup, State::Fault] {
            assert_eq!(asked(Happened::PriorityChanged(state)).line.as_deref(), Some("INSTANCE \"VI_1\" BACKUP_PRIORITY 100\n"));
        }
        assert_eq!(asked(Happened::LowerPriorityHeard).line.as_deref(), Some("INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100\n"));
        assert!(asked(Happened::PriorityChanged(State::Backup)).scripts.is_empty());
    }

    #[test]
    fn fault_mails_can_be_left_out() {
        let letter = |no_faults| telling(&notice(Happened::Entered(State::Fault)), Some(&all()), no_faults).letter;
        assert_eq!(letter(true), None);
        assert_eq!(letter(false).unwrap().body, "=> VRRP Instance is no longer owning VRRP VIPs <=");
    }
}
