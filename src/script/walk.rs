//! A path taken apart as the kernel takes it: every directory and link on the way, so that each can be judged.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Owner, group and mode of something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permission bits (inode(7)).
    pub mode: u32,
}

impl Node {
    /// Whether it is of this type (`libc::S_IFDIR` …).
    pub const fn is(self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }
}

/// Where paths are looked up: the machine, or a list in a test.
pub trait Files {
    /// lstat(2).
    ///
    /// # Errors
    /// Nothing there, or no right to look.
    fn look(&self, path: &Path) -> io::Result<Node>;
    /// readlink(2).
    ///
    /// # Errors
    /// No link there.
    fn link(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Files for Machine {
    fn look(&self, path: &Path) -> io::Result<Node> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(Node { uid: found.uid(), gid: found.gid(), mode: found.mode() })
    }

    fn link(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::read_link(path)
    }
}

/// One thing on the way: its path without links before it, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Absolute path.
    pub path: PathBuf,
    /// What is there.
    pub node: Node,
}

/// A path that leads nowhere, and the component at fault.
#[derive(Debug)]
pub struct DeadEnd {
    /// The component.
    pub at: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// From `/` to the end of `path`: every directory entered, every link followed, and last the thing itself.
///
/// # Errors
/// A component is missing, cannot be looked at, or the links go in a circle.
pub fn walk(files: &impl Files, path: &Path) -> Result<Vec<Stop>, DeadEnd> {
    let mut ahead: VecDeque<OsString> = names(path);
    let mut here = PathBuf::from("/");
    let mut stops = vec![stop(files, &here)?];
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&name);
        let found = stop(files, &next)?;
        if !found.node.is(libc::S_IFLNK) {
            if !ahead.is_empty() && !found.node.is(libc::S_IFDIR) {
                return Err(DeadEnd { at: next, source: io::Error::from_raw_os_error(libc::ENOTDIR) });
            }
            here = next;
            stops.push(found);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(DeadEnd { at: next, source: io::Error::from_raw_os_error(libc::ELOOP) });
        }
        let target = files.link(&next).map_err(|source| DeadEnd { at: next.clone(), source })?;
        stops.push(found);
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            ahead.push_front(name);
        }
    }
    // A path that ends in `..` or in a link to a directory ends where we are.
    if stops.last().is_none_or(|last| last.path != here) {
        stops.push(stop(files, &here)?);
    }
    Ok(stops)
}

fn stop(files: &impl Files, path: &Path) -> Result<Stop, DeadEnd> {
    match files.look(path) {
        Ok(node) => Ok(Stop { path: path.to_owned(), node }),
        Err(source) => Err(DeadEnd { at: path.to_owned(), source }),
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A list of paths: what they are, and where links lead.
    #[derive(Default)]
    pub(in crate::script) struct Listed(BTreeMap<PathBuf, (Node, Option<PathBuf>)>);

    impl Listed {
        /// `/` of root's, mode 755.
        pub(in crate::script) fn new() -> Self {
            Self::default().with("/", libc::S_IFDIR | 0o755, 0, 0)
        }

        pub(in crate::script) fn with(mut self, path: &str, mode: u32, uid: u32, gid: u32) -> Self {
            self.0.insert(path.into(), (Node { uid, gid, mode }, None));
            self
        }

        pub(in crate::script) fn link(mut self, path: &str, target: &str, uid: u32) -> Self {
            self.0.insert(path.into(), (Node { uid, gid: uid, mode: libc::S_IFLNK | 0o777 }, Some(target.into())));
            self
        }
    }

    impl Files for Listed {
        fn look(&self, path: &Path) -> io::Result<Node> {
            self.0.get(path).map(|(node, _)| *node).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
        }

        fn link(&self, path: &Path) -> io::Result<PathBuf> {
            self.0.get(path).and_then(|(_, target)| target.clone()).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
        }
    }

    fn paths(files: &Listed, path: &str) -> Vec<String> {
        walk(files, Path::new(path)).unwrap().into_iter().map(|stop| stop.path.display().to_string()).collect()
    }

    #[test]
    fn every_directory_and_link_on_the_way_is_seen() {
        let files = Listed::new()
            .with("/etc", libc::S_IFDIR | 0o755, 0, 0)
            .link("/etc/s", "../opt/./l", 0)
            .with("/opt", libc::S_IFDIR | 0o755, 0, 0)
            .link("/opt/l", "/opt/x", 5)
            .with("/opt/x", libc::S_IFREG | 0o755, 0, 0);
        assert_eq!(paths(&files, "/etc/s"), ["/", "/etc", "/etc/s", "/opt", "/opt/l", "/opt", "/opt/x"]);
    }

    #[test]
    fn a_circle_and_a_gap_name_their_component() {
        let files = Listed::new().link("/a", "/b", 0).link("/b", "/a", 0);
        assert_eq!(walk(&files, Path::new("/a")).unwrap_err().source.raw_os_error(), Some(libc::ELOOP));
        let gap = walk(&files, Path::new("/missing/x")).unwrap_err();
        assert_eq!(gap.at, Path::new("/missing"));
    }

    #[test]
    fn a_file_is_no_directory() {
        let files = Listed::new().with("/f", libc::S_IFREG | 0o755, 0, 0);
        assert_eq!(walk(&files, Path::new("/f/x")).unwrap_err().source.raw_os_error(), Some(libc::ENOTDIR));
    }
}
