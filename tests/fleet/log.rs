//! The log of a test, which runs on its own thread.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::Once,
};

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes to the buffer of its thread.
struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of this thread.
pub(crate) struct Log;

impl Log {
    /// Follows the log. Each test with a runtime of one thread has its own.
    pub(crate) fn follow() -> Log {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Writer).init());
        LINES.with_borrow_mut(Vec::clear);
        Log
    }

    /// The lines about shared limits since the last call.
    #[expect(clippy::unused_self, reason = "the log has to be followed first")]
    pub(crate) fn shared(&self) -> Vec<String> {
        let text = String::from_utf8(LINES.with_borrow_mut(std::mem::take)).unwrap();
        text.lines().filter(|line| line.contains("shared limits")).map(str::to_owned).collect()
    }
}
