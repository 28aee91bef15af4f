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
pub const BUNDLED: [Bundled; 5] = [
    Bundled {
        name: "tr117-phase1",
        about: "Python's event loop with two Ollamas, beside Rust; alike and unlike pairs (the report's phase 1)",
        text: include_str!("bundled/tr117-phase1.toml"),
    },
    Bundled {
        name: "tr117-phase3",
        about: "Python at 60 tok/s and at full speed: is slower faster? (the report's phase 3)",
        text: include_str!("bundled/tr117-phase3.toml"),
    },
    Bundled {
        name: "mitigations",
        about: "what the report recommends and never ran: uvloop, orjson, batches, processes, and the sidecar",
        text: include_str!("bundled/mitigations.toml"),
    },
    Bundled {
        name: "scaling",
        about: "1 to 128 agents, direct and through the sidecar: where do more stop helping?",
        text: include_str!("bundled/scaling.toml"),
    },
    Bundled {
        name: "buffers",
        about: "Python's read buffer of 1 and 64 KiB beside none (the report's 3.6)",
        text: include_str!("bundled/buffers.toml"),
    },
];

impl Bundled {
    /// Returns the plan with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Bundled> {
        BUNDLED.iter().find(|bundled| bundled.name == name)
    }
}
