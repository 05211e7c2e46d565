//! `vrrp_sync_group`.

use super::instance::Draft;
use super::notify::block_left_out;
use super::{Line, Reader};
use crate::syntax::Complaint;

pub(crate) fn block(reader: &mut Reader, line: &Line<'_>) {
    let Some(name) = line.arg(0) else {
        let complaint = Complaint::error(line.span(), "vrrp_sync_group must have a name").expected("'vrrp_sync_group NAME { … }'");
        reader.complain(complaint.help("the block is left out".to_owned()));
        return;
    };
    reader.draft = Some(Draft { name: name.to_string(), span: name.span, ..Draft::default() });
    if reader.groups.iter().any(|group| group.name == *name.text) {
        block_left_out(reader, name.span, "this vrrp_sync_group is already defined");
        reader.draft = None;
        return;
    }
    reader.walk(&line.children);
    reader.groups.extend(reader.draft.take());
}

/// All words of all lines are names.
pub(crate) fn members(reader: &mut Reader, line: &Line<'_>) {
    let words = line.children.iter().flat_map(Line::words).map(|word| (word.to_string(), word.span));
    let words: Vec<_> = words.collect();
    reader.instance().members.extend(words);
}

pub(crate) fn tracking_weight(reader: &mut Reader, _: &Line<'_>) {
    reader.instance().tracking_weight = true;
}

pub(crate) fn global_tracking(reader: &mut Reader, line: &Line<'_>) {
    let message = "global_tracking is deprecated: use sync_group_tracking_weight";
    reader.complain(Complaint::remark(line.word.span, message));
    reader.instance().tracking_weight = true;
}
