//! The three notify FIFOs: which are open, and whose reader has to start or stop.

use crate::config::model::{Fifo as Settings, Fifos as Wanted};
use crate::script::account::account;
use crate::script::fifo::Fifo;
use crate::types::Command;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// Their places: everything, VRRP, LVS.
const NAMES: [&str; 3] = ["notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"];

/// The FIFOs that are open, each in its place.
#[derive(Default)]
pub(super) struct Fifos([Option<(Settings, Fifo)>; 3]);

/// What becomes of the reader of one FIFO.
pub(super) struct Reader {
    /// Place of its FIFO.
    pub(super) place: u8,
    /// What to run with which argument, after the reader of before was stopped; `None` only stops that.
    pub(super) runs: Option<(Command, CString)>,
}

impl Fifos {
    /// The keyword of a place.
    pub(super) fn name(place: u8) -> &'static str {
        NAMES.get(usize::from(place)).copied().unwrap_or_default()
    }

    /// Every place.
    pub(super) fn places() -> impl Iterator<Item = u8> {
        (0..).take(NAMES.len())
    }

    /// Opens, keeps and closes what the configuration says; the readers of those that it did not keep.
    pub(super) fn settle(&mut self, wanted: &Wanted) -> Vec<Reader> {
        let wanted = [&wanted.all, &wanted.vrrp, &wanted.lvs];
        let places = self.0.iter_mut().zip(wanted).zip(Self::places());
        places.filter_map(|((slot, wanted), place)| settle(slot, wanted, place)).collect()
    }

    /// Instances and groups are heard on the FIFO of everything and on the one of VRRP.
    pub(super) fn write_vrrp(&mut self, line: &str) {
        let [all, vrrp, _] = &mut self.0;
        write([all, vrrp], line);
    }

    /// Servers of the balancer likewise. As 2.2.7 writes them; 2.4 sends a NUL byte after each.
    pub(super) fn write_lvs(&mut self, line: &str) {
        let [all, _, lvs] = &mut self.0;
        write([all, lvs], line);
    }
}

fn write(to: [&mut Option<(Settings, Fifo)>; 2], line: &str) {
    for (_, fifo) in to.into_iter().flatten() {
        fifo.write(line.as_bytes());
    }
}

/// `None` when it stays as it is.
fn settle(slot: &mut Option<(Settings, Fifo)>, wanted: &Settings, place: u8) -> Option<Reader> {
    if slot.as_ref().is_some_and(|(settings, _)| settings == wanted) {
        return None;
    }
    *slot = None;
    *slot = open(wanted, Fifos::name(place)).map(|fifo| (wanted.clone(), fifo));
    let path = wanted.path.as_ref().filter(|_| slot.is_some()).and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
    Some(Reader { place, runs: wanted.reader.clone().zip(path) })
}

fn open(wanted: &Settings, name: &str) -> Option<Fifo> {
    let path = wanted.path.as_ref()?;
    let owner = match wanted.owner.as_ref().map(account).transpose() {
        Ok(account) => account.map(|account| (account.ids.uid, account.ids.gid)),
        Err(error) => {
            tracing::error!("{name} {}: {error}", path.display());
            return None;
        }
    };
    Fifo::open(path, owner).map_err(|error| tracing::error!("{name}: {error}")).ok()
}
