//! Generates the contracts' Rust code and the descriptor set that gRPC reflection serves. No `protoc` is needed.

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;
use prost_build::{Config, Service, ServiceGenerator};

const FILES: [&str; 10] = [
    "rolecall/admin/v1/admin.proto",
    "rolecall/common/v1/common.proto",
    "rolecall/identity/v1/access.proto",
    "rolecall/identity/v1/feed.proto",
    "rolecall/identity/v1/groups.proto",
    "rolecall/identity/v1/lists.proto",
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
    let services = Services(tonic_prost_build::configure().service_generator());
    Config::new().bytes(["."]).service_generator(Box::new(services)).compile_fds(descriptors)?;
    Ok(())
}

/// tonic's code, and for every service of unary calls alone what `anywhere!` makes of it.
struct Services(Box<dyn ServiceGenerator>);

impl ServiceGenerator for Services {
    fn generate(&mut self, service: Service, out: &mut String) {
        if service.methods.iter().all(|method| !method.client_streaming && !method.server_streaming) {
            let Service { name, proto_name, package, methods, .. } = &service;
            let module = snake(name);
            let _ = writeln!(out, "crate::anywhere::anywhere!({module}_server {name} {module}_client {name}Client {{");
            for method in methods {
                let (function, asked, answer) = (&method.name, &method.input_type, &method.output_type);
                let path = format!("/{package}.{proto_name}/{}", method.proto_name);
                let _ = writeln!(out, "    {function}({asked}) -> {answer} = {path:?};");
            }
            out.push_str("});\n");
        }
        self.0.generate(service, out);
    }

    fn finalize(&mut self, out: &mut String) {
        self.0.finalize(out);
    }

    fn finalize_package(&mut self, package: &str, out: &mut String) {
        self.0.finalize_package(package, out);
    }
}

/// The module tonic puts a service in begins so.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
