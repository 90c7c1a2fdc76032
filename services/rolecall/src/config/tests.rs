//! Which settings a part insists on before it starts: those without which somebody could pretend to be somebody else, read
//! along, or learn a secret. Each is left out or spoilt in a configuration that is sound but for that.

use super::*;

const SOUND: &str = "\
[peers]
secret = { file = 'DIR/secret' }
previous_secret = { file = 'DIR/secret' }
[revisions]
secret = { file = 'DIR/secret' }
[identity_store]
listen = '127.0.0.1:9091'
database = { file = 'DIR/database' }
pepper = { file = 'DIR/secret' }
[role_resolver]
listen = '127.0.0.1:9092'
redis.url = { file = 'DIR/redis' }
redis.secret = { file = 'DIR/secret' }
identity_store.uri = 'http://127.0.0.1:9091'
[fluent_pusher]
listen = '127.0.0.1:9093'
database = { file = 'DIR/database' }
tenants = 'DIR'
identity_store.uri = 'http://127.0.0.1:9091'
role_resolver.uri = 'http://127.0.0.1:9092'
[gateway]
listen = '127.0.0.1:8080'
identity_store.uri = 'http://127.0.0.1:9091'
role_resolver.uri = 'http://127.0.0.1:9092'
";

/// What becomes of one section, and the mistakes that the gateway, the identity-store, the role-resolver and the
/// fluent-pusher then find.
type Row = (&'static str, &'static str, &'static str, [&'static [&'static str]; 4]);

const NONE: &[&str] = &[];
const PEERS: [&[&str]; 4] = [&["peers.secret"]; 4];
const PREVIOUS: [&[&str]; 4] = [&["peers.previous_secret"]; 4];
const REVISIONS: [&[&str]; 4] = [NONE, &["revisions.secret"], &["revisions.secret"], NONE];
const PEPPER: [&[&str]; 4] = [NONE, &["identity_store.pepper"], NONE, NONE];
const SECOND: [&[&str]; 4] = [NONE, &["identity_store.second_pepper"], NONE, NONE];
const DATABASE: [&[&str]; 4] = [NONE, &["identity_store.database"], NONE, NONE];
const TABLES: [&[&str]; 4] = [NONE, NONE, NONE, &["fluent_pusher.database"]];
const CACHE: [&[&str]; 4] = [NONE, NONE, &["role_resolver.redis.secret"], NONE];
const GATEWAY_TLS: [&[&str]; 4] = [&["gateway.tls"], NONE, NONE, NONE];
const BASIC: [&[&str]; 4] = [&["gateway.basic"], NONE, NONE, NONE];
const SECRET: &str = "secret = { file = 'DIR/secret' }";
const SHORT: &str = "secret = { file = 'DIR/short' }";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Parts know each other by a secret, and trust no short one.
    ("peers", SECRET, "", PEERS),
    ("peers", SECRET, SHORT, PEERS),
    ("peers", "previous_secret = { file = 'DIR/secret' }", "previous_secret = { file = 'DIR/short' }", PREVIOUS),
    ("peers", "previous_secret = { file = 'DIR/secret' }", "", [NONE; 4]),
    // Revisions and bearer tokens are good by their keys.
    ("revisions", SECRET, "", REVISIONS),
    ("revisions", SECRET, SHORT, REVISIONS),
    ("identity_store", "pepper = { file = 'DIR/secret' }", "", PEPPER),
    ("identity_store", "pepper = { file = 'DIR/secret' }", "pepper = { file = 'DIR/short' }", PEPPER),
    ("identity_store", "pepper = { file = 'DIR/secret' }", "pepper = { file = 'DIR/secret' }\nsecond_pepper = { file = 'DIR/short' }", SECOND),
    ("identity_store", "pepper = { file = 'DIR/secret' }", "second_pepper = { file = 'DIR/secret' }", PEPPER),
    ("role_resolver", "redis.secret = { file = 'DIR/secret' }", "", CACHE),
    ("role_resolver", "redis.secret = { file = 'DIR/secret' }", "redis.secret = { file = 'DIR/short' }", CACHE),
    ("role_resolver", "redis.url = { file = 'DIR/redis' }", "", [NONE; 4]),
    // Where data are kept.
    ("identity_store", "database = { file = 'DIR/database' }", "", DATABASE),
    ("identity_store", "database = { file = 'DIR/database' }", "database = 'postgres://me:canary@db/identity'", DATABASE),
    ("identity_store", "database = { file = 'DIR/database' }", "database = 'postgres://me@db/identity'", [NONE; 4]),
    ("fluent_pusher", "database = { file = 'DIR/database' }", "", TABLES),
    // What cannot be read is wrong for all, whoever needs it.
    ("peers", SECRET, "secret = { value = 'canary-canary-canary-canary-canary' }", PEERS),
    ("peers", SECRET, "secret = 'canary-canary-canary-canary-canary'", PEERS),
    ("identity_store", "pepper = { file = 'DIR/secret' }", "pepper = { file = 'DIR/nowhere' }", [&["identity_store.pepper"]; 4]),
    ("fluent_pusher", "database = { file = 'DIR/database' }", "database = 'postgres://me:canary@db/pusher'", [&["fluent_pusher.database"]; 4]),
    // HTTP Basic is for development, on one machine.
    ("gateway", "listen = '127.0.0.1:8080'", "basic = true", BASIC),
    ("gateway", "listen = '127.0.0.1:8080'", "basic = true\n[process]\nmode = 'development'", [NONE; 4]),
    ("gateway", "listen = '127.0.0.1:8080'", "listen = '0.0.0.0:8080'\nplaintext = 'allowed'\nbasic = true\n[process]\nmode = 'development'", BASIC),
    // Beyond one machine everything is encrypted, by us or by somebody else.
    ("gateway", "listen = '127.0.0.1:8080'", "listen = '0.0.0.0:8080'", GATEWAY_TLS),
    ("gateway", "listen = '127.0.0.1:8080'", "listen = '0.0.0.0:8080'\nplaintext = 'allowed'", [NONE; 4]),
    ("identity_store", "listen = '127.0.0.1:9091'", "listen = '0.0.0.0:9091'", [NONE, &["peers.plaintext"], NONE, NONE]),
    ("role_resolver", "listen = '127.0.0.1:9092'", "listen = '0.0.0.0:9092'", [NONE, NONE, &["peers.plaintext"], NONE]),
    ("fluent_pusher", "listen = '127.0.0.1:9093'", "listen = '0.0.0.0:9093'", [NONE, NONE, NONE, &["peers.plaintext"]]),
    ("fluent_pusher", "listen = '127.0.0.1:9093'", "listen = '0.0.0.0:9093'\n[peers]\nplaintext = 'allowed'\nsecret = { file = 'DIR/secret' }", [NONE; 4]),
    ("gateway", "identity_store.uri = 'http://127.0.0.1:9091'", "identity_store.uri = 'https://store:9091'", [&["gateway.identity_store.tls"], NONE, NONE, NONE]),
    ("gateway", "role_resolver.uri = 'http://127.0.0.1:9092'", "role_resolver.uri = 'https://roles:9092'", [&["gateway.role_resolver.tls"], NONE, NONE, NONE]),
    ("role_resolver", "identity_store.uri = 'http://127.0.0.1:9091'", "identity_store.uri = 'https://store:9091'", [NONE, NONE, &["role_resolver.identity_store.tls"], NONE]),
    ("fluent_pusher", "identity_store.uri = 'http://127.0.0.1:9091'", "identity_store.uri = 'https://store:9091'", [NONE, NONE, NONE, &["fluent_pusher.identity_store.tls"]]),
    ("fluent_pusher", "role_resolver.uri = 'http://127.0.0.1:9092'", "role_resolver.uri = 'https://roles:9092'", [NONE, NONE, NONE, &["fluent_pusher.role_resolver.tls"]]),
    // Files of TLS that are not there are told with all the rest.
    ("gateway", "listen = '127.0.0.1:8080'", "tls = { certificate_file = 'DIR/nowhere', key_file = 'DIR/nowhere' }", [&["gateway.tls.certificate_file", "gateway.tls.key_file"], NONE, NONE, NONE]),
    ("identity_store", "listen = '127.0.0.1:9091'", "tls = { certificate_file = 'DIR/nowhere', key_file = 'DIR/secret' }", [NONE, &["identity_store.tls.certificate_file", "identity_store.tls.key_file"], NONE, NONE]),
    ("role_resolver", "listen = '127.0.0.1:9092'", "tls = { certificate_file = 'DIR/nowhere', key_file = 'DIR/nowhere' }", [NONE, NONE, &["role_resolver.tls.certificate_file", "role_resolver.tls.key_file"], NONE]),
    ("fluent_pusher", "listen = '127.0.0.1:9093'", "tls = { certificate_file = 'DIR/nowhere', key_file = 'DIR/nowhere' }", [NONE, NONE, NONE, &["fluent_pusher.tls.certificate_file", "fluent_pusher.tls.key_file"]]),
    ("gateway", "identity_store.uri = 'http://127.0.0.1:9091'", "identity_store = { uri = 'https://store:9091', tls.ca_file = 'DIR/nowhere' }", [&["gateway.identity_store.tls.ca_file"], NONE, NONE, NONE]),
    // A revoked token is refused in time.
    ("gateway", "listen = '127.0.0.1:8080'", "limits.cache_time = '11s'", [&["gateway.limits.cache_time"], NONE, NONE, NONE]),
    ("role_resolver", "listen = '127.0.0.1:9092'", "token_ttl = '6s'", [NONE, NONE, &["role_resolver.token_ttl"], NONE]),
];

fn mistakes<P: Checked>(path: &Path) -> Vec<String> {
    match P::read(Some(path)) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            assert!(!errors.to_string().contains("canary"), "a secret is told: {errors}");
            errors.0.into_iter().map(|problem| problem.key).collect()
        }
    }
}

/// The section changed in `SOUND`. The `[peers]` of a change takes the place of the one that is there.
fn changed(section: &str, from: &str, to: &str) -> String {
    let mut sections: Vec<String> = SOUND.split_inclusive('\n').fold(Vec::new(), |mut all, line| {
        match all.last_mut() {
            Some(last) if !line.starts_with('[') => last.push_str(line),
            _ => all.push(line.to_owned()),
        }
        all
    });
    if to.contains("[peers]") {
        sections.retain(|one| !one.starts_with("[peers]"));
    }
    let one = sections.iter_mut().find(|one| one.starts_with(&format!("[{section}]"))).unwrap();
    // The line itself, and none that ends like it.
    let line = format!("\n{from}\n");
    assert_eq!(one.matches(&line).count(), 1, "[{section}] {from}");
    // Sections of its own come last.
    let (here, after) = to.split_once("\n[").map_or((to, String::new()), |(here, after)| (here, format!("[{after}\n")));
    *one = one.replace(&line, &format!("\n{here}\n"));
    sections.push(after);
    sections.concat()
}

#[test]
fn no_part_starts_where_a_setting_of_authentication_is_left_out_or_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("secret", "0123456789abcdef0123456789abcdef");
    write("short", "0123456789abcdef0123456789abcde");
    write("database", "postgres://me:canary@db/rolecall");
    write("redis", "redis://:canary@redis:6379/");
    let path = folder.path().join("rolecall.toml");
    let found = |text: &str| {
        std::fs::write(&path, text.replace("DIR", &folder.path().display().to_string())).unwrap();
        [
            mistakes::<Gateway>(&path),
            mistakes::<IdentityStore>(&path),
            mistakes::<RoleResolver>(&path),
            mistakes::<FluentPusher>(&path),
        ]
    };
    assert_eq!(found(SOUND), [const { Vec::<String>::new() }; 4]);
    for (section, from, to, expected) in ROWS {
        assert_eq!(&found(&changed(section, from, to)), expected, "[{section}] {from} -> {to}");
    }
}
