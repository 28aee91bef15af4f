//! How many descriptors the process may have, and how many connections that is.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is not a stream's: files, runtimes, signals, probes, and the places of the admin address.
const RESERVED: u64 = 192;
/// A stream has one towards its client and one towards its upstream.
const EACH: u64 = 2;

/// Takes as many descriptors as the system gives. Returns how many connections of `wanted` they are enough for: the
/// others would find no upstream.
pub(super) fn enough_for(wanted: usize) -> usize {
    let allowed = raise();
    let enough = within(allowed, wanted);
    if enough < wanted {
        tracing::warn!(
            descriptors = allowed,
            max_connections = enough,
            "too few descriptors for proxy.max_connections ({wanted}), which is lower now: raise the limit (LimitNOFILE=, ulimit -n)"
        );
    }
    enough
}

/// The most that this process may have; `None`: no limit.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of descriptors stays as it is");
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
