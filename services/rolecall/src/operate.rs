//! What operators do from a shell: tenants, their rules and tokens, through identity-store's gRPC.

mod group_labels;

use anyhow::{Context as _, Result, bail};
use domain::clock::{Clock, Timestamp};
use domain::token_age::Ageing;
use proto::admin::v1 as pb;
use proto::admin::v1::admin_service_client::AdminServiceClient;
use runtime::grpc::{Transport, TransportConfig};
use runtime::peer::PeerSecret;
use runtime::telemetry::Metrics;
use runtime::tls::ClientTls;

use crate::cli::{SchemaAction, StoreArgs, TenantAction, TokenAction};

pub(crate) type Admin = AdminServiceClient<Transport>;

fn connect(store: &StoreArgs) -> Result<Admin> {
    let Some(file) = &store.peer_secret_file else {
        bail!("name the file with the parts' secret: --peer-secret-file, or ROLECALL_PEER_SECRET_FILE");
    };
    let secret = std::fs::read_to_string(file).context("reading the parts' secret")?;
    let tls = store.ca_file.clone().map(|ca_file| ClientTls { ca_file, server_name: store.server_name.clone() });
    match (store.store.split_once("://"), &tls) {
        (Some(("https", _)), None) => {
            bail!(
                "name the file of the authorities that sign the parts' certificates: --ca-file, or ROLECALL_STORE_CA_FILE"
            )
        }
        (Some(("http", _)), Some(_)) => {
            bail!("an authority is named, but the address is not encrypted: --store must begin with https://")
        }
        _ => {}
    }
    let config = TransportConfig { uri: store.store.clone(), tls, ..TransportConfig::default() };
    let transport = Transport::connect(&config, &PeerSecret::new(secret.trim_end()), &Metrics::new())?;
    Ok(Admin::new(transport))
}

/// What the store says, without the transport's wrapping.
#[expect(clippy::needless_pass_by_value, reason = "it stands behind `map_err`")]
pub(crate) fn said(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("identity-store answers: {}", status.message())
}

pub(crate) async fn tenant(action: TenantAction, store: StoreArgs) -> Result<()> {
    let mut admin = connect(&store)?;
    match action {
        TenantAction::Create { name, settings } => {
            let mut chosen = proto::common::v1::Settings::default();
            settings.apply(&mut chosen);
            let request = pb::CreateTenantRequest { tenant: name.clone(), settings: Some(chosen) };
            admin.create_tenant(request).await.map_err(said)?;
            println!("tenant {name} is made; `rolecall token issue {name}` makes its first token");
        }
        TenantAction::Settings { name, settings } => {
            let now = admin.get_settings(pb::GetSettingsRequest { tenant: name.clone() }).await.map_err(said)?;
            let mut chosen = now.into_inner().settings.unwrap_or_default();
            settings.apply(&mut chosen);
            let holds = chosen.mass_departures() == proto::common::v1::MassDepartures::Hold;
            let request = pb::PutSettingsRequest { tenant: name.clone(), settings: Some(chosen) };
            if admin.put_settings(request).await.map_err(said)?.into_inner().waits {
                eprintln!("{}", crate::ground::WAITS);
            }
            if !holds {
                crate::held_back::remind(&mut admin, &name).await?;
            }
        }
        TenantAction::GroupLabels { action } => group_labels::run(action, admin).await?,
        TenantAction::List => {
            let answer = admin.list_tenants(pb::ListTenantsRequest {}).await.map_err(said)?;
            for name in answer.into_inner().tenants {
                println!("{name}");
            }
        }
        TenantAction::Schema { action } => schema(action, &mut admin).await?,
        TenantAction::Ground { action } => crate::ground::run(&mut admin, action).await?,
        TenantAction::HeldBack { action } => crate::held_back::run(&mut admin, action).await?,
        TenantAction::Rules { action } => crate::rules::run(&mut admin, action).await?,
    }
    Ok(())
}

async fn schema(action: SchemaAction, admin: &mut Admin) -> Result<()> {
    match action {
        SchemaAction::Put { tenant, extension } => {
            let request = pb::PutExtensionRequest { tenant, extension: Some(extension.read()?) };
            let answer = admin.put_extension(request).await.map_err(said)?;
            println!("{} is defined", answer.into_inner().urn);
        }
        SchemaAction::List { tenant, json } => {
            let answer = admin.get_settings(pb::GetSettingsRequest { tenant }).await.map_err(said)?;
            for pb::Extension { resource_type, schema } in answer.into_inner().extensions {
                let definition: serde_json::Value = serde_json::from_str(&schema).context("reading a definition")?;
                if json {
                    println!("{definition}");
                } else {
                    println!("{resource_type:<8}{}", definition["id"].as_str().unwrap_or_default());
                }
            }
        }
        SchemaAction::Remove { tenant, urn } => {
            admin.remove_extension(pb::RemoveExtensionRequest { tenant, urn }).await.map_err(said)?;
        }
    }
    Ok(())
}

pub(crate) async fn token(action: TokenAction, store: StoreArgs) -> Result<()> {
    let mut admin = connect(&store)?;
    match action {
        TokenAction::Issue { tenant, scopes, days, note } => {
            let request = pb::IssueTokenRequest { tenant, scopes, days, note };
            let answer = admin.issue_token(request).await.map_err(said)?.into_inner();
            eprintln!("token {}, good until {}; it is shown this once:", answer.token_id, when(answer.expires_at_us));
            println!("{}", answer.token);
        }
        TokenAction::List { tenant } => {
            let answer = admin.list_tokens(pb::ListTokensRequest { tenant }).await.map_err(said)?.into_inner();
            let titles = ["id", "scopes", "expires", "last used", "revoked", "warning"];
            let [id, scopes, expires, used, revoked, warning] = titles;
            println!("{id:<14}{scopes:<18}{expires:<28}{used:<28}{revoked:<28}{warning:<21}note");
            let now = Clock::System.now();
            for token in answer.tokens {
                let pb::Token { token_id, scopes, note, created_at_us, expires_at_us, revoked_at_us, last_used_at_us } =
                    token;
                let (scopes, expires) = (scopes.join(","), when(expires_at_us));
                let (used, revoked) = (when(last_used_at_us), when(revoked_at_us));
                let ageing = Ageing::of(Timestamp(created_at_us), Timestamp(expires_at_us), now);
                let warning = ageing.filter(|_| revoked_at_us == 0).map_or_else(|| "-".to_owned(), |it| it.to_string());
                println!("{token_id:<14}{scopes:<18}{expires:<28}{used:<28}{revoked:<28}{warning:<21}{note}");
            }
        }
        TokenAction::Revoke { tenant, id } => {
            let request = pb::RevokeTokenRequest { tenant, token_id: id };
            admin.revoke_token(request).await.map_err(said)?;
        }
    }
    Ok(())
}

pub(crate) fn when(at_us: i64) -> String {
    if at_us == 0 { "-".to_owned() } else { Timestamp(at_us).rfc3339() }
}
