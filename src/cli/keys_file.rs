//! Notices that `access.keys_file` has changed.
//!
//! Events of the folders are the hint, and the time stamps of the file are the truth: they are compared after each
//! hint and every few seconds. A missed event, a file system without events or a folder that was replaced therefore
//! only delays a change.

use std::{
    fs, io, mem,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::Notify,
    task,
    time::{sleep, timeout},
};

/// How often the time stamps are compared without a hint.
const INTERVAL: Duration = Duration::from_secs(5);
/// A file that is being written is read when its time stamps have been the same for this long.
const SETTLE: Duration = Duration::from_millis(50);
/// A file that never settles is read after this many looks.
const MOST_LOOKS: u32 = 40;
/// The most symbolic links that are followed.
const MOST_LINKS: usize = 40;

/// Watches one file, or none.
#[derive(Debug, Default)]
pub(super) struct KeysWatch {
    path: Option<PathBuf>,
    /// The file when it was last reported.
    seen: Option<Stamp>,
    hint: Arc<Notify>,
    watched: WatchedFolders,
}

/// Identifies the content of a file, or says why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    File { device: u64, inode: u64, size: u64, modified: (i64, i64), changed: (i64, i64) },
    Absent(io::ErrorKind),
}

/// The folders whose events are received.
#[derive(Debug, Default)]
struct WatchedFolders {
    folders: Vec<(PathBuf, Stamp)>,
    /// Events arrive until it is dropped.
    _watcher: Option<RecommendedWatcher>,
}

impl KeysWatch {
    /// Watches this file from now on.
    pub(super) fn follow(&mut self, path: Option<&str>) {
        let path = path.map(PathBuf::from);
        if self.path != path {
            *self = KeysWatch { path, ..KeysWatch::default() };
        }
    }

    /// Waits until the file differs from the one at the last return, and at first until it was looked at. Never
    /// returns if there is no file.
    pub(super) async fn changed(&mut self) {
        let Some(path) = self.path.clone() else { return std::future::pending().await };
        loop {
            let mut stamp = self.look(&path).await;
            if self.seen != stamp {
                for _ in 0..MOST_LOOKS {
                    sleep(SETTLE).await;
                    let later = self.look(&path).await;
                    if mem::replace(&mut stamp, later.clone()) == later {
                        break;
                    }
                }
                self.seen = stamp;
                return;
            }
            // In a busy folder, events must not cause more than a look in each `SETTLE`.
            sleep(SETTLE).await;
            let _ = timeout(INTERVAL, self.hint.notified()).await;
        }
    }

    /// Looks at the file, which may be on a disk that hangs.
    async fn look(&mut self, path: &Path) -> Option<Stamp> {
        let (path, hint) = (path.to_owned(), self.hint.clone());
        let mut watched = mem::take(&mut self.watched);
        let looked = task::spawn_blocking(move || {
            // An event between the two is not lost this way.
            watched.renew(&path, &hint);
            (Stamp::of(&path), watched)
        });
        let (stamp, watched) = looked.await.ok()?;
        self.watched = watched;
        Some(stamp)
    }
}

impl Stamp {
    fn of(path: &Path) -> Stamp {
        match fs::metadata(path) {
            Ok(found) => Stamp::File {
                device: found.dev(),
                inode: found.ino(),
                size: found.size(),
                modified: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            },
            Err(error) => Stamp::Absent(error.kind()),
        }
    }

    /// The same folder keeps its identity when its content changes.
    fn of_folder(path: &Path) -> Stamp {
        match Stamp::of(path) {
            Stamp::File { device, inode, .. } => {
                Stamp::File { device, inode, size: 0, modified: (0, 0), changed: (0, 0) }
            }
            absent @ Stamp::Absent(_) => absent,
        }
    }
}

impl WatchedFolders {
    /// Receives the events of the folders that lead to the file now.
    fn renew(&mut self, path: &Path, hint: &Arc<Notify>) {
        let folders = folders(path).into_iter().map(|folder| (Stamp::of_folder(&folder), folder));
        let folders: Vec<_> = folders.map(|(stamp, folder)| (folder, stamp)).collect();
        if folders == self.folders {
            return;
        }
        let present = folders.iter().filter(|(_, stamp)| matches!(stamp, Stamp::File { .. }));
        let watcher = watch(present.map(|(folder, _)| folder.as_path()), hint.clone());
        let watcher = watcher.inspect_err(|error| {
            let every = humantime::format_duration(INTERVAL);
            tracing::warn!(%error, "cannot watch the folder of access.keys_file; the file is compared every {every}");
        });
        *self = WatchedFolders { folders, _watcher: watcher.ok() };
    }
}

fn watch<'a>(
    folders: impl Iterator<Item = &'a Path>,
    hint: Arc<Notify>,
) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reading a file is an event too, and this would cause the next reading.
        let is_change = event.is_ok_and(|event| match event.kind {
            EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
            _ => true,
        });
        if is_change {
            hint.notify_one();
        }
    })?;
    for folder in folders {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The folders in which a change can make the path lead to other content: the folder of the file, and the folder of
/// each symbolic link on the way to it. A mounted Secret of Kubernetes changes by such a link.
fn folders(path: &Path) -> Vec<PathBuf> {
    let (mut found, mut links, mut current) = (Vec::new(), 0, PathBuf::new());
    let mut rest: Vec<PathBuf> = parts(path);
    while let Some(part) = rest.pop() {
        let next = current.join(&part);
        let target = if links < MOST_LINKS { fs::read_link(&next).ok() } else { None };
        if let Some(target) = target {
            links += 1;
            found.push(here(&current));
            rest.extend(parts(&target));
        } else if rest.is_empty() {
            found.push(here(&current));
        } else {
            current = next;
        }
    }
    found.dedup();
    found
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let mut parts: Vec<_> = parts.map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

fn here(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_of_a_mounted_secret_are_those_of_its_links_and_of_its_file() {
        let top = tempfile::TempDir::new().unwrap();
        let top = top.path().canonicalize().unwrap();
        fs::create_dir(top.join("..1")).unwrap();
        fs::write(top.join("..1/keys.toml"), "").unwrap();
        symlink("..1", top.join("..data")).unwrap();
        symlink("..data/keys.toml", top.join("keys.toml")).unwrap();
        assert_eq!(folders(&top.join("keys.toml")), [top.clone(), top.join("..1")]);
    }

    #[test]
    fn folders_of_a_link_to_another_folder_are_both() {
        let top = tempfile::TempDir::new().unwrap();
        let top = top.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("v1/deep")).unwrap();
        fs::create_dir(top.join("etc")).unwrap();
        fs::write(top.join("v1/deep/keys"), "").unwrap();
        symlink(top.join("v1"), top.join("now")).unwrap();
        symlink("../now/deep/keys", top.join("etc/keys")).unwrap();
        let expected = [top.join("etc"), top.join("etc/.."), top.join("v1/deep")];
        assert_eq!(folders(&top.join("etc/keys")), expected);
        assert_eq!(folders(Path::new("keys")), [Path::new(".")]);
        symlink("circle", top.join("circle")).unwrap();
        assert_eq!(folders(&top.join("circle")), std::slice::from_ref(&top));
    }
}
