//! The file of the request log. It rotates by size, and a bounded number of old files is kept.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use rolling_file::{RollingConditionBasic, RollingFileAppender};

/// A file that becomes `NAME.1` when it is full, `NAME.1` becomes `NAME.2`, and so on.
pub(super) struct RequestFile {
    /// It rotates only when it is told to: its own condition would print a failure to stderr.
    appender: RollingFileAppender<RollingConditionBasic>,
    /// `None`: it is no regular file, such as `/dev/stdout`, and never rotates.
    most: Option<u64>,
    length: u64,
    is_failing: bool,
}

impl RequestFile {
    /// Opens the file, or creates it. `most` is the size of a full file, and `old` the number of old files.
    pub(super) fn open(path: &Path, most: usize, old: usize) -> io::Result<RequestFile> {
        // Without a buffer, so that a line that cannot be written is known to be lost.
        let never = RollingConditionBasic::new();
        let appender = RollingFileAppender::new_with_buffer_capacity(path, never, old, 0)?;
        let file = fs::metadata(path)?;
        let most = file.is_file().then_some(most as u64);
        Ok(RequestFile { appender, most, length: file.len(), is_failing: false })
    }

    fn rotate(&mut self) {
        match self.appender.rollover() {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "the file of the request log cannot be rotated, and grows");
                }
            }
        }
        // After a failure, the next attempt comes when as much again is written.
        self.length = 0;
    }
}

impl Write for RequestFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        if self.length > 0 && self.most.is_some_and(|most| self.length + length > most) {
            self.rotate();
        }
        let written = self.appender.write(line)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.appender.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_rotates_by_size_and_keeps_bounded_number_of_whole_lines() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("requests.log");
        fs::write(&path, "earlier\n").unwrap();
        let mut file = RequestFile::open(&path, 30, 2).unwrap();
        for number in 0..20 {
            file.write_all(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["requests.log", "requests.log.1", "requests.log.2"]);
        let kept = ["requests.log.2", "requests.log.1", "requests.log"];
        let kept = kept.map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
        assert!(kept.iter().all(|text| text.len() <= 30 && text.ends_with('\n')), "{kept:?}");
        let wanted: String = (11..20).map(|number| format!("line {number:04}\n")).collect();
        assert_eq!(kept.concat(), wanted);
    }

    #[test]
    fn file_that_cannot_be_rotated_grows_and_loses_no_line() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("requests.log");
        // A folder that is not empty cannot be replaced.
        fs::create_dir_all(folder.path().join("requests.log.1/x")).unwrap();
        let mut file = RequestFile::open(&path, 30, 1).unwrap();
        for number in 0..20 {
            file.write_all(format!("line {number:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 20);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn device_is_never_rotated_and_full_one_reports_each_line() {
        let mut full = RequestFile::open(Path::new("/dev/full"), 1, 1).unwrap();
        for _ in 0..3 {
            assert_eq!(full.write_all(b"line\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        assert!(Path::new("/dev/full").exists());
    }
}
