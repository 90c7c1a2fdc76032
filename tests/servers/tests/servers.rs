//! A killed server comes back where it was.

use servers::{Postgres, Redis};

#[test]
fn postgres_comes_back_on_its_port_after_a_kill() {
    let mut postgres = Postgres::start().unwrap();
    let url = postgres.url();
    postgres.kill().unwrap();
    postgres.restart().unwrap();
    assert_eq!(postgres.url(), url);
}

#[test]
fn redis_comes_back_on_its_port_after_a_kill() {
    let mut redis = Redis::start().unwrap();
    let url = redis.url();
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.url(), url);
}
