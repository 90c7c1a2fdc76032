//! The rules that keep the parts apart, checked on the files themselves.
#![allow(clippy::unwrap_used, reason = "a failed look at a file is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every crate, by its folder, with the other crates of ours it uses outside its tests.
fn crates() -> BTreeMap<String, Vec<String>> {
    let ours = ["proto", "scim", "gateway", "domain", "sql", "runtime", "identity-store", "role-resolver"];
    let ours = [&ours[..], &["fluent-pusher", "fluent-sim", "harness", "store-suite", "servers"]].concat();
    let mut found = BTreeMap::new();
    for manifest in files("Cargo.toml") {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let folder = relative(manifest.parent().unwrap());
        let uses = text.split_once("[dependencies]").map_or("", |(_, rest)| rest.split("\n[").next().unwrap_or(""));
        let names = uses.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        found.insert(folder, names.filter(|name| ours.contains(name)).map(str::to_owned).collect());
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Every file of the repository whose name ends so.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn parts_know_each_other_through_contracts_alone() {
    let crates = crates();
    let uses = |folder: &str| crates[folder].clone();
    assert_eq!(uses("services/domain"), [""; 0], "domain stands alone");
    assert!(uses("gateway/scim").iter().all(|name| name == "domain"), "scim knows at most domain");
    assert_eq!(uses("proto"), [""; 0]);
    assert_eq!(uses("services/sql"), [""; 0]);
    assert_eq!(uses("services/runtime"), ["proto"], "runtime carries calls, so it knows their form");
    let parts = ["identity-store", "role-resolver", "fluent-pusher", "gateway"];
    for folder in ["services/identity-store", "services/role-resolver", "services/fluent-pusher", "gateway/server"] {
        for name in uses(folder) {
            assert!(!parts.contains(&name.as_str()), "{folder} uses {name}");
        }
    }
}

#[test]
fn one_crate_knows_database_drivers_and_none_of_the_pure_ones_knows_the_network() {
    for manifest in files("Cargo.toml") {
        let folder = relative(manifest.parent().unwrap());
        let text = std::fs::read_to_string(&manifest).unwrap();
        let text = text.split("[dev-dependencies]").next().unwrap();
        if !["", "services/sql", "tests/harness", "tests/servers", "tests/bench"].contains(&folder.as_str()) {
            for driver in ["rusqlite", "tokio-postgres", "deadpool-postgres", "sqlx"] {
                assert!(!text.contains(&format!("\n{driver}")), "{folder} uses {driver}");
            }
        }
        if ["services/domain", "gateway/scim"].contains(&folder.as_str()) {
            for network in ["tonic", "hyper", "axum", "tokio"] {
                assert!(!text.contains(&format!("\n{network}")), "{folder} uses {network}");
            }
        }
    }
}

#[test]
fn only_conversions_know_contracts_and_domain_both() {
    for folder in [
        "services/identity-store/src",
        "services/role-resolver/src",
        "services/fluent-pusher/src",
        "gateway/server/src",
    ] {
        for file in files(".rs") {
            let path = relative(&file);
            // The edges of a part: its conversions, its clients of the other parts, what it serves, how it is put together.
            let edges = ["/convert", "/grpc", "/peers.rs", "/service.rs", "/app.rs", "/lib.rs"];
            let tests = ["/tests", "/testing", "/worker/histories.rs"];
            let exempt = edges.iter().chain(&tests).any(|part| path.contains(part));
            if !path.starts_with(folder) || exempt {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!(knows(&text, "proto") && knows(&text, "domain")), "{path} knows contracts and domain both");
        }
    }
}

/// Whether a source names something of that crate outside its comments: `name::` with no longer path or word before it.
fn knows(source: &str, name: &str) -> bool {
    let mut code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let inside = |before: char| before.is_alphanumeric() || ['_', ':'].contains(&before);
    code.any(|line| {
        line.match_indices(&format!("{name}::")).any(|(at, _)| {
            let before = &line[..at];
            !before.ends_with(inside) || (before.ends_with("::") && !before.trim_end_matches(':').ends_with(inside))
        })
    })
}

#[test]
fn whoever_names_a_crate_knows_it() {
    let named = ["use proto::x;", "fn a(b: proto::X)", "Vec<proto::X>", "f(proto::x())", "&proto::X", "::proto::X"];
    for source in named.into_iter().chain(["use {proto::x, y};", "<proto::X as Y>::z", "x!{proto::y}", "-proto::X"]) {
        assert!(knows(source, "proto"), "{source}");
    }
    for source in ["// proto::x", "    /// [`proto::x`]", "scim::proto::x", "my_proto::x", "proto.x", "prototype::x"] {
        assert!(!knows(source, "proto"), "{source}");
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for file in files(".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let path = relative(&file);
        let is_test_module = path.ends_with("tests.rs") || path.contains("/tests/");
        assert!(text.starts_with("//!") || is_test_module, "{path} begins without saying what it is for");
    }
}
