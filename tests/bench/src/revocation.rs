//! How long a dismissed person's access outlives the answer to the IdP: from the 2xx of a deactivation to the moment
//! the account is `INACTIVE` in Fluent, by the simulator's own log.
//!
//! Both are moments of this machine's clock. A time below nothing means that Fluent was told before the answer arrived.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use harness::{Family, Fluent, Shape};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cpu::Processes;
use crate::load::{self, Asks, Connection, Steady, Target};
use crate::report::{Goal, Report};
use crate::stats::{Summary, millis, number};
use crate::{Options, gets, lifted, person};

const LABEL: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
/// Connections over which users are hired, and over which the POST beside come.
const CONNECTIONS: usize = 16;
/// The longest time a deactivation may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_mins(1);
const DEACTIVATE: &str = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}"#;

/// Measures both shapes, idle and beside POST.
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    report.section(
        "revocation",
        "From the 2xx of a deactivation to INACTIVE in Fluent; floor: a bare updateUser, there and back",
        &["samples", "p50 ms", "p90 ms", "p99 ms", "max ms", "p50 / floor", "p99 / floor", "POST/s"],
    );
    shape(Shape::Single, "SQLite, one process", options, report).await?;
    shape(Shape::Processes, "PostgreSQL, separate processes", options, report).await
}

async fn shape(shape: Shape, name: &str, options: &Options, report: &mut Report) -> Result<()> {
    let family = Family::start_with(shape, lifted()).await?;
    let scim = Target::new(family.scim.base(), family.scim.token(), "application/scim+json")?;
    let processes = Processes::new(family.pids())?;
    let mut bare = Bare::open(&family.fluent).await?;

    let staff = hire(&family, &scim, "idle", options.samples).await?;
    processes.settle().await?;
    let idle = dismiss(&family, &scim, &mut bare, &staff).await?;
    idle.row(&format!("{name}, idle"), None, Some(Goal::Below("p99 ms", 100.0)), report)?;

    let staff = hire(&family, &scim, "busy", options.samples).await?;
    processes.settle().await?;
    let target = scim.clone();
    let asks: Asks =
        Arc::new(move |index| target.ask(Method::POST, "/Users", person::posted(&format!("beside-{index}"), &[])));
    let beside = Steady::start(&scim, CONNECTIONS, options.rate, StatusCode::CREATED, asks).await?;
    let busy = dismiss(&family, &scim, &mut bare, &staff).await?;
    let rate = beside.stop().await?;
    busy.row(&format!("{name}, beside POST"), Some(rate), None, report)
}

/// A hired user: name and id.
type Hired = (String, String);

/// Hires so many, and waits until all work in Fluent.
async fn hire(family: &Family, scim: &Target, prefix: &'static str, count: usize) -> Result<Vec<Hired>> {
    let target = scim.clone();
    let asks: Asks = Arc::new(move |index| {
        target.ask(Method::POST, "/Users", person::posted(&format!("{prefix}-{index}"), &[LABEL]))
    });
    let bodies = load::answers(scim, CONNECTIONS, count, StatusCode::CREATED, asks).await?;
    let mut staff = Vec::with_capacity(count);
    for (index, body) in bodies.iter().enumerate() {
        let name = format!("{prefix}-{index}");
        family.fluent.until(&name, "hired", |account| account.status == "ACTIVE" && !account.grants.is_empty()).await?;
        staff.push((name, gets::id(body)?));
    }
    Ok(staff)
}

/// What was measured, in milliseconds.
struct Measured {
    product: Summary,
    floor: Summary,
}

impl Measured {
    fn row(&self, name: &str, beside: Option<f64>, goal: Option<Goal>, report: &mut Report) -> Result<()> {
        let (none, posts) = (f64::NAN, beside.unwrap_or(0.0));
        let Self { product: ours, floor } = self;
        let ratios = [ours.p50 / floor.p50, ours.p99 / floor.p99];
        report.row(
            name,
            &[number(ours.count), ours.p50, ours.p90, ours.p99, ours.max, ratios[0], ratios[1], posts],
            goal,
        )?;
        report.row(
            "  bare updateUser",
            &[number(floor.count), floor.p50, floor.p90, floor.p99, floor.max, none, none, posts],
            None,
        )
    }
}

/// Deactivates one after another, each once the one before has lost everything, with a bare update between two.
async fn dismiss(family: &Family, scim: &Target, bare: &mut Bare, staff: &[Hired]) -> Result<Measured> {
    let mut connection = Connection::open(scim).await?;
    let mut watch = Watch { fluent: &family.fluent, after: family.fluent.log_head().await? };
    let (mut product, mut floor) = (Vec::with_capacity(staff.len()), Vec::with_capacity(staff.len()));
    for (index, (name, id)) in staff.iter().enumerate() {
        let ask = scim.ask(Method::PATCH, &format!("/Users/{id}"), DEACTIVATE);
        connection.send(ask, StatusCode::OK).await?;
        let answered = wall_us()?;
        let inactive = tokio::time::timeout(PATIENCE, watch.inactive(name)).await;
        product.push((inactive.with_context(|| format!("{name} stays active"))?? - answered) / 1e3);
        family.fluent.until_gone(name).await?;
        floor.push(bare.update(index).await?);
        // Uneven pauses, so that no clock of the product's falls in step with this one.
        tokio::time::sleep(Duration::from_micros((index as u64 * 7_919) % 10_000)).await;
    }
    Ok(Measured { product: Summary::of(product), floor: Summary::of(floor) })
}

/// Microseconds since the Unix epoch.
fn wall_us() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e6)
}

/// The simulator's log, read on and on.
struct Watch<'a> {
    fluent: &'a Fluent,
    after: u64,
}

impl Watch<'_> {
    /// When that account became `INACTIVE`, in microseconds since the Unix epoch.
    async fn inactive(&mut self, name: &str) -> Result<f64> {
        loop {
            let entries = self.fluent.next_log(self.after).await?;
            self.after = entries.last().and_then(|entry| entry["seq"].as_u64()).unwrap_or(self.after);
            if let Some(entry) = entries.iter().find(|entry| deactivates(entry, name)) {
                return entry["wall_us"].as_f64().context("an entry has a time");
            }
        }
    }
}

fn deactivates(entry: &Value, name: &str) -> bool {
    let is = |field: &Value| {
        field["name"] == "updateUser"
            && field["username"] == name
            && field["arguments"]["input"]["status"] == "INACTIVE"
    };
    entry["applied"] == true && entry["fields"].as_array().is_some_and(|fields| fields.iter().any(is))
}

/// A client of Fluent that does nothing but update an account of its own.
struct Bare {
    target: Target,
    connection: Connection,
    id: String,
}

impl Bare {
    async fn open(fluent: &Fluent) -> Result<Self> {
        fluent.put_account(&json!({"username": "bare-floor", "type": "LOCATION", "status": "ACTIVE"})).await?;
        let account = fluent.account("bare-floor").await?.context("the account was put there")?;
        let form = [
            ("grant_type", "password"),
            ("scope", "api"),
            ("username", "rolecall"),
            ("password", "dev-password"),
            ("client_id", "DEV"),
            ("client_secret", "dev-secret"),
        ];
        let query = form.map(|(name, value)| format!("{name}={value}")).join("&");
        let sign_in = Target::new(fluent.url(), "", "application/x-www-form-urlencoded")?;
        let ask = sign_in.ask(Method::POST, "/oauth/token", query);
        let granted = Connection::open(&sign_in).await?.send(ask, StatusCode::OK).await?;
        let granted: Value = serde_json::from_slice(&granted)?;
        let token = granted["access_token"].as_str().context("a token")?;
        let target = Target::new(fluent.url(), token, "application/json")?;
        let connection = Connection::open(&target).await?;
        Ok(Self { target, connection, id: account.id })
    }

    /// Updates the account; answers how long that took, in milliseconds.
    async fn update(&mut self, index: usize) -> Result<f64> {
        const DOCUMENT: &str = "mutation($input: UpdateUserInput!) { updateUser(input: $input) { id status } }";
        let status = if index.is_multiple_of(2) { "INACTIVE" } else { "ACTIVE" };
        let body = json!({"query": DOCUMENT, "variables": {"input": {"id": self.id, "status": status}}});
        let ask = self.target.ask(Method::POST, "/graphql", Bytes::from(body.to_string()));
        let began = Instant::now();
        let answer = self.connection.send(ask, StatusCode::OK).await?;
        let took = millis(began.elapsed());
        let answer: Value = serde_json::from_slice(&answer)?;
        anyhow::ensure!(answer["data"]["updateUser"]["status"] == status, "Fluent answers {answer}");
        Ok(took)
    }
}
