//! The task that keeps the connection, settles in batches, and tries a failed store again.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{
    account::Account,
    config::Server,
    failure::StoreFailure,
    ledger::Store,
    link::{self, StoreLink},
    script::{Script, SettleEntry, Settled, read_settle, write_settle},
};

/// The time between two batches.
const BATCH: Duration = Duration::from_millis(100);
/// The time after which leases and the record of this sidecar are renewed.
const RENEWAL: Duration = Duration::from_secs(3);
/// The time between two trials of a failed store.
const TRIAL: Duration = Duration::from_millis(250);
/// The answers in time after which a store that failed decides again. One alone may be luck.
const ANSWERS: usize = 3;
/// The longest wait for a call that settles. No request waits for it.
const PATIENCE: Duration = Duration::from_millis(500);
/// The shortest time between two calls that settle.
const PAUSE: Duration = Duration::from_millis(5);
/// The most callers of one call.
const MOST: usize = 128;

impl Store {
    /// Keeps the connection and settles, for ever.
    pub(crate) async fn run(self: Arc<Store>) {
        StoreWorker::new(&self).run().await;
    }
}

/// Charges with the number that tells the store whether it has them.
struct Batch {
    number: u64,
    charges: Vec<(Arc<Account>, i64)>,
}

/// The task of a store.
struct StoreWorker<'a> {
    store: &'a Store,
    batches: u64,
    /// Batches whose answer is missing. Each is sent once more.
    unanswered: Vec<Batch>,
    renewed: Instant,
}

impl<'a> StoreWorker<'a> {
    fn new(store: &'a Store) -> StoreWorker<'a> {
        StoreWorker { store, batches: 0, unanswered: Vec::new(), renewed: Instant::now() }
    }

    /// Runs for ever.
    async fn run(mut self) {
        let store = self.store;
        let shared = &store.shared;
        let mut is_told = false;
        loop {
            match self.try_servers().await {
                Ok(server) => {
                    tokio::select! {
                        () = self.serve() => {}
                        () = hints(store, server, &mut is_told) => {}
                        () = shared.keys.follow(server, &shared.config) => {}
                    }
                    for account in store.accounts() {
                        account.fall_back();
                    }
                    shared.connect(None);
                    shared.show();
                }
                Err(why) => {
                    shared.failed(why);
                    shared.show();
                    store.forget();
                    sleep(TRIAL).await;
                }
            }
        }
    }

    /// Connects to the first server that works, and lets the store decide.
    async fn try_servers(&mut self) -> Result<&'a Server, StoreFailure> {
        let mut failed = StoreFailure::Starting;
        for server in &self.store.shared.config.servers {
            match self.try_server(server).await {
                Ok(()) => return Ok(server),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    async fn try_server(&mut self, server: &Server) -> Result<(), StoreFailure> {
        let shared = &self.store.shared;
        let link = Arc::new(StoreLink::connect(server, &shared.config, &shared.names).await?);
        let name = link.place.server();
        shared.connect(Some(link));
        let tried = async {
            for _ in 0..ANSWERS {
                self.call(&[], 0, shared.config.deadline).await?;
            }
            for batch in std::mem::take(&mut self.unanswered) {
                if let Err(why) = self.settle(&batch.charges, batch.number, PATIENCE).await {
                    lose(self.store, &batch);
                    return Err(why);
                }
            }
            let accounts = self.store.accounts();
            for account in &accounts {
                account.restore();
            }
            for some in accounts.chunks(MOST) {
                let none: Vec<_> = some.iter().map(|account| (account.clone(), 0)).collect();
                self.settle(&none, 0, PATIENCE).await?;
            }
            Ok(())
        }
        .await;
        match &tried {
            Ok(()) => {
                shared.health.restored(&name);
                shared.show();
                for account in self.store.accounts() {
                    account.balance();
                }
            }
            Err(_) => {
                shared.connect(None);
                // The caps of leases that nobody gives hold no stream back.
                for account in self.store.accounts() {
                    account.fall_back();
                }
            }
        }
        tried
    }

    /// Settles until the store fails.
    async fn serve(&mut self) {
        let shared = &self.store.shared;
        let mut tick = interval(BATCH);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shared.health.is_up() {
            tokio::select! {
                _ = tick.tick() => {}
                () = shared.hurry.notified() => sleep(PAUSE).await,
                () = shared.health.failed.notified() => continue,
                why = shared.closed() => {
                    shared.failed(why);
                    continue;
                }
            }
            if let Err(why) = self.settle_due().await {
                // The store may be slow for a moment. Its breaker counts calls of requests, and this call has failed.
                shared.failed(why);
            }
            shared.show();
        }
    }

    /// Settles everything that is due.
    async fn settle_due(&mut self) -> Result<(), StoreFailure> {
        for batch in std::mem::take(&mut self.unanswered) {
            if let Err(why) = self.settle(&batch.charges, batch.number, PATIENCE).await {
                lose(self.store, &batch);
                return Err(why);
            }
        }
        let now = Instant::now();
        let renews = now.duration_since(self.renewed) >= RENEWAL;
        let mut due = Vec::new();
        for account in self.store.accounts() {
            account.give_back();
            let charge = account.take_charges();
            if charge != 0 || account.is_due(renews, now) {
                due.push((account, charge));
            }
        }
        if renews {
            self.renewed = now;
            self.store.forget();
        }
        if due.is_empty() && renews {
            return self.call(&[], 0, PATIENCE).await.map(drop);
        }
        for (at, some) in due.chunks(MOST).enumerate() {
            let number = if some.iter().any(|(_, charge)| *charge != 0) { self.number() } else { 0 };
            if let Err(why) = self.settle(some, number, PATIENCE).await {
                // The rest of `due` has no number yet, and gets its own.
                self.unanswered.push(Batch { number, charges: some.to_vec() });
                for (account, charge) in due.iter().skip((at + 1) * MOST) {
                    account.charge(*charge);
                }
                return Err(why);
            }
        }
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.batches += 1;
        self.batches
    }

    /// Charges, and settles the leases of the same accounts.
    async fn settle(
        &self,
        charges: &[(Arc<Account>, i64)],
        number: u64,
        limit: Duration,
    ) -> Result<(), StoreFailure> {
        let entries: Vec<_> = charges.iter().map(|(account, charge)| account.settle(*charge)).collect();
        let answered = self.call(&entries, number, limit).await;
        let answers = answered.as_ref().ok();
        for (at, (account, charge)) in charges.iter().enumerate() {
            account.settled(*charge, answers.and_then(|answers| answers.get(at).copied()));
        }
        answered.map(drop)
    }

    async fn call(
        &self,
        entries: &[SettleEntry],
        number: u64,
        limit: Duration,
    ) -> Result<Vec<Settled>, StoreFailure> {
        let shared = &self.store.shared;
        let write = |command: &mut redis::Cmd| write_settle(entries, number, &shared.names, command);
        // The script reports a foreign key of a caller in its answer, so that an error is about the keys of all.
        let called = shared.call(Script::Settle, limit, write).await;
        let value = called.map_err(StoreFailure::of_all)?;
        let Some((sidecars, settled)) =
            read_settle(&value).filter(|(_, settled)| settled.len() == entries.len())
        else {
            return Err(shared.garbled());
        };
        shared.health.count(sidecars);
        Ok(settled)
    }
}

/// Counts the charges of a batch as lost.
fn lose(store: &Store, batch: &Batch) {
    let tokens = batch.charges.iter().map(|(_, charge)| u64::try_from(*charge).unwrap_or(0)).sum();
    store.shared.families.lost(tokens);
}

/// Follows the announcements of free leases and of new keys. They are hints: without them, waiting requests ask again
/// and again, and so does the reader of the keys. The log tells once that the user may not follow them.
async fn hints(store: &Store, server: &Server, is_told: &mut bool) {
    let shared = &store.shared;
    let channels = [shared.names.channel(), shared.keys.name.clone()];
    loop {
        let subscribed = link::subscribe(server, &shared.config, &channels).await;
        if let Err(why @ StoreFailure::Rights { .. }) = &subscribed
            && !std::mem::replace(is_told, true)
        {
            tracing::warn!(%why, "announcements of shared limits are not heard: waiting requests ask again and again");
        }
        if let Ok(mut hints) = subscribed {
            *is_told = false;
            let mut announced = hints.on_message();
            while let Some(message) = announced.next().await {
                if message.get_channel_name() == shared.keys.name {
                    shared.keys.hint.notify_one();
                    continue;
                }
                let name: Option<String> = message.get_payload().ok();
                if let Some(account) = name.and_then(|name| store.known(&name)) {
                    account.hint();
                }
            }
        }
        sleep(TRIAL).await;
    }
}
