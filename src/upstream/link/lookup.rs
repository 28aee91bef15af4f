//! Looks a name up once for all connections that are made at the same time.
//!
//! Otherwise each connection would look it up itself. A thousand connections that begin together would overload a
//! small DNS server, such as that of a container engine, and its answers would come after the connect timeout.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, task, time::Duration, vec};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tokio::{sync::Mutex, time::Instant};
use tower_service::Service;

/// How long an answer is used. `whereabouts` looks the name up less often.
const FRESH: Duration = Duration::from_secs(1);

/// The lookups of one upstream's name.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Lookup<R = GaiResolver> {
    resolver: R,
    newest: Arc<Mutex<Option<Found>>>,
}

#[derive(Debug)]
struct Found {
    at: Instant,
    addresses: Vec<SocketAddr>,
}

impl Lookup {
    pub(in crate::upstream) fn new() -> Lookup {
        Lookup::with(GaiResolver::new())
    }
}

impl<R> Lookup<R> {
    pub(in crate::upstream) fn with(resolver: R) -> Lookup<R> {
        Lookup { resolver, newest: Arc::default() }
    }
}

impl<R> Service<Name> for Lookup<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Error = io::Error, Future: Send>
        + Clone
        + Send
        + 'static,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
        self.resolver.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (mut resolver, newest) = (self.resolver.clone(), self.newest.clone());
        Box::pin(async move {
            // Concurrent callers wait for this lookup.
            let mut newest = newest.lock().await;
            if let Some(found) = newest.as_ref().filter(|found| found.at.elapsed() < FRESH) {
                return Ok(found.addresses.clone().into_iter());
            }
            let addresses: Vec<_> = resolver.call(name).await?.collect();
            *newest = Some(Found { at: Instant::now(), addresses: addresses.clone() });
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future;
    use tokio::time::{advance, sleep};

    use super::*;

    /// A DNS server that takes 100 ms and counts its queries. The first one fails.
    #[derive(Clone, Debug, Default)]
    struct Slow(Arc<AtomicUsize>);

    impl Service<Name> for Slow {
        type Response = vec::IntoIter<SocketAddr>;
        type Error = io::Error;
        type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<io::Result<()>> {
            task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            let asked = self.0.fetch_add(1, Relaxed);
            Box::pin(async move {
                sleep(Duration::from_millis(100)).await;
                match asked {
                    0 => Err(io::Error::other("no answer")),
                    _ => Ok(vec![SocketAddr::from(([10, 0, 0, 1], 0))].into_iter()),
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dns_lookup_is_shared_by_concurrent_connections() {
        let slow = Slow::default();
        let lookup = Lookup::with(slow.clone());
        let name = || "ollama.example".parse::<Name>().unwrap();
        assert!(lookup.clone().call(name()).await.is_err(), "a failure is told and not kept");
        let all = (0..1000).map(|_| lookup.clone().call(name()));
        for found in future::join_all(all).await {
            assert_eq!(found.unwrap().count(), 1);
        }
        assert_eq!(slow.0.load(Relaxed), 2);
        advance(FRESH).await;
        lookup.clone().call(name()).await.unwrap();
        assert_eq!(slow.0.load(Relaxed), 3, "an old answer is asked for again");
    }
}
