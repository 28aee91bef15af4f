//! The process's limit of file descriptors, and the number of connections that it allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything except streams: files, runtimes, signals, probes and the admin listener.
const RESERVED: u64 = 192;
/// Each stream has a descriptor to its client and one to its upstream.
const EACH: u64 = 2;

/// Raises the limit of descriptors as far as the system allows. Returns how many of the `wanted` connections fit:
/// the others could not connect to an upstream.
pub(super) fn enough_for(wanted: usize) -> usize {
    let allowed = raise();
    let enough = within(allowed, wanted);
    if enough < wanted {
        tracing::warn!(
            descriptors = allowed,
            max_connections = enough,
            "the limit of file descriptors is too low for proxy.max_connections ({wanted}), which was lowered: raise the limit (LimitNOFILE=, ulimit -n)"
        );
    }
    enough
}

/// The limit after raising it; `None`: no limit.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "failed to raise the limit of file descriptors");
            current
        }
    }
}

fn within(allowed: Option<u64>, wanted: usize) -> usize {
    let Some(allowed) = allowed else { return wanted };
    let most = (allowed.saturating_sub(RESERVED) / EACH).max(1);
    usize::try_from(most).map_or(wanted, |most| most.min(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_connections_leaves_room_for_other_descriptors() {
        assert_eq!(within(None, 4096), 4096);
        assert_eq!(within(Some(524_288), 4096), 4096);
        assert_eq!(within(Some(1024), 4096), 416);
        assert_eq!(within(Some(64), 4096), 1);
    }
}
