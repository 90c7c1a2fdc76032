//! Generates the contracts' Rust code and the descriptor set that gRPC reflection serves. No `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 9] = [
    "rolecall/admin/v1/admin.proto",
    "rolecall/common/v1/common.proto",
    "rolecall/identity/v1/access.proto",
    "rolecall/identity/v1/feed.proto",
    "rolecall/identity/v1/groups.proto",
    "rolecall/identity/v1/tokens.proto",
    "rolecall/identity/v1/users.proto",
    "rolecall/push/v1/push.proto",
    "rolecall/roles/v1/roles.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=rolecall");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("rolecall.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
