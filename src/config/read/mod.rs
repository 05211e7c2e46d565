//! Walks the tree: every row of the tables says which function reads its keyword into the drafts here.

pub(crate) mod bfd;
pub(crate) mod daemon;
mod finish;
pub(crate) mod garp;
pub(crate) mod global;
pub(crate) mod group;
pub(crate) mod instance;
pub(crate) mod links;
pub(crate) mod lists;
pub(crate) mod lvs;
pub(crate) mod mail;
pub(crate) mod notify;
mod shape;
mod strict;
mod together;
pub(crate) mod tracked;
pub(crate) mod vmac;
pub(crate) mod watched;
pub(crate) mod whole;

use super::model::Global;
use super::paths::Tables;
use crate::syntax::{Complaint, Complaints, Item, Keyword, Span, Word};
use std::collections::HashMap;
use std::ffi::OsString;

/// A row of the tables of this room.
pub(super) type Row = Keyword<Reader>;
/// A keyword as it was written.
pub(super) type Line<'s> = Item<'s, Reader>;

/// An interface that the configuration names, for a test of the configuration against this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct InterfaceUse {
    pub(crate) name: String,
    /// What it is for: `vrrp_instance VI_1`.
    pub(crate) purpose: String,
    pub(crate) span: Span,
}

/// What has been read so far.
#[derive(Default)]
pub(crate) struct Reader {
    complaints: Complaints,
    /// `global_defs`, as it will be in the model.
    pub(super) global: Global,
    /// `global_defs` settings that are defaults of instances.
    pub(super) defaults: global::Defaults,
    /// The finished `vrrp_instance` blocks, in order.
    pub(super) drafts: Vec<instance::Draft>,
    /// The `vrrp_instance` block being read.
    pub(super) draft: Option<instance::Draft>,
    /// `smtp_*` of `global_defs`.
    pub(super) mail: mail::MailDraft,
    /// `virtual_server` blocks and what else concerns the balancer.
    pub(super) lvs: lvs::Drafts,
    /// The `vrrp_sync_group` blocks, in order: a group's keywords are those of an instance.
    pub(super) groups: Vec<instance::Draft>,
    /// Tracked objects.
    pub(super) watched: watched::Drafts,
    /// `bfd_instance` blocks.
    pub(super) bfd: bfd::Drafts,
    /// `garp_group` blocks; the last is the one being read.
    pub(super) garp_groups: Vec<garp::Group>,
    /// The `track_group` blocks so far.
    pub(super) track_groups: Vec<tracked::Group>,
    /// Groups that static objects name, and where.
    pub(super) group_uses: Vec<(String, Span)>,
    /// Names of `/etc/iproute2`.
    pub(super) tables: Tables,
    /// How many rules got a preference that was not written, of IPv4 and IPv6.
    pub(super) preferences: (u32, u32),
    /// Interfaces that must be there.
    pub(crate) interfaces: Vec<InterfaceUse>,
    /// Where commands stand, by their words: whether they may run only this host can say.
    pub(crate) scripts: HashMap<Vec<OsString>, Span>,
    /// Keywords of `global_defs` that count once, and have been read.
    once: Vec<&'static str>,
    /// VMACs so far.
    vmacs: vmac::Names,
    /// Instance names, and where they were given.
    pub(super) names: HashMap<String, Span>,
}

impl Reader {
    /// One that has read nothing yet.
    pub(super) fn knowing(tables: Tables) -> Self {
        Self { tables, ..Self::default() }
    }

    /// One more problem.
    pub(super) fn complain(&mut self, complaint: Complaint) {
        self.complaints.push(complaint);
    }

    /// All problems.
    pub(super) fn into_complaints(self) -> Complaints {
        self.complaints
    }

    /// Remembers that an interface is used.
    pub(crate) fn uses_interface(&mut self, name: &Word<'_>, purpose: impl FnOnce(&Self) -> String) {
        let used = InterfaceUse { name: name.to_string(), purpose: purpose(self), span: name.span };
        self.interfaces.push(used);
    }

    /// Reads keywords in their order. What holds for all instances is looked up when all is read (`finish`), so it may stand anywhere:
    /// the original copies it when an instance's block opens.
    pub(super) fn walk(&mut self, lines: &[Line<'_>]) {
        for line in lines {
            self.keyword(line);
        }
    }

    /// One keyword with its block; of one that is known but not acted on, says that it is.
    pub(super) fn keyword(&mut self, line: &Line<'_>) {
        let Some(row) = line.row else { return };
        if row.once && self.is_second(row.name, line) {
            return;
        }
        match row.act {
            Some(act) => act(self, line),
            None => {
                shape::check(self, line, row);
                let what = if line.children.is_empty() { row.name.to_owned() } else { format!("{} {{ … }}", row.name) };
                let message = format!("'{what}' is known, but not acted on yet");
                self.complain(Complaint::remark(line.word.span, message).help(format!("it means: {}", row.means)).rule("not-acted-on"));
            }
        }
    }

    /// The first one counts, as in the original.
    fn is_second(&mut self, name: &'static str, line: &Line<'_>) -> bool {
        let second = self.once.contains(&name);
        if second {
            notify::twice(self, line);
        } else {
            self.once.push(name);
        }
        second
    }

    /// The draft of the instance that is being read.
    pub(super) fn instance(&mut self) -> &mut instance::Draft {
        self.draft.get_or_insert_with(instance::Draft::default)
    }
}
