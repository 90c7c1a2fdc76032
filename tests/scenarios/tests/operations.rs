//! What operators count on: parts come and go, mistakes are told, nothing personal is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use harness::{Dial, Family, Part, Scim, Shape, eventually, run_program};
use scenarios::{stories, until_state};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

stories!(nothing_personal_is_printed, a_stop_lets_requests_finish, a_revoked_token_opens_nothing);

const CHICAGO: &str = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE";
const CHICAGO_GRANT: &str = "WAREHOUSE_ASSOCIATE in AGENT 1023434";

async fn nothing_personal_is_printed(shape: Shape) -> Result<()> {
    let verbose = vec![("ROLECALL_TELEMETRY__FILTER", "trace,h2=info,hyper=info,tower=info".to_owned())];
    let family = Family::start_with(shape, Dial { environment: verbose, ..Dial::default() }).await?;
    let body = json!({
        "userName": "canary-name@canary.example", "externalId": "canary-external", "displayName": "canary-display",
        "title": "canary-title", "name": {"givenName": "canary-given", "familyName": "canary-family"},
        "emails": [{"value": "canary-mail@canary.example", "type": "work"}], "roles": [{"value": CHICAGO}],
        "phoneNumbers": [{"value": "canary-phone", "type": "work"}], "password": "canary-password",
    });
    let hired = family.scim.post("/Users", &body).await?;
    assert_eq!(hired.status, 201, "{}", hired.body);
    until_state(&family, hired.id(), "provisioned").await?;
    family.scim.get("/Users?filter=userName%20eq%20%22canary-name%40canary.example%22").await?;
    family.scim.post("/Users", &body).await?;
    family.scim.post("/Users", &json!({"userName": ["canary-broken"]})).await?;
    assert_eq!(family.scim.delete(&format!("/Users/{}", hired.id())).await?.status, 204);
    family.fluent.until_gone("canary-name@canary.example").await?;
    let logs = family.logs();
    for secret in [family.scim.token(), &family.reader_token, "dev-secret", "dev-password"] {
        // `rolecall dev` prints its token once, on purpose: to standard output, for whoever started it.
        let allowed = if shape == Shape::Single && secret == family.scim.token() { 6 } else { 0 };
        assert!(logs.matches(secret).count() <= allowed, "a secret is in the logs");
    }
    let hits: Vec<&str> = logs.lines().filter(|line| line.contains("canary")).take(5).collect();
    assert!(hits.is_empty(), "personal data in the logs: {hits:#?}");
    Ok(())
}

/// What was asked for before the stop is answered whole, although it is not even there whole when the stop is asked for;
/// and whoever goes on asking is answered whole, or told by a closed door that nothing was done.
async fn a_stop_lets_requests_finish(shape: Shape) -> Result<()> {
    let mut family = Family::start(shape).await?;
    let mut under_way = Vec::new();
    for number in 0..8 {
        under_way.push(Client::connect(&family).await?.begin(&format!("begun-{number}")).await?);
    }
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|client| {
            let (scim, may_end) = (family.scim.clone(), Arc::clone(&asked_to_stop));
            tokio::spawn(async move { keep_hiring(&scim, client, &may_end).await })
        })
        .collect();
    eventually("everybody hires", async || {
        let list = family.scim.get("/Users?count=0").await.ok()?;
        (list.body["totalResults"].as_u64()? > 20).then_some(())
    })
    .await?;
    asked_to_stop.store(true, Ordering::SeqCst);
    family.ask_to_stop(Part::Gateway)?;
    let address = authority(&family.scim)?;
    eventually("nobody is let in any more", async || TcpStream::connect(&address).await.err()).await?;
    let mut hired = Vec::new();
    for request in under_way {
        hired.push(request.end().await?);
    }
    for client in busy {
        hired.extend(client.await??);
    }
    let status = family.stopped(Part::Gateway).await?;
    assert!(status.success(), "{status}");
    family.run(Part::Gateway).await?;
    for id in hired {
        assert_eq!(
            family.scim.get(&format!("/Users/{id}?attributes=id")).await?.status,
            200,
            "every 201 is kept: {id}"
        );
    }
    Ok(())
}

/// Where the gateway listens.
fn authority(scim: &Scim) -> Result<String> {
    let rest = scim.base().strip_prefix("http://").context("the gateway speaks plaintext")?;
    Ok(rest.split('/').next().unwrap_or_default().to_owned())
}

/// Hires one after the other until the gateway lets nobody in; answers who was hired. A connection may end once the
/// gateway was asked to stop, and then before the first byte of an answer.
async fn keep_hiring(scim: &Scim, client: usize, may_end: &AtomicBool) -> Result<Vec<String>> {
    let mut hired = Vec::new();
    let mut connection = Client::new(scim).await?;
    for number in 0.. {
        let body = person(&format!("busy-{client}-{number}"));
        let asked = connection.send(&format!("content-length: {}\r\n\r\n{body}", body.len())).await;
        let Some(answer) = (if asked.is_ok() { connection.answer().await? } else { None }) else {
            ensure!(may_end.load(Ordering::SeqCst), "a connection ends before anybody asked to stop");
            match Client::new(scim).await {
                Ok(anew) => connection = anew,
                // The listener is gone.
                Err(_) => break,
            }
            continue;
        };
        hired.push(answer);
    }
    Ok(hired)
}

fn person(name: &str) -> String {
    json!({"userName": name, "active": true}).to_string()
}

/// A connection to the gateway on which every byte is seen.
struct Client {
    stream: BufReader<TcpStream>,
    head: String,
}

/// A request whose header the gateway has taken, and whose body it waits for.
struct Begun {
    client: Client,
    body: String,
}

impl Client {
    async fn connect(family: &Family) -> Result<Self> {
        Self::new(&family.scim).await
    }

    async fn new(scim: &Scim) -> Result<Self> {
        let address = authority(scim)?;
        let head = format!(
            "POST /scim/v2/Users HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: application/scim+json\r\n",
            scim.token()
        );
        Ok(Self { stream: BufReader::new(TcpStream::connect(&address).await?), head })
    }

    async fn send(&mut self, rest: &str) -> std::io::Result<()> {
        let request = format!("{}{rest}", self.head);
        self.stream.get_mut().write_all(request.as_bytes()).await
    }

    /// Sends the header of a request to hire somebody, and waits until the gateway asks for the rest.
    async fn begin(mut self, name: &str) -> Result<Begun> {
        let body = person(name);
        self.send(&format!("expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len())).await?;
        let (mut line, mut blank) = (String::new(), String::new());
        self.stream.read_line(&mut line).await?;
        self.stream.read_line(&mut blank).await?;
        ensure!(line.starts_with("HTTP/1.1 100 ") && blank == "\r\n", "{line}{blank}");
        Ok(Begun { client: self, body })
    }

    /// Reads a whole answer, which must say that somebody was hired; answers the id. `None` if the connection ends before
    /// its first byte.
    async fn answer(&mut self) -> Result<Option<String>> {
        if !matches!(self.stream.fill_buf().await, Ok([_, ..])) {
            return Ok(None);
        }
        let (mut head, mut length) = (String::new(), None);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            ensure!(self.stream.read_line(&mut head).await? > 0, "the answer ends in its header: {head}");
            if let Some((name, value)) = head[from..].split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut body = vec![0; length.with_context(|| format!("an answer tells its length: {head}"))?];
        self.stream.read_exact(&mut body).await.context("the answer ends in its body")?;
        ensure!(head.starts_with("HTTP/1.1 201 "), "{head}{}", String::from_utf8_lossy(&body));
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(Some(body["id"].as_str().context("an id")?.to_owned()))
    }
}

impl Begun {
    /// Sends the body, and reads the answer; answers the id of whom it says was hired.
    async fn end(mut self) -> Result<String> {
        self.client.stream.get_mut().write_all(self.body.as_bytes()).await?;
        self.client.answer().await?.context("a request that was under way is not answered")
    }
}

async fn a_revoked_token_opens_nothing(shape: Shape) -> Result<()> {
    if shape == Shape::Single {
        // A development set-up has one token and no operator's access.
        return Ok(());
    }
    let family = Family::start(shape).await?;
    assert_eq!(family.scim.get("/Users?count=1").await?.status, 200);
    let id = family.scim.token().split('_').nth(1).unwrap_or_default().to_owned();
    family.operate(&["token", "revoke", "dev", &id])?;
    eventually("the token is refused everywhere", async || {
        (family.scim.get("/Users?count=1").await.ok()?.status == 401).then_some(())
    })
    .await?;
    family.operate(&["token", "issue", "dev", "--days", "10", "--note", "short"])?;
    let listed = String::from_utf8(family.operate(&["token", "list", "dev"])?.stdout)?;
    assert!(listed.contains(&id) && !listed.contains(family.scim.token()), "{listed}");
    let warned = |line: &&str| line.contains("ends within 14 days");
    assert!(listed.lines().filter(warned).all(|line| line.ends_with("short")), "{listed}");
    assert_eq!(listed.lines().filter(warned).count(), 1, "{listed}");
    Ok(())
}

#[tokio::test]
async fn a_dismissal_needs_no_resolver() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    let hired = family.scim.hire("ann", &[CHICAGO]).await?;
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    until_state(&family, hired.id(), "provisioned").await?;
    family.kill(Part::RoleResolver)?;
    let refused = family.scim.hire("bob", &[CHICAGO]).await?;
    assert_eq!(refused.status, 503, "what adds labels waits: {}", refused.body);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    let path = format!("/Users/{}", hired.id());
    let titled = family.scim.patch(&path, &json!([{"op": "add", "path": "title", "value": "x"}])).await?;
    assert_eq!(titled.status, 200, "what adds none passes: {}", titled.body);
    let dismissed = family.scim.patch(&path, &json!([{"op": "replace", "path": "active", "value": false}])).await?;
    assert_eq!(dismissed.status, 200, "{}", dismissed.body);
    family.fluent.until_gone("ann").await?;
    family.run(Part::RoleResolver).await?;
    assert_eq!(family.scim.hire("bob", &[CHICAGO]).await?.status, 201);
    family.fluent.until_works("bob", &[CHICAGO_GRANT]).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_is_killed_comes_back_and_nothing_is_lost() -> Result<()> {
    let mut family = Family::start(Shape::Processes).await?;
    for (round, part) in [Part::IdentityStore, Part::FluentPusher, Part::Gateway].into_iter().enumerate() {
        let name = format!("worker-{round}");
        let hired = family.scim.hire(&name, &[CHICAGO]).await?;
        assert_eq!(hired.status, 201, "{}", hired.body);
        family.kill(part)?;
        family.run(part).await?;
        family.fluent.until_works(&name, &[CHICAGO_GRANT]).await?;
        let path = format!("/Users/{}", hired.id());
        eventually("the dismissal is accepted", async || {
            (family.scim.delete(&path).await.ok()?.status == 204).then_some(())
        })
        .await?;
        family.fluent.until_gone(&name).await?;
    }
    Ok(())
}

/// Beyond one machine parts speak TLS to each other, and operators' commands to identity-store: with the authority that
/// signs the parts' certificates all goes on as without, and whoever does not name it is told what to name.
#[tokio::test]
async fn a_family_and_its_operators_speak_tls() -> Result<()> {
    let family = Family::start_with(Shape::Processes, Dial { tls: true, ..Dial::default() }).await?;
    assert_eq!(family.scim.hire("ann", &[CHICAGO]).await?.status, 201);
    family.fluent.until_works("ann", &[CHICAGO_GRANT]).await?;
    let listed = String::from_utf8(family.operate(&["tenant", "list"])?.stdout)?;
    assert_eq!(listed.trim(), family.tenant);
    let refused = |arguments: &[&str]| -> Result<String> {
        let output = family.try_to_operate(&[&["tenant", "list"], arguments].concat())?;
        ensure!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        Ok(String::from_utf8(output.stderr)?)
    };
    assert!(refused(&[])?.contains("--ca-file"), "no authority");
    let nowhere = refused(&["--ca-file", "/nowhere/ca.pem"])?;
    assert!(nowhere.contains("/nowhere/ca.pem cannot be read"), "{nowhere}");
    let ca = family.folder().join("ca.pem").display().to_string();
    let other_name = refused(&["--ca-file", &ca, "--server-name", "elsewhere.example"])?;
    assert!(other_name.contains("the connection to the part that answers this failed"), "{other_name}");
    Ok(())
}

/// What one connection of a listener may cost is what the part's own section says.
#[tokio::test]
async fn a_listener_has_the_limits_it_was_given() -> Result<()> {
    let one = vec![("ROLECALL_FLUENT_PUSHER__LIMITS__CONNECTIONS", "1".to_owned())];
    let family = Family::start_with(Shape::Processes, Dial { environment: one, ..Dial::default() }).await?;
    let address = family.address(Part::FluentPusher);
    let mut first = TcpStream::connect(&address).await?;
    // What HTTP/2 begins with; the server begins with a frame of its own.
    first.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    assert_ne!(first.read(&mut [0; 9]).await?, 0, "one is served");
    let mut second = TcpStream::connect(&address).await?;
    assert!(matches!(second.read(&mut [0; 9]).await, Ok(0) | Err(_)), "one more is closed on arrival");
    Ok(())
}

#[test]
fn an_authority_without_tls_is_a_mistake() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("peers.secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef")?;
    let secret = secret.display().to_string();
    let output = run_program(&["tenant", "list", "--peer-secret-file", &secret, "--ca-file", "/nowhere/ca.pem"])?;
    let told = String::from_utf8(output.stderr)?;
    assert!(!output.status.success() && told.contains("--store must begin with https://"), "{told}");
    Ok(())
}

#[test]
fn all_mistakes_in_a_configuration_are_told_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("rolecall.toml");
    std::fs::write(&file, "[gateway]\nlisten = \"nowhere\"\ncolour = \"red\"\n[gateway.limits]\nuser_body = 0\n")?;
    let output = run_program(&["gateway", "--check-config", "--config", &file.display().to_string()])?;
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr)?;
    for key in
        ["gateway.listen", "gateway.colour", "gateway.limits.user_body", "gateway.identity_store.uri", "peers.secret"]
    {
        assert!(told.contains(key), "{key} in {told}");
    }
    Ok(())
}

#[test]
fn no_part_starts_without_complete_authentication() -> Result<()> {
    for part in ["gateway", "identity-store", "role-resolver", "fluent-pusher"] {
        let output = run_program(&[part])?;
        assert_eq!(output.status.code(), Some(64), "{part}");
        assert!(String::from_utf8(output.stderr)?.contains("peers.secret"), "{part}");
    }
    Ok(())
}
