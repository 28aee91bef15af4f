//! The plans that the program contains.

/// A plan with comments.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// Its name.
    pub name: &'static str,
    /// The question that it answers, in one line.
    pub about: &'static str,
    /// The plan as TOML.
    pub text: &'static str,
}

/// All bundled plans.
pub const BUNDLED: [Bundled; 7] = [
    Bundled {
        name: "quick",
        about: "1, 2 and 4 agents in Rust on one Ollama, in about a minute",
        text: include_str!("bundled/quick.toml"),
    },
    Bundled {
        name: "tr117-phase1",
        about: "Python's event loop and Rust, with two Ollamas; equal and different prompts (TR117, phase 1)",
        text: include_str!("bundled/tr117-phase1.toml"),
    },
    Bundled {
        name: "tr117-phase3",
        about: "Python at 60 tok/s and at full speed: does a pace help? (TR117, phase 3)",
        text: include_str!("bundled/tr117-phase3.toml"),
    },
    Bundled {
        name: "mitigations",
        about: "the remedies that TR117 recommends and did not run: uvloop, orjson, batches, processes; and the sidecar",
        text: include_str!("bundled/mitigations.toml"),
    },
    Bundled {
        name: "scaling",
        about: "1 to 128 agents, directly and through the sidecar: when does throughput stop rising?",
        text: include_str!("bundled/scaling.toml"),
    },
    Bundled {
        name: "buffers",
        about: "Python with read buffers of 0, 1 and 64 KiB (TR117, 3.6)",
        text: include_str!("bundled/buffers.toml"),
    },
    Bundled {
        name: "load",
        about: "requests at rising rates that do not wait for each other: how many per second can an Ollama bear?",
        text: include_str!("bundled/load.toml"),
    },
];

impl Bundled {
    /// Returns the plan with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Bundled> {
        BUNDLED.iter().find(|bundled| bundled.name == name)
    }
}
