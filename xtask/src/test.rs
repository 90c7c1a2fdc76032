//! Every test, with the real servers they need.

use anyhow::Result;
use servers::{Postgres, Redis};

use crate::stage::{self, Stages, cargo};
use crate::{packages, peers};

/// Builds, starts the servers, runs all tests.
pub(crate) fn run(stages: &mut Stages, arguments: &[String]) -> Result<()> {
    stages.run("packages", packages::servers)?;
    // The scenarios start the product's own program.
    stages.run("build", || stage::run(&mut cargo(&["build", "--workspace", "--bins", "--locked"])))?;
    stages.run("build of the tests", || {
        stage::run(&mut cargo(&["test", "--workspace", "--locked", "--no-run", "--quiet"]))
    })?;
    let (postgres, redis) = stages.run("servers", || Ok((Postgres::start()?, Redis::start()?)))?;
    stages.run("tests", || {
        stage::run(
            cargo(&["test", "--workspace", "--locked"])
                .args(arguments)
                .env("ROLECALL_TEST_POSTGRES", postgres.url())
                .env("ROLECALL_TEST_REDIS", redis.url()),
        )
    })?;
    // Somebody who names tests wants those alone.
    if arguments.is_empty() { peers::run_all(stages) } else { Ok(()) }
}
