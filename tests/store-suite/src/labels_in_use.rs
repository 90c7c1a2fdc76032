//! Which labels are in use.

use proto::identity::v1::ListLabelsInUseRequest;
use runtime::error::{Error, Reason};

use crate::Backend;
use crate::documents::{group, user};
use crate::tenant::Tenant;

async fn in_use(tenant: &Tenant, starts_with: &str, limit: u32) -> Result<Vec<String>, Error> {
    in_use_with(tenant, &[starts_with], limit).await
}

async fn in_use_with(tenant: &Tenant, prefixes: &[&str], limit: u32) -> Result<Vec<String>, Error> {
    let [starts_with, rest @ ..] = prefixes else { panic!("one at least") };
    let request = ListLabelsInUseRequest {
        tenant: tenant.name.clone(),
        starts_with: (*starts_with).to_owned(),
        limit,
        or_starts_with: rest.iter().map(ToString::to_string).collect(),
    };
    Ok(tenant.access().list_labels_in_use(request).await.map_err(Error::from)?.into_inner().labels)
}

/// Of users, groups and the operators' table, in order of their bytes; the name of a group is none, nor is another
/// tenant's label, nor one that nobody holds any longer.
pub async fn each_label_in_use_is_listed_once(backend: &Backend) {
    let (tenant, other) = (Tenant::new(backend).await, Tenant::new(backend).await);
    let labels = ["AGENT_1_B", "AGENT_1_A", "agent_1_A", "x", "ä"];
    let ann = tenant.user(&user("ann").labels(&labels)).await;
    tenant.user(&user("bob").labels(&["AGENT_1_A", "AGENT_10_A"])).await;
    tenant.group(&group("AGENT_7_NAME").labels(&["AGENT_1_A", "AGENT_2_A"]), &[]).await;
    other.user(&user("eve").labels(&["AGENT_1_C"])).await;
    let asked = async |starts_with: &str, limit| in_use(&tenant, starts_with, limit).await.unwrap();
    let all = ["AGENT_10_A", "AGENT_1_A", "AGENT_1_B", "AGENT_2_A", "agent_1_A", "x", "ä"];
    assert_eq!(asked("", 0).await, all);
    assert_eq!(asked("AGENT_1", 0).await, all[..3]);
    assert_eq!(asked("", 2).await, all[..2]);
    assert_eq!(asked("ä", 9).await, ["ä"]);
    for nothing in ["AGENT_3", "\0", "\u{10FFFF}", "%", "agent_1_A ", "' OR 1=1 --"] {
        assert!(asked(nothing, 0).await.is_empty(), "{nothing:?}");
    }
    let any = async |prefixes: &[&str], limit| in_use_with(&tenant, prefixes, limit).await.unwrap();
    assert_eq!(any(&["x", "AGENT_1_", "AGENT_1_B", "\0"], 0).await, ["AGENT_1_A", "AGENT_1_B", "x"]);
    assert_eq!(any(&["x", "AGENT_1_", "agent"], 2).await, ["AGENT_1_A", "AGENT_1_B"]);
    assert_eq!(any(&["AGENT_2", ""], 0).await, all);
    assert_eq!(in_use_with(&tenant, &["x"; 34], 0).await.unwrap_err().reason(), Reason::TOO_LARGE);
    // What stands for a text that no index can hold is nobody's label.
    let long = "x".repeat(600);
    tenant.user(&user("cid").labels(&[&long, "AGENT_3\0", "AGENT_3\u{1}"])).await;
    assert_eq!(asked("", 0).await, all);
    tenant.delete_user(&ann, 0).await.unwrap();
    assert_eq!(asked("", 0).await, ["AGENT_10_A", "AGENT_1_A", "AGENT_2_A"]);
}

/// The longest labels there are, 20,000 of them, would be more than a message may be.
pub async fn of_labels_in_use_no_more_are_told_than_a_message_holds(backend: &Backend) {
    let tenant = Tenant::new(backend).await;
    for name in 0..5 {
        let labels: Vec<_> = (0..1_000).map(|n| format!("{name}{n:03}{}", "\u{10400}".repeat(496))).collect();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        for (half, labels) in labels.chunks(500).enumerate() {
            tenant.user(&user(&format!("{name}-{half}")).labels(labels)).await;
        }
    }
    let told = in_use(&tenant, "", 0).await.unwrap();
    assert_eq!(told.len(), (8 << 20) / (4 + 496 * 4));
}
