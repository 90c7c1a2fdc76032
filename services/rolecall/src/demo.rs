//! `rolecall demo`: a season in a warehouse, told over real HTTP and printed as a table with timings.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fluent_sim::{Sim, User};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::dev::{DevArgs, Running};

/// How many associates the season needs.
const SEASON: usize = 40;
/// Longer than any push takes here.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run() -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the demo")?;
    let begun = Instant::now();
    let running = Running::start(DevArgs::demo(folder.path())).await?;
    let sim = running.sim().context("the demo runs beside the simulator")?.clone();
    let mut story = Story { scim: Idp::new(&running), sim };
    println!(
        "Rolecall is up in {}: SCIM at {}, a simulated Fluent at {}",
        ms(begun.elapsed()),
        running.scim,
        running.fluent
    );
    println!();
    println!("{:<58}{:>9}{:>12}   Fluent then holds", "what the identity provider says", "answer", "in Fluent");
    story.tell().await?;
    story.print_fluent();
    running.stop().await
}

/// The identity provider's side.
struct Idp {
    base: String,
    token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Idp {
    fn new(running: &Running) -> Self {
        let client = Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        Self { base: running.scim.clone(), token: running.token.clone(), client }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/scim+json")
            .body(Full::from(body.to_string()))?;
        let answer = self.client.request(request).await?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    async fn hire(&self, name: &str, label: &str) -> Result<(u16, Value)> {
        let (given, family) = name.split_once('.').unwrap_or((name, "Associate"));
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": format!("{name}@lakeside.example"),
            "active": true,
            "name": {"givenName": given, "familyName": family},
            "emails": [{"value": format!("{name}@lakeside.example"), "type": "work", "primary": true}],
            "roles": [{"value": label}],
        });
        self.send("POST", "/Users", &body).await
    }

    async fn patch(&self, id: &str, operations: Value) -> Result<(u16, Value)> {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
        self.send("PATCH", &format!("/Users/{id}"), &body).await
    }
}

struct Story {
    scim: Idp,
    sim: Sim,
}

impl Story {
    async fn tell(&mut self) -> Result<()> {
        let associate = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
        let ada = self.hire("ada.lovelace", associate).await?;
        let grace = self.hire("grace.hopper", associate).await?;
        let alan = self.hire("alan.turing", associate).await?;
        self.season(associate).await?;

        let lead =
            json!([{"op": "replace", "path": "roles", "value": [{"value": "AGENT_CHIC-01_WAREHOUSE_SHIFT_LEAD"}]}]);
        self.change("ada.lovelace is promoted to shift lead", &ada, "ada.lovelace", lead, |user| {
            holds(user, "WAREHOUSE_SHIFT_LEAD", "1023434") && user.roles.len() == 1
        })
        .await?;
        let moved = json!([{"op": "replace", "path": "roles", "value": [{"value": "Agent_NYC-05_STORE"}]}]);
        self.change("grace.hopper moves to the New York store", &grace, "grace.hopper", moved, |user| {
            holds(user, "STORE", "1023436") && user.roles.len() == 1
        })
        .await?;
        let fired = json!([{"op": "Replace", "path": "active", "value": "False"}]);
        self.change("alan.turing is let go", &alan, "alan.turing", fired, |user| {
            !user.is_active() && user.roles.is_empty()
        })
        .await?;

        let (status, body) = self.scim.hire("linus.t", "AGENT_CHIC-01_WAREHOUSE_ASOCIATE").await?;
        ensure!(status == 400, "an unrecognised role was not refused");
        line("linus.t is hired with a role nobody knows", status, None, "nothing: it is refused");
        println!("    {}", body["detail"].as_str().unwrap_or_default());
        Ok(())
    }

    async fn hire(&self, name: &str, label: &str) -> Result<String> {
        let (status, body) = self.scim.hire(name, label).await?;
        let answered = Instant::now();
        ensure!(status == 201, "{name} was not hired: {status} {body}");
        let user = self.until(name, |user| user.is_active() && !user.roles.is_empty()).await?;
        line(&format!("{name} is hired as {label}"), status, Some(answered.elapsed()), &grants(&user));
        Ok(body["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Forty more, all at once, as a season begins.
    async fn season(&self, label: &str) -> Result<()> {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(SEASON as u64) } else { ProgressBar::hidden() };
        bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} associates at work")?);
        let names: Vec<String> = (1..=SEASON).map(|number| format!("season.{number:02}")).collect();
        let mut slowest = Duration::ZERO;
        for name in &names {
            let (status, body) = self.scim.hire(name, label).await?;
            ensure!(status == 201, "{name} was not hired: {status} {body}");
        }
        let answered = Instant::now();
        for name in &names {
            self.until(name, |user| holds(user, "WAREHOUSE_ASSOCIATE", "1023434")).await?;
            slowest = slowest.max(answered.elapsed());
            bar.inc(1);
        }
        bar.finish_and_clear();
        line(&format!("{SEASON} more are hired for the season"), 201, Some(slowest), "one grant each");
        Ok(())
    }

    async fn change(
        &self,
        what: &str,
        id: &str,
        name: &str,
        operations: Value,
        done: impl FnMut(&User) -> bool,
    ) -> Result<()> {
        let (status, body) = self.scim.patch(id, operations).await?;
        let answered = Instant::now();
        ensure!(status == 200, "{what}: {status} {body}");
        let user = self.until(name, done).await?;
        line(what, status, Some(answered.elapsed()), &grants(&user));
        Ok(())
    }

    async fn until(&self, name: &str, done: impl FnMut(&User) -> bool) -> Result<User> {
        let username = format!("{name}@lakeside.example");
        let waiting = self.sim.wait_for_user(&username, done);
        tokio::time::timeout(PATIENCE, waiting).await.with_context(|| format!("{name} did not arrive in Fluent"))
    }

    fn print_fluent(&self) {
        println!();
        println!("Fluent's own view:");
        self.sim.read(|world| {
            let (season, others): (Vec<_>, Vec<_>) =
                world.users().values().partition(|user| user.username.starts_with("season."));
            for user in others {
                println!("  {:<34}{:<10}{}", user.username, status(user), grants(user));
            }
            let season = format!("season.… ({} accounts)", season.len());
            println!("  {season:<34}{:<10}WAREHOUSE_ASSOCIATE in AGENT 1023434 each", "ACTIVE");
        });
    }
}

fn holds(user: &User, role: &str, location: &str) -> bool {
    user.grants().iter().any(|(name, context)| name == role && context.context_id == location)
}

fn grants(user: &User) -> String {
    let grants = user.grants();
    let all: Vec<String> = grants
        .iter()
        .map(|(role, context)| format!("{role} in {} {}", context.context_type, context.context_id))
        .collect();
    if all.is_empty() { format!("nothing ({})", status(user)) } else { all.join(", ") }
}

fn status(user: &User) -> &str {
    user.status.as_deref().unwrap_or("-")
}

fn line(what: &str, status: u16, took: Option<Duration>, then: &str) {
    let took = took.map_or_else(|| "-".to_owned(), ms);
    println!("{what:<58}{status:>9}{took:>12}   {then}");
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}
