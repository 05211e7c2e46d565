//! Names that blocks have of each other: trackers and what they track, groups and their members. The order in the file does not matter.

use super::Reader;
use super::finish::warn;
use super::instance::Draft;
use super::watched::{Drafts, TrackDraft, Watched as Object};
use crate::config::model::Watched;
use crate::lvs::settings::Balancer;
use crate::syntax::{Complaint, suggest};
use crate::types::Priority;
use crate::vrrp::settings::{GroupSettings, Settings, TrackInterface};
use crate::vrrp::track::WEIGHT_LIMIT;
use crate::vrrp::trackers::Track;
use crate::vrrp::trackers::file::FileCheck;
use crate::vrrp::trackers::process::{ParameterMatch, ProcessCheck};
use crate::vrrp::trackers::script::ScriptCheck;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The kinds of `track_*` blocks with names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Script,
    File,
    Process,
    Bfd,
}

impl Kind {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Script => ("track_script", "vrrp_script"),
            Self::File => ("track_file", "track_file"),
            Self::Process => ("track_process", "vrrp_track_process"),
            Self::Bfd => ("track_bfd", "bfd_instance"),
        }
    }

    fn objects(self, drafts: &Drafts) -> &[Object] {
        match self {
            Self::Script => &drafts.scripts,
            Self::File => &drafts.files,
            Self::Process => &drafts.processes,
            Self::Bfd => &drafts.bfds,
        }
    }

    fn lines(self, draft: &Draft) -> &[TrackDraft] {
        match self {
            Self::Script => &draft.track_scripts,
            Self::File => &draft.track_files,
            Self::Process => &draft.track_processes,
            Self::Bfd => &draft.track_bfds,
        }
    }

    /// The weight when nobody names one.
    const fn default_weight(self) -> i16 {
        match self {
            Self::Script | Self::Process | Self::Bfd => 0,
            Self::File => 1,
        }
    }
}

/// Leaves out blocks without what they are for.
pub(super) fn complete(reader: &mut Reader) {
    let mut drafts = std::mem::take(&mut reader.watched);
    let mut need = |objects: &mut Vec<Object>, block: &str, keyword: &str, has: fn(&Object) -> bool| {
        for object in objects.iter().filter(|object| !has(object)) {
            let message = format!("No {keyword} set for {block} {} - removing", object.name);
            reader.complain(Complaint::error(object.span, message).expected(format!("'{keyword}' in the block")));
        }
        objects.retain(has);
    };
    need(&mut drafts.scripts, "vrrp_script", "script", |object| object.command.is_some());
    need(&mut drafts.files, "track_file", "file", |object| object.path.is_some());
    need(&mut drafts.processes, "vrrp_track_process", "process", |object| object.process.is_some());
    reader.watched = drafts;
}

/// Which group an instance is in: by instance name, the place of the group.
pub(super) fn membership(reader: &mut Reader, groups: &[Draft]) -> HashMap<String, usize> {
    let mut of: HashMap<String, usize> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        for (name, span) in &group.members {
            let problem = if !reader.names.contains_key(name) {
                let near = suggest::nearest(name, reader.names.keys().map(String::as_str)).map(|near| format!("did you mean '{near}'?"));
                Some((format!("vrrp_sync_group {}: instance {name} does not exist - removing it from the group", group.name), near))
            } else {
                let twice = |other: &Draft| {
                    format!("vrrp_sync_group {}: instance {name} is in group {} already - ignoring", group.name, other.name)
                };
                of.get(name).and_then(|other| groups.get(*other)).map(|other| (twice(other), None))
            };
            match problem {
                Some((message, help)) => reader.complain(Complaint::error(*span, message).help(help)),
                None => {
                    of.insert(name.clone(), number);
                }
            }
        }
    }
    of
}

/// What an instance tracks of one kind, its group's lines included.
pub(super) fn tracks(reader: &mut Reader, kind: Kind, draft: &Draft, group: Option<&Draft>, priority: Priority) -> Vec<Track> {
    let mut kept: Vec<Track> = Vec::new();
    let (block, object) = kind.words();
    // What the group tracks moves all its members alike: there weights are as welcome as without a group.
    let own = kind.lines(draft).iter().map(|line| (line, group));
    let shared = group.map(|group| kind.lines(group)).unwrap_or_default();
    for (line, group) in own.chain(shared.iter().map(|line| (line, None))) {
        if kept.iter().any(|track| track.name == line.name) {
            continue;
        }
        let Some(own) = kind.objects(&reader.watched).iter().find(|object| object.name == line.name).map(|object| object.weight) else {
            let names = kind.objects(&reader.watched).iter().map(|object| object.name.as_str());
            let help = match suggest::nearest(&line.name, names) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("the line is left out; '{object} {} {{ … }}' anywhere in the file defines it", line.name),
            };
            let message = format!("({}) {} {} not found, ignoring...", draft.name, block.replace('_', " "), line.name);
            reader.complain(Complaint::error(line.span, message).help(help).rule("undefined-object"));
            continue;
        };
        let weight = line.weight.weight.or(own.weight).unwrap_or(kind.default_weight());
        let reverse = line.weight.reverse.or(own.reverse).unwrap_or(false);
        let twice = group.is_some() && shared.iter().any(|other| other.name == line.name);
        if twice {
            let both = "is configured on VRRP instance and sync group. Remove vrrp instance config";
            warn(reader, draft, &format!("{block} {} {both}", line.name));
        }
        // A script adds 253 at most; the others may say 254.
        let weight = if kind == Kind::Script { weight.clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) } else { weight };
        match permitted(kind, weight, group, priority) {
            Ok(0) if weight != 0 => {
                let message = format!("ignoring weight from tracked file {} due to SYNC group. specify weight 0", line.name);
                warn(reader, draft, &message);
                kept.push(Track { name: line.name.clone(), weight: 0, reverse });
            }
            // Of two weights the group's counts.
            Ok(1..) | Ok(..0) if twice => {}
            Ok(weight) => kept.push(Track { name: line.name.clone(), weight, reverse }),
            Err(why) => warn(reader, draft, &format!("Ignoring {block} {} with weight {weight} {why}", line.name)),
        }
    }
    kept
}

/// Members of a group change together, so a weight of a member's own is only taken when the group allows it; an owner's priority never
/// changes.
fn permitted(kind: Kind, weight: i16, group: Option<&Draft>, priority: Priority) -> Result<i16, &'static str> {
    let grouped = group.is_some_and(|group| !group.tracking_weight);
    match (kind, weight) {
        (_, 0) => Ok(0),
        (Kind::File, 1) if grouped => Ok(0),
        (_, _) if grouped => Err("since in a sync group without sync_group_tracking_weight"),
        (_, _) if priority.is_owner() => Err("due to being address owner"),
        (_, weight) => Ok(weight),
    }
}

/// Interfaces that an instance tracks, its group's included. One that carries a virtual address has no weight, since its going down is a
/// fault in any case (so does the original). A member's own weight counts also where scripts may have none: the original says that it
/// ignores it, and does not.
pub(super) fn interfaces(reader: &mut Reader, draft: &Draft, own: Vec<TrackInterface>, group: Option<&Draft>) -> Vec<TrackInterface> {
    if group.is_some_and(|group| !group.tracking_weight) {
        for tracked in own.iter().filter(|tracked| tracked.weight != 0 && !carries_address(draft, &tracked.name)) {
            let message = format!("weight of tracked interface {} in a sync group without sync_group_tracking_weight", tracked.name);
            warn(reader, draft, &format!("{message}: it moves this member alone"));
        }
    }
    let mut all = own;
    for line in group.map(|group| group.track_interfaces.as_slice()).unwrap_or_default() {
        let Some(tracked) = all.iter_mut().find(|tracked| tracked.name == line.name) else {
            all.push(line.clone());
            continue;
        };
        let both = "is configured on VRRP instance and sync group. Remove vrrp instance or sync group config";
        warn(reader, draft, &format!("track_interface {} {both}", line.name));
        // Of two weights the group's counts.
        if tracked.weight != 0 {
            *tracked = line.clone();
        }
    }
    for tracked in all.iter_mut().filter(|tracked| tracked.weight != 0 && carries_address(draft, &tracked.name)) {
        let message = format!("ignoring {} tracked interface weight: a virtual address is on it", tracked.name);
        let complaint = Complaint::remark(draft.span, format!("({}) {message}", draft.name));
        reader.complain(complaint.help("when it is down that is a fault in any case, unless the address says no_track".to_owned()));
        (tracked.weight, tracked.reverse) = (0, false);
    }
    all
}

fn carries_address(draft: &Draft, interface: &str) -> bool {
    let mut addresses = draft.addresses.iter().chain(&draft.excluded);
    addresses.any(|address| !address.no_track && address.device.as_deref() == Some(interface))
}

/// The groups of instances that run.
pub(super) fn groups(reader: &mut Reader, drafts: &[Draft], instances: &[Arc<Settings>]) -> Vec<Arc<GroupSettings>> {
    let of: HashMap<&str, &str> =
        instances.iter().filter_map(|instance| Some((instance.name.as_str(), instance.sync_group.as_deref()?))).collect();
    let mut groups = Vec::new();
    for draft in drafts {
        let runs = |name: &str| of.get(name) == Some(&draft.name.as_str());
        let members: Vec<String> = draft.members.iter().map(|(name, _)| name).filter(|name| runs(name)).cloned().collect();
        match members.len() {
            0 => {
                let message = format!("Sync group {} has no members - removing", draft.name);
                reader.complain(Complaint::warning(draft.span, message));
                continue;
            }
            1 => {
                let message = format!("Sync group {} has only 1 virtual router(s) - this probably isn't what you want", draft.name);
                reader.complain(Complaint::warning(draft.span, message));
            }
            _ => {}
        }
        let notify = draft.told.finish(None, reader.defaults.told);
        groups.push(Arc::new(GroupSettings { name: draft.name.clone(), members, notify }));
    }
    groups
}

/// The tracked objects that somebody tracks.
pub(super) fn watched(reader: &mut Reader, instances: &[Arc<Settings>], balancer: &Balancer) -> Watched {
    let drafts = std::mem::take(&mut reader.watched);
    let used = |of: fn(&Settings) -> &[Track]| -> HashSet<&str> {
        instances.iter().flat_map(|instance| of(instance)).map(|track| track.name.as_str()).collect()
    };
    let scripts = kept(reader, Kind::Script, drafts.scripts, &used(|settings| &settings.track_scripts));
    let mut files_used = used(|settings| &settings.track_files);
    let checkers = balancer.servers.iter().flat_map(|server| &server.real_servers).flat_map(|real| &real.checkers);
    files_used.extend(checkers.filter_map(|checker| match &checker.kind {
        crate::check::Kind::File(file) => Some(file.name.as_str()),
        _ => None,
    }));
    let files = kept(reader, Kind::File, drafts.files, &files_used);
    let processes = kept(reader, Kind::Process, drafts.processes, &used(|settings| &settings.track_processes));
    Watched {
        scripts: scripts.into_iter().filter_map(script_check).map(Arc::new).collect(),
        files: files.into_iter().filter_map(file_check).map(Arc::new).collect(),
        processes: processes.into_iter().filter_map(process_check).map(Arc::new).collect(),
    }
}

fn kept(reader: &mut Reader, kind: Kind, objects: Vec<Object>, used: &HashSet<&str>) -> Vec<Object> {
    let (kept, unused): (Vec<_>, Vec<_>) = objects.into_iter().partition(|object| used.contains(object.name.as_str()));
    let (block, word) = kind.words();
    for object in unused {
        let message = format!("{word} {} is not used by any {block} - removing", object.name);
        reader.complain(Complaint::remark(object.span, message));
    }
    kept
}

fn script_check(object: Object) -> Option<ScriptCheck> {
    let mut command = object.command?;
    command.user = object.user;
    let interval = object.interval.unwrap_or(Duration::from_secs(1));
    Some(ScriptCheck {
        name: object.name,
        command,
        interval,
        timeout: object.timeout.unwrap_or(interval),
        rise: object.rise.unwrap_or(1),
        fall: object.fall.unwrap_or(1),
        init_fail: object.init_fail,
    })
}

fn file_check(object: Object) -> Option<FileCheck> {
    Some(FileCheck { name: object.name, path: object.path?, init: object.init })
}

fn process_check(object: Object) -> Option<ProcessCheck> {
    let (command, parameters) = object.process?;
    // Arguments written beside the command must be there, exactly; and who looks at arguments, or that there are none, compares
    // the command as it was called (observed of the original).
    let with_parameters = !parameters.is_empty();
    let as_called = object.full_command || with_parameters || object.matching.is_some();
    let no_process = object.quorum_max == Some(0);
    let quorum = object.quorum.unwrap_or(1);
    // Said where it is read: such a limit could never be kept.
    let quorum_max = object.quorum_max.filter(|most| no_process || *most >= quorum);
    Some(ProcessCheck {
        name: object.name,
        command,
        matching: object.matching.unwrap_or(if with_parameters { ParameterMatch::Exact } else { ParameterMatch::Ignored }),
        full_command: as_called,
        parameters,
        quorum: if no_process { 0 } else { quorum },
        quorum_max,
        gain_delay: object.gain_delay.unwrap_or_default(),
        loss_delay: object.loss_delay.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::load::{Loaded, load_text};

    fn instance(name: &str, vrid: u8, more: &str) -> String {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n virtual_ipaddress {{\n 10.0.0.{vrid}\n }}\n {more}\n}}\n"
        )
    }

    fn complaints(loaded: &Loaded) -> String {
        loaded.report.diagnostics().iter().map(|found| found.render()).collect()
    }

    const SCRIPT: &str = "vrrp_script chk {\n script \"/usr/bin/killall -0 haproxy\"\n interval 2\n weight -20\n fall 3\n}\n";

    #[test]
    fn a_tracker_is_found_before_and_after_its_use() {
        let track = instance("VI_1", 1, "track_script {\n chk\n }");
        for text in [format!("{SCRIPT}{track}"), format!("{track}{SCRIPT}")] {
            let loaded = load_text(&text);
            assert_eq!(complaints(&loaded), "");
            let [check] = loaded.config.watched.scripts.as_slice() else { panic!("one script") };
            assert_eq!(check.command.to_string(), "'/usr/bin/killall' '-0' 'haproxy'");
            assert_eq!((check.interval.as_secs(), check.timeout.as_secs(), check.rise, check.fall), (2, 2, 1, 3));
            let [track] = loaded.config.instances[0].track_scripts.as_slice() else { panic!("one line") };
            assert_eq!((track.name.as_str(), track.weight, track.reverse), ("chk", -20, false));
        }
    }

    #[test]
    fn an_unknown_tracker_is_named_with_the_one_that_was_meant() {
        let loaded = load_text(&format!("{SCRIPT}{}", instance("VI_1", 1, "track_script {\n chck weight 5\n }")));
        let text = complaints(&loaded);
        assert!(text.contains("track script chck not found") && text.contains("did you mean 'chk'?"), "{text}");
        assert!(text.contains("vrrp_script chk is not used"), "{text}");
    }

    #[test]
    fn a_groups_lines_are_its_members_and_weights_of_a_members_own_need_permission() {
        let group = |more: &str| format!("vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {more}\n}}\n{SCRIPT}");
        let (plain, lines) =
            (instance("A", 1, "") + &instance("B", 2, ""), "track_script {\n chk\n }\n track_interface {\n eth1 weight 30\n }");
        let shared = load_text(&(group(lines) + &plain));
        assert_eq!(complaints(&shared), "");
        assert!(shared.config.instances.iter().all(|instance| instance.track_scripts[0].weight == -20));
        assert!(shared.config.instances.iter().all(|instance| instance.track_interfaces[0].weight == 30));
        assert_eq!(shared.config.groups[0].members, ["A", "B"]);
        let own = instance("A", 1, lines) + &instance("B", 2, "");
        let allowed = load_text(&(group("sync_group_tracking_weight") + &own));
        assert_eq!(complaints(&allowed), "");
        assert_eq!(allowed.config.instances[0].track_scripts[0].weight, -20);
        let forbidden = load_text(&(group("") + &own));
        assert!(forbidden.config.instances[0].track_scripts.is_empty());
        assert!(complaints(&forbidden).contains("since in a sync group without sync_group_tracking_weight"));
        assert_eq!(forbidden.config.instances[0].track_interfaces[0].weight, 30);
        assert!(complaints(&forbidden).contains("it moves this member alone"));
    }

    #[test]
    fn what_both_track_has_the_groups_weight_unless_the_members_own_has_none() {
        let track = |weight| format!("track_script {{\n chk weight {weight}\n }}\n track_interface {{\n eth1 weight {weight}\n }}");
        let group = format!("vrrp_sync_group G {{\n group {{\n A\n B\n }}\n sync_group_tracking_weight\n {}\n}}\n", track(30));
        let loaded = load_text(&(group + SCRIPT + &instance("A", 1, &track(-5)) + &instance("B", 2, &track(0))));
        let weights = |at: usize| {
            let instance = &loaded.config.instances[at];
            (instance.track_scripts[0].weight, instance.track_interfaces[0].weight, instance.track_scripts.len())
        };
        assert_eq!((weights(0), weights(1)), ((30, 30, 1), (0, 0, 1)));
        assert!(complaints(&loaded).contains("track_script chk is configured on VRRP instance and sync group"));
    }

    #[test]
    fn a_member_that_does_not_exist_is_named() {
        let loaded = load_text(&format!("vrrp_sync_group G {{\n group {{\n VI_1 VI_3\n }}\n}}\n{}", instance("VI_1", 1, "")));
        assert!(complaints(&loaded).contains("instance VI_3 does not exist"));
        assert_eq!(loaded.config.groups[0].members, ["VI_1"]);
    }

    #[test]
    fn notify_scripts_keep_their_words_and_users() {
        let more = "notify_master \"/n.sh 'a b' master\" nobody\n notify /n.sh\n notify /other.sh\n smtp_alert";
        let loaded = load_text(&instance("VI_1", 1, more));
        let notify = loaded.config.instances[0].notify.as_ref().unwrap();
        assert_eq!(notify.master.as_ref().unwrap().to_string(), "'/n.sh' 'a b' 'master'");
        assert_eq!(notify.master.as_ref().unwrap().user.as_ref().unwrap().user, "nobody");
        assert_eq!(notify.any.as_ref().unwrap().to_string(), "'/n.sh'");
        assert!(notify.mail);
        assert!(complaints(&loaded).contains("notify already specified"));
    }

    #[test]
    fn a_script_without_quotes_around_its_arguments_is_explained() {
        let loaded = load_text(&instance("VI_1", 1, "notify /n.sh a b c"));
        assert!(complaints(&loaded).contains("put a script and its arguments in quotes"), "{}", complaints(&loaded));
    }
}
