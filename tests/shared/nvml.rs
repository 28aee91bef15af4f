//! A GPU for tests on machines without one: a library with the name of NVIDIA's, built from `nvml.c`.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

/// The figures of a busy card at its power limit, which is no problem.
pub(crate) const BUSY: &str = "4 1980 340000 66 92";
/// The same card while its temperature throttles its clocks: `hw_slowdown` and `hw_thermal_slowdown`.
pub(crate) const HOT: &str = "48 810 190000 91 99";

/// The library, and the file with the figures of its GPU.
pub(crate) struct Nvml {
    folder: TempDir,
}

impl Nvml {
    /// Builds the library with the linker that Rust uses.
    pub(crate) fn build(figures: &str) -> Nvml {
        let nvml = Nvml { folder: tempfile::tempdir().unwrap() };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shared/nvml.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        let built = compiler.arg(nvml.path("libnvidia-ml.so.1")).arg(source).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        nvml.show(figures);
        nvml
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Lets a program find the library.
    pub(crate) fn enter(&self, program: &mut Command) {
        program.env("LD_LIBRARY_PATH", self.folder.path()).env("FIGURES", self.path("figures"));
    }

    /// Sets the figures from now on. A reader sees the old or the new ones.
    pub(crate) fn show(&self, figures: &str) {
        fs::write(self.path("next"), figures).unwrap();
        fs::rename(self.path("next"), self.path("figures")).unwrap();
    }

    /// Loses the GPU until it shows figures again.
    pub(crate) fn lose(&self) {
        fs::remove_file(self.path("figures")).unwrap();
    }
}
