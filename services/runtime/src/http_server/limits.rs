//! The limits of a listener, and the count of connections that two of them need.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use serde::Deserialize;

use crate::config::{Problems, Validate};
use crate::telemetry::Metrics;

/// What one listener and each of its connections may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpLimits {
    /// Connections in all; one more is closed on arrival.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64 network.
    pub connections_per_address: usize,
    /// The longest time from the first byte of a request to the end of its header, and to the first byte at all.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// The longest time a connection stays open without a request, or with an answer of which the client takes nothing.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// The longest TLS handshake.
    #[serde(with = "humantime_serde")]
    pub tls_handshake_timeout: Duration,
    /// Header bytes of one request; at least 8,192.
    pub header_bytes: u32,
    /// Header fields of one request.
    pub header_count: usize,
    /// HTTP/2 requests at once on one connection.
    pub concurrent_streams: u32,
    /// HTTP/2 streams the client has reset and the server has not yet let go of.
    pub pending_resets: usize,
    /// How often an HTTP/2 connection is asked whether it is alive.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// How long it may take to answer that.
    #[serde(with = "humantime_serde")]
    pub ping_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 2048,
            connections_per_address: 256,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            tls_handshake_timeout: Duration::from_secs(10),
            header_bytes: 32 * 1024,
            header_count: 100,
            concurrent_streams: 100,
            pending_resets: 20,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

impl HttpLimits {
    /// For a listener that other parts call: each of them holds few connections with many requests at once.
    #[must_use]
    pub fn peers() -> Self {
        Self { concurrent_streams: 1024, idle_timeout: Duration::from_mins(5), ..Self::default() }
    }

    /// For the admin listener.
    pub(crate) fn admin() -> Self {
        Self { connections: 64, connections_per_address: 64, ..Self::default() }
    }
}

impl Validate for HttpLimits {
    fn validate(&self, problems: &mut Problems) {
        for (key, count) in [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("header_count", self.header_count),
            ("concurrent_streams", self.concurrent_streams as usize),
        ] {
            problems.require(count > 0, key, "nothing could be served", "at least 1");
        }
        for (key, time) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
            ("tls_handshake_timeout", self.tls_handshake_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
        ] {
            problems.require(!time.is_zero(), key, "no client is that fast", "a duration such as \"10s\"");
        }
        problems.require(
            self.header_bytes >= 8192,
            "header_bytes",
            "it is too small for real requests",
            "8192 or more",
        );
    }
}

/// Counts open connections, and refuses those beyond the limits.
pub(super) struct Admission {
    total: usize,
    per_address: usize,
    open: Arc<Mutex<Open>>,
    gauge: Gauge,
    refused: Counter,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The right of one connection to be open; it is given back when dropped.
pub(super) struct Admitted {
    address: IpAddr,
    open: Arc<Mutex<Open>>,
    gauge: Gauge,
}

impl Admission {
    pub(super) fn new(limits: &HttpLimits, metrics: &Metrics) -> Self {
        Self {
            total: limits.connections,
            per_address: limits.connections_per_address,
            open: Arc::default(),
            gauge: metrics.connections().clone(),
            refused: metrics.refused_connections().clone(),
        }
    }

    pub(super) fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let address = network(address);
        let mut open = self.open.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        if open.total >= self.total || of_address >= self.per_address {
            self.refused.inc();
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, of_address + 1);
        self.gauge.inc();
        Some(Admitted { address, open: Arc::clone(&self.open), gauge: self.gauge.clone() })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
        self.gauge.dec();
    }
}

/// Whoever has one IPv6 address has 2⁶⁴ of them, so they count together.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_all_have_the_total() {
        let limits = HttpLimits { connections: 3, connections_per_address: 2, ..HttpLimits::default() };
        let admission = Admission::new(&limits, &Metrics::new());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admission.admit(address("2001:db8::1"));
        let second = admission.admit(address("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(address("2001:db8::3")).is_none(), "the same /64");
        let third = admission.admit(address("192.0.2.1"));
        assert!(third.is_some());
        assert!(admission.admit(address("192.0.2.2")).is_none(), "the total");
        drop(first);
        assert!(admission.admit(address("::ffff:192.0.2.1")).is_some());
        drop((second, third));
        assert_eq!(admission.open.lock().total, 0);
        assert!(admission.open.lock().by_address.is_empty());
    }
}
