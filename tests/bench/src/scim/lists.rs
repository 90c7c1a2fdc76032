//! Look-ups and pages with few, many and a million users: their number must not show.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use domain::id::TenantId;
use harness::{Family, Part, Shape};
use http::{Method, StatusCode};
use identity_store::model::{ListRequest, Spot, Start};
use serde_json::Value;

use super::{Options, SHAPES, bulk, database, store};
use crate::cpu::{Processes, resident};
use crate::lifted;
use crate::load::{self, Asks, Connection, Target};
use crate::report::{Goal, Report};
use crate::stats::{Summary, median, number};

/// Resources on a page.
const PAGE: usize = 100;
/// Requests that are sent before any is timed.
const WARM: usize = 50;
/// How often what is dear is asked for.
const DEAR: usize = 5;

/// A family with so many users.
struct Town {
    users: usize,
    target: Target,
    /// The cursor of each page.
    cursors: Arc<Vec<String>>,
    family: Family,
}

/// What is asked for, the `n`th time.
type Path = fn(&Town, usize) -> String;

/// What a client asks all the time.
const CHEAP: [(&str, Path); 5] = [
    ("GET by id", |town, n| format!("/Users/{}", bulk::user(town.some(n)))),
    ("userName eq", |town, n| filtered(&format!("userName eq \"{}\"", bulk::name(town.some(n))), PAGE)),
    ("externalId eq", |town, n| filtered(&format!("externalId eq \"ext-{}\"", bulk::name(town.some(n))), PAGE)),
    ("the first page", |_, _| format!("/Users?count={PAGE}")),
    ("any page by cursor", |town, n| {
        let cursor = town.cursors.get(town.some(n) % town.cursors.len()).map_or("", |cursor| cursor);
        format!("/Users?count={PAGE}&cursor={cursor}")
    }),
];

/// What costs more the more there are.
const DEARER: [(&str, Path); 6] = [
    ("a page in the middle by startIndex", |town, _| format!("/Users?count={PAGE}&startIndex={}", town.users / 2)),
    ("the last page by startIndex", |town, _| format!("/Users?count={PAGE}&startIndex={}", town.users - PAGE + 1)),
    ("the count of active eq true", |_, _| filtered("active eq true", 0)),
    ("the count of userName sw \"user-99\"", |_, _| filtered("userName sw \"user-99\"", 0)),
    ("the count of a group of 1,000", |_, _| filtered(&format!("groups.value eq \"{}\"", bulk::group(0)), 0)),
    ("the count of name.familyName co \"x\"", |_, _| filtered("name.familyName co \"x\"", 0)),
];

/// The filter whose count looks at everybody, and how many may be looked at.
const LOOKS: &str = "name.familyName co";
const LOOKED: usize = 100_000;

fn filtered(filter: &str, count: usize) -> String {
    format!("/Users?count={count}&filter={}", filter.replace(' ', "%20").replace('"', "%22"))
}

impl Town {
    async fn found(shape: Shape, users: usize) -> Result<Self> {
        let family = Family::start_with(shape, lifted()).await?;
        bulk::hire(&database(&family, shape)?, family.tenant, users).await?;
        let target = Target::new(family.scim.base(), family.scim.token(), "application/scim+json")?;
        let cursors = Arc::new(walk(&target, users).await?);
        Ok(Self { users, target, cursors, family })
    }

    /// The number of a user, another each time, anywhere.
    fn some(&self, n: usize) -> usize {
        n.wrapping_mul(0x9E37_79B9) % self.users
    }

    /// The milliseconds of each of `count` requests, one after the other.
    async fn ask(&self, path: Path, first: usize, count: usize, expected: StatusCode) -> Result<Vec<f64>> {
        let asks: Vec<_> = (first..first + count).map(|n| self.target.ask(Method::GET, &path(self, n), "")).collect();
        let asks: Asks = Arc::new(move |n| asks[n].clone());
        Ok(load::run(&self.target, 1, count, expected, asks).await?.latencies)
    }
}

/// Walks through everybody by cursor; answers where each page but the first begins.
async fn walk(target: &Target, users: usize) -> Result<Vec<String>> {
    let mut connection = Connection::open(target).await?;
    let count = (users / 10).clamp(1, 1_000);
    let (mut cursors, mut cursor, mut seen) = (Vec::new(), String::new(), 0);
    loop {
        let path = format!("/Users?attributes=id&count={count}&cursor={cursor}");
        let body = connection.send(target.ask(Method::GET, &path, ""), StatusCode::OK).await?;
        let page: Value = serde_json::from_slice(&body)?;
        seen += page["Resources"].as_array().map_or(0, Vec::len);
        let Some(next) = page["nextCursor"].as_str() else { break };
        next.clone_into(&mut cursor);
        cursors.push(cursor.clone());
    }
    anyhow::ensure!(seen == users, "a walk finds {seen} of {users}");
    Ok(cursors)
}

pub(super) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    for (shape, name) in SHAPES {
        run_in(shape, name, options, report).await?;
    }
    Ok(())
}

async fn run_in(shape: Shape, name: &str, options: &Options, report: &mut Report) -> Result<()> {
    let mut towns = Vec::new();
    for users in &options.users {
        towns.push(Town::found(shape, *users).await?);
    }
    for town in &towns {
        Processes::new(town.family.pids())?.settle().await?;
    }
    let columns = ["smallest ms", "middle ms", "largest ms", "largest/smallest"];
    let sizes = &options.users;
    report.section("lists", &format!("{name}, one request at a time, {sizes:?} users: median"), &columns);
    for (what, path) in CHEAP {
        let mut rounds = vec![Vec::new(); towns.len()];
        for round in 0..options.rounds {
            for (town, medians) in towns.iter().zip(&mut rounds) {
                let first = round * options.requests;
                town.ask(path, first + 1_000_000, WARM, StatusCode::OK).await?;
                medians.push(median(town.ask(path, first, options.requests, StatusCode::OK).await?));
            }
        }
        row(what, rounds, Some(Goal::Below("largest/smallest", 1.5)), report)?;
    }
    report.section("dear", &format!("{name}, {sizes:?} users, without a goal: median"), &columns);
    for (what, path) in DEARER {
        let mut rounds = vec![Vec::new(); towns.len()];
        for (town, times) in towns.iter().zip(&mut rounds) {
            let refused = what.contains(LOOKS) && town.users > LOOKED;
            let expected = if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            let asked = town.ask(path, 0, DEAR, expected).await?;
            times.push(if refused { f64::NAN } else { Summary::of(asked).p50 });
        }
        row(what, rounds, None, report)?;
    }
    let largest = towns.last().context("a number of users")?;
    memory(shape, name, largest, report)?;
    plans(shape, name, largest).await
}

fn row(what: &str, rounds: Vec<Vec<f64>>, goal: Option<Goal>, report: &mut Report) -> Result<()> {
    let medians: Vec<_> = rounds.into_iter().map(median).collect();
    let at = |n: usize| medians.get(n).copied().unwrap_or(f64::NAN);
    let last = medians.len() - 1;
    report.row(what, &[at(0), at(last / 2), at(last), at(last) / at(0)], goal)
}

/// What each process has in memory, after all that was asked.
fn memory(shape: Shape, name: &str, town: &Town, report: &mut Report) -> Result<()> {
    report.section("memory", &format!("{name}, {} users, after all that", town.users), &["resident MiB"]);
    let parts: &[_] = match shape {
        Shape::Single => &[("rolecall dev, with the simulated Fluent", Part::Gateway)],
        Shape::Processes => &[
            ("gateway", Part::Gateway),
            ("identity-store", Part::IdentityStore),
            ("role-resolver", Part::RoleResolver),
            ("fluent-pusher", Part::FluentPusher),
        ],
    };
    for (process, part) in parts {
        let bytes = resident(town.family.pid(*part)?)?;
        report.row(process, &[number(bytes) / number(1 << 20)], None)?;
    }
    Ok(())
}

/// Prints how the database finds what was asked for.
async fn plans(shape: Shape, name: &str, town: &Town) -> Result<()> {
    let store = store(&database(&town.family, shape)?).await?;
    let tenant: TenantId = town.family.tenant.parse()?;
    println!("\n{name}, {} users: plans", town.users);
    let told = |failure| anyhow::anyhow!("{failure}");
    let own = bulk::user(7).to_string().parse()?;
    print("GET by id", &store.plan_user(&tenant, own).await.map_err(told)?);
    let after = Start::After(Some(Spot { key: None, id: *bulk::user(town.users / 2).as_bytes() }));
    for (what, filter, start) in [
        ("userName eq", "userName eq \"user-7\"", Start::Index(1)),
        ("externalId eq", "externalId eq \"ext-user-7\"", Start::Index(1)),
        ("the first page", "", Start::Index(1)),
        ("a page by cursor", "", after),
        ("a page by startIndex", "", Start::Index(u32::try_from(town.users / 2)?)),
        ("userName sw", "userName sw \"user-99\"", Start::Index(1)),
        ("groups.value eq", &format!("groups.value eq \"{}\"", bulk::group(0)), Start::Index(1)),
    ] {
        let base_url = town.family.scim.base().to_owned();
        let wanted = ListRequest { filter: filter.to_owned(), sort: None, start, count: 100, base_url };
        print(what, &store.plan_users(&tenant, &wanted).await.map_err(told)?);
    }
    Ok(())
}

fn print(what: &str, plan: &[String]) {
    println!("  {what}");
    for line in plan {
        println!("      {}", line.trim_end());
    }
}
