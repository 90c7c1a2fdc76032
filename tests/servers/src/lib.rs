//! Real servers for tests: PostgreSQL and Redis as child processes of whoever needs them, on free ports, with data of
//! their own, gone when dropped.
//!
//! Each is the harness's own child, so that a kill can be waited for and a restart finds the field clear.

mod database;
mod port;
mod postgres;
mod redis;
mod wire;

use std::net::{Ipv4Addr, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

pub use database::{fresh_database, fresh_database_on};
pub use port::Port;
pub use postgres::Postgres;
pub use redis::Redis;
pub use wire::Wire;

/// Waits until `child` accepts connections on `port`. Gives up when it exits, or after a minute.
fn await_port(child: &mut Child, name: &str, port: u16) -> Result<()> {
    let patience = Instant::now() + Duration::from_mins(1);
    let address = (Ipv4Addr::LOCALHOST, port).into();
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("{name} stopped before it listened: {status}");
        }
        if Instant::now() > patience {
            bail!("{name} did not listen on port {port} within a minute");
        }
        pause();
    }
    Ok(())
}

/// The breath between two looks at a condition that only looking can tell.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}
