//! A port for a server that is not there yet, or that is down for a while.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use tokio::net::TcpSocket;

/// A port of this machine, kept for whoever is told it: while this lives, nobody who asks for any free one gets it.
///
/// It is bound with `SO_REUSEADDR` and does not listen. Linux then lets a server bind to it by its number, with that option
/// too, as tokio, PostgreSQL and Redis do, and refuses who connects to it while none does.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _kept: TcpSocket,
}

impl Port {
    /// Takes a free one.
    pub fn take() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).context("binding to a free port")?;
        let address = socket.local_addr()?;
        Ok(Self { address, _kept: socket })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// Where a server is that listens on it: `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}
