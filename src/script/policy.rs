//! Whose rights a script gets, and whether it may run at all (keepalived.conf(5), "script security").

use super::account::{Account, DEFAULT_USER, UserError, account_with, ourselves};
use super::refusal::{Fault, Refusal};
use super::rights::{fault, may_run, runs_as_root};
use super::walk::{Files, Machine, Stop, walk};
use crate::sys::spawn::Ids;
use crate::types::{Command, ScriptUser};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What execvp(3) searches when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A script that may run: everything that a start needs.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The file. Without `use_symlink_paths` that is where the links on the way to it lead, so that a script finds its
    /// neighbours by `$0`.
    pub path: CString,
    /// Argument vector as configured: a program of several names (`pidof`, `pkill`) is the one that is written.
    pub argv: Vec<CString>,
    /// Whom to become; `None`: the user we are.
    pub ids: Option<Ids>,
    /// How it is called in the log.
    pub label: String,
    /// It was found by searching PATH here.
    pub found_at: Option<PathBuf>,
    /// Somebody else than root can change it, and it runs as root: allowed because security is not enabled.
    pub insecure: Option<Fault>,
}

/// Who we are, and what the configuration says of all scripts.
#[derive(Clone, Debug)]
pub struct Policy {
    /// User and group for scripts that name none, and the user's name.
    default: Option<Account>,
    default_is_ours: bool,
    /// We cannot change user.
    unprivileged: bool,
    /// What holds for all scripts.
    ways: Ways,
    /// PATH.
    path: OsString,
}

/// `global_defs` that hold for every script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ways {
    /// `enable_script_security`.
    pub secure: bool,
    /// `use_symlink_paths`: the path that is written is run, not the one behind its links.
    pub keep_links: bool,
    /// `set_supplementary_groups`: scripts get all groups of their user, whatever is written beside it.
    pub all_groups: bool,
}

impl Policy {
    /// The policy of this process: `script_user`, else [`DEFAULT_USER`] when it exists, else the user we are.
    /// `unprivileged`: switching user is impossible (not root, or a user namespace with one user).
    ///
    /// # Errors
    /// `script_user` cannot be resolved. With [`Ways::secure`], no default user at all is an error as well.
    pub fn new(script_user: Option<&ScriptUser>, ways: Ways, unprivileged: bool) -> Result<Self, UserError> {
        let (default, default_is_ours) = match script_user {
            Some(user) => (account_with(user, ways.all_groups)?, false),
            None if unprivileged => (ourselves(), true),
            None => match account_with(&ScriptUser::from_words(DEFAULT_USER, None), ways.all_groups) {
                Ok(account) => (account, false),
                Err(error) if ways.secure => return Err(error),
                Err(_) => (ourselves(), true),
            },
        };
        let policy = Self { default_is_ours, ..Self::without_default(ways, unprivileged) };
        policy.reachable(&default)?;
        Ok(Self { default: Some(default), ..policy })
    }

    /// A policy under which only scripts that name their user can run.
    pub fn without_default(ways: Ways, unprivileged: bool) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        Self { default: None, default_is_ours: false, unprivileged, ways, path }
    }

    /// Who scripts run as that name no user.
    pub const fn default_account(&self) -> Option<&Account> {
        self.default.as_ref()
    }

    /// They run as the user we are, for want of another.
    pub const fn default_is_ours(&self) -> bool {
        self.default_is_ours
    }

    fn reachable(&self, account: &Account) -> Result<(), UserError> {
        let ours = nix::unistd::geteuid().as_raw();
        if self.unprivileged && account.ids.uid != ours {
            return Err(UserError::NotOurs { user: account.name.clone() });
        }
        Ok(())
    }

    /// Looks at a script as it is now.
    ///
    /// # Errors
    /// Why it will not run; the text names the component at fault and the command that cures it.
    pub fn approve(&self, command: &Command) -> Result<Approved, Refusal> {
        let account = match &command.user {
            Some(user) => account_with(user, self.ways.all_groups)?,
            None => self.default.clone().ok_or_else(|| UserError::NoUser { user: DEFAULT_USER.to_owned() })?,
        };
        self.reachable(&account)?;
        self.judge(&Machine, command, &account)
    }

    fn judge(&self, files: &impl Files, command: &Command, account: &Account) -> Result<Approved, Refusal> {
        let by_shell = redirection(command);
        let command = by_shell.as_ref().unwrap_or(command);
        let program = Path::new(command.program());
        let label = program.display().to_string();
        let (path, stops, found_at) = if command.program().as_bytes().contains(&b'/') {
            let stops = walk(files, program).map_err(|end| Refusal::NotFound { script: label.clone(), end })?;
            may_run(&stops, account, &label)?;
            (program.to_owned(), stops, None)
        } else {
            let (path, stops) = self.search(files, command.program(), account)?;
            (path.clone(), stops, Some(path))
        };
        let insecure = if runs_as_root(&stops, account) { fault(&stops) } else { None };
        if let (true, Some(fault)) = (self.ways.secure, &insecure) {
            return Err(Refusal::Insecure { script: label, fault: fault.clone() });
        }
        let word = |word: &OsStr| CString::new(word.as_bytes()).map_err(|_| Refusal::Nul { script: label.clone() });
        let argv = command.argv.iter().map(|text| word(text)).collect::<Result<_, _>>()?;
        let ids = (!self.unprivileged).then(|| account.ids.clone());
        let behind_links = stops.last().filter(|_| !self.ways.keep_links && by_shell.is_none()).map(|file| file.path.clone());
        let path = behind_links.unwrap_or(path);
        Ok(Approved { path: word(path.as_os_str())?, argv, ids, label, found_at, insecure })
    }

    fn search(&self, files: &impl Files, program: &OsStr, account: &Account) -> Result<(PathBuf, Vec<Stop>), Refusal> {
        std::env::split_paths(&self.path)
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(program))
            .find_map(|path| {
                let stops = walk(files, &path).ok()?;
                may_run(&stops, account, "").ok()?;
                Some((path, stops))
            })
            .ok_or_else(|| Refusal::NotInPath {
                program: program.to_string_lossy().into_owned(),
                path: self.path.to_string_lossy().into_owned(),
                user: account.name.clone(),
            })
    }
}

/// `</path` and `>/path` test whether a file can be opened: the shell does it, as in the original.
fn redirection(command: &Command) -> Option<Command> {
    let program = command.program().as_bytes();
    if !matches!(program.first(), Some(b'<' | b'>')) {
        return None;
    }
    let text = command.argv.join(OsStr::new(" "));
    Some(Command { argv: vec!["/bin/sh".into(), "-c".into(), text], user: command.user.clone() })
}

#[cfg(test)]
mod tests {
    use super::super::walk::tests::Listed;
    use super::*;

    const DIR: u32 = libc::S_IFDIR | 0o755;
    const FILE: u32 = libc::S_IFREG | 0o755;

    fn root() -> Account {
        Account { name: "root".into(), ids: Ids { uid: 0, gid: 0, groups: vec![0] } }
    }

    fn nobody() -> Account {
        Account { name: "nobody".into(), ids: Ids { uid: 65534, gid: 65534, groups: vec![65534] } }
    }

    fn judge(files: &Listed, secure: bool, account: &Account, argv: &[&str]) -> Result<Approved, Refusal> {
        judge_with(Ways { secure, ..Ways::default() }, files, account, argv)
    }

    fn judge_with(ways: Ways, files: &Listed, account: &Account, argv: &[&str]) -> Result<Approved, Refusal> {
        let policy = Policy { default: Some(root()), default_is_ours: false, unprivileged: false, ways, path: "/sbin:/bin".into() };
        policy.judge(files, &Command { argv: argv.iter().map(OsString::from).collect(), user: None }, account)
    }

    fn cure(files: &Listed) -> String {
        judge(files, true, &root(), &["/s/x.sh"]).unwrap_err().to_string()
    }

    #[test]
    fn roots_own_path_is_approved() {
        let files = Listed::new().with("/s", DIR, 0, 0).with("/s/x.sh", FILE, 0, 0);
        let approved = judge(&files, true, &root(), &["/s/x.sh", "a b"]).unwrap();
        assert_eq!(approved.argv, [c"/s/x.sh".to_owned(), c"a b".to_owned()]);
        assert_eq!(approved.insecure, None);
    }

    #[test]
    fn the_component_at_fault_and_its_cure_are_named() {
        let owner = Listed::new().with("/s", DIR, 1000, 0).with("/s/x.sh", FILE, 0, 0);
        assert!(cure(&owner).ends_with("/s belongs to user 1000, not to root: chown root /s"), "{}", cure(&owner));
        let others = Listed::new().with("/s", DIR, 0, 0).with("/s/x.sh", FILE | 0o002, 0, 0);
        assert!(cure(&others).ends_with("everybody may write to /s/x.sh: chmod go-w /s/x.sh"));
        let group = Listed::new().with("/s", DIR | 0o020, 0, 5).with("/s/x.sh", FILE, 0, 0);
        assert!(cure(&group).ends_with("group 5 may write to /s: chmod g-w /s"));
        assert!(cure(&group).starts_with("Unsafe permissions found for script '/s/x.sh' - disabling"));
    }

    #[test]
    fn roots_group_and_sticky_directories_may_be_writable() {
        let files = Listed::new().with("/s", DIR | 0o1022, 0, 5).with("/s/x.sh", FILE | 0o020, 0, 0);
        assert!(judge(&files, true, &root(), &["/s/x.sh"]).is_ok());
    }

    #[test]
    fn a_link_is_judged_by_both_ends_and_all_between() {
        let files = Listed::new()
            .link("/l", "/home/l2", 0)
            .with("/home", DIR | 0o002, 0, 0)
            .link("/home/l2", "/s/x.sh", 0)
            .with("/s", DIR, 0, 0)
            .with("/s/x.sh", FILE, 0, 0);
        let refusal = judge(&files, true, &root(), &["/l"]).unwrap_err().to_string();
        assert!(refusal.ends_with("chmod go-w /home"), "{refusal}");
    }

    #[test]
    fn what_runs_is_the_file_behind_the_links_by_the_name_that_is_written() {
        let files =
            Listed::new().with("/bin", DIR, 0, 0).link("/bin/pidof", "/sbin/k5", 0).with("/sbin", DIR, 0, 0).with("/sbin/k5", FILE, 0, 0);
        for word in ["/bin/pidof", "pidof"] {
            let approved = judge(&files, true, &root(), &[word, "x"]).unwrap();
            assert_eq!((approved.path.as_c_str(), approved.argv[0].to_str().unwrap()), (c"/sbin/k5", word));
            let kept = judge_with(Ways { keep_links: true, ..Ways::default() }, &files, &root(), &[word, "x"]).unwrap();
            assert_eq!((kept.path.as_c_str(), kept.argv[0].to_str().unwrap()), (c"/bin/pidof", word));
        }
    }

    #[test]
    fn all_groups_come_along_when_asked_for() {
        let groups = |group, all| account_with(&ScriptUser::from_words("root", group), all).unwrap().ids.groups;
        let all = groups(Some(":"), false);
        assert_eq!(groups(None, true), all);
        assert_eq!(groups(None, false), [0]);
    }

    #[test]
    fn without_security_it_runs_and_is_known_as_insecure() {
        let files = Listed::new().with("/s", DIR, 1000, 0).with("/s/x.sh", FILE, 0, 0);
        assert!(judge(&files, false, &root(), &["/s/x.sh"]).unwrap().insecure.is_some());
    }

    #[test]
    fn what_does_not_run_as_root_may_belong_to_anybody() {
        let files = Listed::new().with("/s", DIR, 1000, 0).with("/s/x.sh", FILE, 1000, 0);
        assert!(judge(&files, true, &nobody(), &["/s/x.sh"]).is_ok());
        let setuid = Listed::new().with("/s", DIR, 1000, 0).with("/s/x.sh", FILE | libc::S_ISUID, 0, 0);
        assert!(judge(&setuid, true, &nobody(), &["/s/x.sh"]).is_err());
    }

    #[test]
    fn rights_are_those_of_the_scripts_user() {
        let files = Listed::new().with("/s", DIR, 0, 0).with("/s/x.sh", libc::S_IFREG | 0o700, 0, 0);
        assert!(judge(&files, true, &root(), &["/s/x.sh"]).is_ok());
        let refusal = judge(&files, true, &nobody(), &["/s/x.sh"]).unwrap_err().to_string();
        assert_eq!(refusal, "script '/s/x.sh' is not executable for user nobody - disabling: chmod +x /s/x.sh");
        let shut = Listed::new().with("/s", libc::S_IFDIR | 0o700, 0, 0).with("/s/x.sh", FILE, 0, 0);
        assert!(judge(&shut, true, &nobody(), &["/s/x.sh"]).unwrap_err().to_string().contains("may not enter /s"));
        let plain = Listed::new().with("/s", DIR, 0, 0).with("/s/x.sh", libc::S_IFREG | 0o644, 0, 0);
        assert!(matches!(judge(&plain, true, &root(), &["/s/x.sh"]), Err(Refusal::NotExecutable { .. })));
    }

    #[test]
    fn a_bare_name_is_searched_with_the_users_rights() {
        let files = Listed::new()
            .with("/sbin", DIR, 0, 0)
            .with("/sbin/t", libc::S_IFREG | 0o700, 0, 0)
            .with("/bin", DIR, 0, 0)
            .with("/bin/t", FILE, 0, 0);
        let found = |account: &Account| judge(&files, true, account, &["t", "x"]).unwrap();
        assert_eq!(found(&root()).found_at.as_deref(), Some(Path::new("/sbin/t")));
        assert_eq!(found(&nobody()).path, c"/bin/t".to_owned());
        assert_eq!(found(&nobody()).argv[0], c"t".to_owned());
        assert!(matches!(judge(&files, true, &root(), &["u"]), Err(Refusal::NotInPath { .. })));
    }

    #[test]
    fn a_redirection_is_the_shells() {
        let files = Listed::new().with("/bin", DIR, 0, 0).with("/bin/sh", FILE, 0, 0);
        let approved = judge(&files, true, &root(), &["</tmp/flag"]).unwrap();
        assert_eq!((approved.path, approved.argv[2].clone()), (c"/bin/sh".to_owned(), c"</tmp/flag".to_owned()));
    }

    #[test]
    fn a_missing_directory_is_the_one_that_is_named() {
        let refusal = judge(&Listed::new(), true, &root(), &["/gone/x.sh"]).unwrap_err().to_string();
        assert!(refusal.starts_with("Script /gone/x.sh cannot be accessed - No such file") && refusal.ends_with("(at /gone)"), "{refusal}");
    }

    #[test]
    fn without_roots_rights_another_user_is_refused() {
        let ours = nix::unistd::geteuid().as_raw();
        let other = if ours == 0 { "nobody" } else { "root" };
        let user = ScriptUser::from_words(other, None);
        assert!(matches!(Policy::new(Some(&user), Ways::default(), true), Err(UserError::NotOurs { .. })));
    }
}
