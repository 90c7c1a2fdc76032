//! What the tests stand on: a pusher with the fakes of the other parts around it, a simulated Fluent, and a clock that only
//! the test moves.

mod fakes;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::id::{TenantId, UserId};
use fluent_sim::{Effect, Fault, Sim, SimConfig, SimHandle, User};
use proto::identity::v1 as identity;
use runtime::backoff::Backoff;
use runtime::grpc::Transport;
use runtime::telemetry::Metrics;

pub(crate) use self::fakes::{FakeUser, Fakes, World, agents};
use crate::catalogue::Reader;
use crate::config::Pushing;
use crate::feed::{Follower, Step};
use crate::fluent::Http;
use crate::metrics::Counts;
use crate::overtake::{Ahead, Overtaking};
use crate::peers::{Identity, Resolver};
use crate::store::{Ending, Finished, Job, Report, Store, Take};
use crate::tenants::{Tenant, TenantFile, Tenants};
use crate::worker::Worker;

/// An account from outside: what it holds, as `ROLE@CONTEXT:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Absent,
    Closed(Vec<String>),
    Open(Vec<String>),
}

/// A turn's parts by themselves.
impl Store {
    pub(crate) async fn claim(&self, tenant: &TenantId, limit: usize, term: Duration) -> Result<Vec<Job>, sql::Error> {
        Ok(self.turn(tenant, Vec::new(), Vec::new(), Take::Any(limit), term).await?.jobs)
    }

    pub(crate) async fn finish(
        &self,
        tenant: &TenantId,
        job: &Job,
        ending: Ending,
        report: Option<Vec<u8>>,
    ) -> Result<bool, sql::Error> {
        let finished = Finished { job: job.clone(), ending, report };
        Ok(self.turn(tenant, vec![finished], Vec::new(), Take::Nothing, Duration::ZERO).await?.held[0])
    }

    pub(crate) async fn reported(&self, tenant: &TenantId, told: Vec<Report>) -> Result<(), sql::Error> {
        self.turn(tenant, Vec::new(), told, Take::Nothing, Duration::ZERO).await.map(drop)
    }
}

/// A pusher with everything around it.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) fakes: Fakes,
    pub(crate) fluent: SimHandle,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) worker: Worker,
    pub(crate) follower: Follower,
    pub(crate) overtaking: Overtaking,
    pub(crate) reader: Reader,
    _folder: tempfile::TempDir,
}

/// How the simulated Fluent is signed in to.
pub(crate) fn sim_file(url: &str) -> TenantFile {
    TenantFile {
        url: Some(url.parse().unwrap()),
        account: "DEV".to_owned(),
        client_secret: Some("dev-secret".into()),
        username: "rolecall".to_owned(),
        password: Some("dev-password".into()),
        protected: vec!["Boss@acme.example".to_owned()],
        ..TenantFile::default()
    }
}

pub(crate) async fn sim() -> SimHandle {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Sim::start(listener, SimConfig::dev()).await.unwrap()
}

/// Connections that outwait a machine that stands still; one that is never answered takes
/// [`Http::with_timeout`].
pub(crate) fn http() -> Http {
    Http::new().unwrap().with_timeout(Duration::from_secs(30))
}

pub(crate) fn clock() -> Clock {
    Clock::manual(Timestamp(1_790_000_000_000_000))
}

impl Setup {
    pub(crate) async fn start() -> Self {
        Self::with(http()).await
    }

    /// One that reaches Fluent over these connections.
    pub(crate) async fn with(http: Http) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (fakes, fluent, clock) = (Fakes::new(), sim().await, clock());
        let url = format!("sqlite:{}", folder.path().join("push.db").display()).parse().unwrap();
        let store = Store::open(&url, sql::Options::default(), clock.clone(), "one").await.unwrap();
        let tenants = Tenants::new(None, http, clock.clone());
        let id: TenantId = "acme".parse().unwrap();
        tenants.put(id.clone(), sim_file(&fluent.url)).unwrap();
        let transport: Transport = fakes.server().await.in_process();
        let (identity, resolver) = (Identity::new(transport.clone()), Resolver::new(transport));
        let config = Pushing { backoff: Backoff::default(), ..Pushing::default() };
        let counts = Counts::new(&Metrics::new());
        let worker = Worker {
            store: store.clone(),
            identity: identity.clone(),
            resolver,
            clock: clock.clone(),
            config,
            counts: counts.clone(),
        };
        let follower = Follower { identity: identity.clone(), store: store.clone(), counts: counts.clone() };
        let overtaking = Overtaking { identity: identity.clone(), store: store.clone() };
        let reader = Reader { store: store.clone(), identity, clock: clock.clone(), config, counts };
        let tenant = tenants.get(&id).unwrap();
        Self { fakes, fluent, clock, store, tenant, worker, follower, overtaking, reader, _folder: folder }
    }

    /// The tenant's Fluent is another from now on.
    pub(crate) fn move_to(&mut self, fluent: SimHandle) {
        let tenants = Tenants::new(None, http(), self.clock.clone());
        tenants.put(self.tenant.id.clone(), sim_file(&fluent.url)).unwrap();
        self.tenant = tenants.get(&self.tenant.id).unwrap();
        self.fluent = fluent;
    }

    /// How often a person was told of something of this kind.
    pub(crate) fn alerts(&self, kind: &'static str) -> u64 {
        self.worker.counts.alerts_of(self.tenant.id.as_str(), kind)
    }

    /// Reads the feed to its head, and works until nothing is due, moving the clock to whatever is due next.
    pub(crate) async fn settle(&self) {
        self.follow().await;
        for _ in 0..80 {
            self.worker.drain(&self.tenant).await;
            let Some(due) = self.store.next_due(&self.tenant.id).await.unwrap() else { return };
            let due = due.max(self.tenant.breaker.until());
            self.clock.advance(due.since(self.clock.now()) + Duration::from_millis(1));
        }
        panic!("the work does not come to an end");
    }

    /// Works on what is most urgent; while Fluent is kept from answering `operation`, `meanwhile` happens. If it is not
    /// asked, that happens afterwards.
    pub(crate) async fn during(&self, operation: &str, meanwhile: impl Future<Output = ()>) {
        let jobs = self.store.claim(&self.tenant.id, 1, Duration::from_mins(1)).await.unwrap();
        let fault = Fault::once(Effect::Delay { ms: 50 }).on(operation);
        self.fluent.sim.fault(fault.clone());
        let done = Cell::new(jobs.is_empty());
        let work = async {
            for job in &jobs {
                self.worker.work(&self.tenant, job).await;
            }
            done.set(true);
        };
        let meanwhile = async {
            while !done.get() && self.fluent.sim.faults().contains(&fault) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            meanwhile.await;
        };
        tokio::join!(work, meanwhile);
    }

    /// Looks ahead as far as there is anything.
    pub(crate) async fn overtake(&self, ahead: &mut Ahead) {
        while self.look(ahead).await == Step::More {}
    }

    /// Looks ahead once.
    pub(crate) async fn look(&self, ahead: &mut Ahead) -> Step {
        let (position, head) = self.fakes.change(|world| (world.head(), world.told()));
        self.overtaking.look(&self.tenant, ahead, position, head).await.unwrap()
    }

    pub(crate) async fn follow(&self) {
        let head = self.fakes.change(|world| world.head());
        self.follower.catch_up(&self.tenant, head).await.unwrap();
    }

    /// Makes a user who is to hold these roles on locations.
    pub(crate) fn hire(&self, name: &str, grants: &[(&str, &str)]) -> UserId {
        self.fakes.hire(name, grants)
    }

    pub(crate) fn change(&self, id: UserId, change: impl FnOnce(&mut FakeUser)) {
        self.fakes.change(|world| world.put(id, true, change));
    }

    /// The account as Fluent has it.
    pub(crate) fn account(&self, name: &str) -> Seen {
        match self.fluent.sim.user(name) {
            None => Seen::Absent,
            Some(user) if user.is_active() => Seen::Open(held(&user)),
            Some(user) => Seen::Closed(held(&user)),
        }
    }

    pub(crate) fn outcome(&self, id: UserId) -> identity::Outcome {
        self.fakes.change(|world| world.outcomes.get(&id).cloned()).expect("an outcome was reported")
    }

    /// Whether any outcome was reported.
    pub(crate) fn is_told(&self, id: UserId) -> bool {
        self.fakes.change(|world| world.outcomes.contains_key(&id))
    }

    /// What was sent to Fluent since request `after`: the names of the top-level fields.
    pub(crate) fn sent(&self, after: u64) -> Vec<String> {
        let fields = self.fluent.sim.log_since(after).into_iter().flat_map(|entry| entry.request.fields);
        fields.map(|field| field.name).collect()
    }
}

fn held(user: &User) -> Vec<String> {
    let grants = user.grants().into_iter();
    grants.map(|(role, context)| format!("{role}@{}:{}", context.context_type, context.context_id)).collect()
}
