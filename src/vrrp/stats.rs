//! Counters of one instance, as in the statistics file.

use crate::vrrp::event::{Action, State};
use serde::{Deserialize, Serialize};

/// What one instance has counted since start or since they were cleared.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Stats {
    /// Adverts that arrived for this instance and passed every check.
    pub adverts_received: u64,
    /// Adverts sent.
    pub adverts_sent: u64,
    /// Transitions to MASTER.
    pub became_master: u64,
    /// Transitions away from MASTER.
    pub released_master: u64,
    /// Wrong length.
    pub length_errors: u64,
    /// Wrong TTL or hop limit.
    pub ttl_errors: u64,
    /// Type other than ADVERTISEMENT.
    pub invalid_type: u64,
    /// Interval other than ours (version 2).
    pub interval_errors: u64,
    /// Address list other than ours.
    pub address_list_errors: u64,
    /// Unknown authentication type.
    pub invalid_auth_type: u64,
    /// Authentication type other than ours.
    pub auth_type_mismatch: u64,
    /// Wrong password or digest.
    pub auth_failures: u64,
    /// Priority 0 received.
    pub priority_zero_received: u64,
    /// Priority 0 sent.
    pub priority_zero_sent: u64,
    /// Wrong version (no line in the original's file).
    pub version_errors: u64,
    /// Wrong checksum (no line in the original's file).
    pub checksum_errors: u64,
    /// Dropped for another reason: destination kind, source not a peer (no line in the original's file).
    pub other_errors: u64,
}

impl Stats {
    /// Counts what was sent and which state was entered or left. For unicast this is one advert, however many peers.
    pub fn record(&mut self, action: &Action) {
        match action {
            Action::SendAdvert { priority } => {
                self.adverts_sent += 1;
                self.priority_zero_sent += u64::from(*priority == 0);
            }
            Action::Entered(transition) => {
                self.became_master += u64::from(transition.to == State::Master);
                self.released_master += u64::from(transition.from == State::Master);
            }
            Action::InstallAddresses | Action::RemoveAddresses => {}
            Action::Announce { .. } | Action::AnnounceElsewhere | Action::Note(_) => {}
        }
    }

    /// Appends the instance's part of `keepalived.stats`, byte for byte as keepalived 2.2 writes it.
    pub fn write_text(&self, name: &str, text: &mut String) {
        let lines = [
            ("Advertisements", &[("Received", self.adverts_received), ("Sent", self.adverts_sent)][..]),
            ("Became master", &[("", self.became_master)]),
            ("Released master", &[("", self.released_master)]),
            (
                "Packet Errors",
                &[
                    ("Length", self.length_errors),
                    ("TTL", self.ttl_errors),
                    ("Invalid Type", self.invalid_type),
                    ("Advertisement Interval", self.interval_errors),
                    ("Address List", self.address_list_errors),
                ],
            ),
            (
                "Authentication Errors",
                &[("Invalid Type", self.invalid_auth_type), ("Type Mismatch", self.auth_type_mismatch), ("Failure", self.auth_failures)],
            ),
            ("Priority Zero", &[("Received", self.priority_zero_received), ("Sent", self.priority_zero_sent)]),
        ];
        text.push_str(&format!("VRRP Instance: {name}\n"));
        for (title, counters) in lines {
            if let [("", value)] = counters {
                text.push_str(&format!("  {title}: {value}\n"));
                continue;
            }
            text.push_str(&format!("  {title}:\n"));
            for (label, value) in counters {
                text.push_str(&format!("    {label}: {value}\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_nests_as_keepalived_writes_it() {
        let stats = Stats { adverts_received: 1, adverts_sent: 2, became_master: 3, priority_zero_sent: 4, ..Stats::default() };
        let mut text = String::new();
        stats.write_text("VI_1", &mut text);
        let expected = "VRRP Instance: VI_1
  Advertisements:
    Received: 1
    Sent: 2
  Became master: 3
  Released master: 0
  Packet Errors:
    Length: 0
    TTL: 0
    Invalid Type: 0
    Advertisement Interval: 0
    Address List: 0
  Authentication Errors:
    Invalid Type: 0
    Type Mismatch: 0
    Failure: 0
  Priority Zero:
    Received: 0
    Sent: 4
";
        assert_eq!(text, expected);
    }
}
