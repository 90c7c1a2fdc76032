//! A killed server comes back where it was, and nobody else gets there meanwhile.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use servers::{Port, Postgres, Redis};

#[test]
fn a_port_that_is_kept_is_given_to_nobody_but_a_server_that_asks_for_it_by_its_number() {
    let ports: Vec<_> = (0..200).map(|_| Port::take().unwrap()).collect();
    // One after the other: a process may not have a thousand sockets at a time.
    for _ in 0..1_000 {
        let got = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(ports.iter().all(|port| port.number() != got), "{got}");
    }
    let port = &ports[0];
    // It comes, goes and comes back.
    for _ in 0..2 {
        assert_eq!(TcpStream::connect(port.address()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let server = TcpListener::bind(port.address()).unwrap();
        let _client = TcpStream::connect(port.address()).unwrap();
        server.accept().unwrap();
    }
}

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
