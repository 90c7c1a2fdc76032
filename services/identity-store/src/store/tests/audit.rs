//! What the audit trail says of a change: who, when, what, to whom, and the names of what changed, never a value.

use domain::revision::Revision;
use sql::params;

use super::fixture::{Fixture, document, each};
use crate::Failure;
use crate::model::{Actor, GroupUpdate};

/// An entry: revision, token, request, operation, object, names of attributes.
type Told = (Option<i64>, String, String, String, String, Vec<String>);

/// The trail, in order.
async fn trail(f: &Fixture) -> Vec<Told> {
    const TRAIL: &str = "SELECT revision, token_id, request_id, operation, object, attributes, at FROM audit \
         WHERE tenant = $1 ORDER BY id";
    let (tenant, now) = (f.tenant.clone(), f.clock.now());
    f.store
        .database
        .read(move |tx| {
            Box::pin(async move {
                let mut told = Vec::new();
                for row in tx.rows(TRAIL, params![tenant.as_str()]).await? {
                    assert_eq!(row.int(6)?, now.0);
                    let text = |column| row.text(column).map(str::to_owned);
                    let attributes = serde_json::from_str(row.text(5)?).unwrap();
                    told.push((row.maybe_int(0)?, text(1)?, text(2)?, text(3)?, text(4)?, attributes));
                }
                Ok::<_, Failure>(told)
            })
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn each_change_is_told_with_who_made_it_and_what_it_changed() {
    each(async |f| {
        let actor = |request: &str| Actor { token_id: "token-7".into(), request_id: request.into() };
        let (store, tenant) = (&f.store, &f.tenant);
        let before = trail(f).await;
        assert_eq!(before.iter().map(|told| told.3.as_str()).collect::<Vec<_>>(), ["tenant.create"]);

        let made = store.create_user(tenant, actor("1"), document("ann", &["A"]).into()).await.unwrap();
        let ann = made.value.id.to_string();
        let titled = r#"{"userName":"ann","active":false,"title":"secret","roles":[{"value":"A"}]}"#;
        store.replace_user(tenant, actor("2\r\nx"), &ann, Revision(0), titled.into()).await.unwrap();
        let staff = r#"{"displayName":"staff"}"#;
        let members = [ann.clone()];
        let made = store.create_group(tenant, actor("3"), staff.into(), &members, false).await.unwrap();
        let staff = made.value.id.to_string();
        let people = br#"{"displayName":"people"}"#.to_vec();
        let update = GroupUpdate { document: Some(people), ..GroupUpdate::default() };
        store.update_group(tenant, actor("4"), &staff, update).await.unwrap();
        let update = GroupUpdate { remove: members.into(), ..GroupUpdate::default() };
        store.update_group(tenant, actor("5"), &staff, update.clone()).await.unwrap();
        // What changes nothing and what is refused says nothing.
        store.update_group(tenant, actor("6"), &staff, update).await.unwrap();
        let taken = store.create_user(tenant, actor("7"), document("ANN", &[]).into()).await;
        assert_eq!(taken, Err(Failure::NameTaken { attribute: "userName" }));
        store.delete_group(tenant, actor("8"), &staff, Revision(0)).await.unwrap();
        store.delete_user(tenant, actor("9"), &ann, Revision(0)).await.unwrap();

        let expected = [
            ("1", "user.create", &ann, &["active", "roles", "userName"][..]),
            ("2x", "user.replace", &ann, &["active", "title"]),
            ("3", "group.create", &staff, &["displayName", "members"]),
            ("4", "group.update", &staff, &["displayName"]),
            ("5", "group.update", &staff, &["members"]),
            ("8", "group.delete", &staff, &[]),
            ("9", "user.delete", &ann, &[]),
        ];
        let told = trail(f).await.split_off(before.len());
        assert_eq!(told.len(), expected.len());
        for ((number, told), (request, operation, object, attributes)) in told.into_iter().enumerate().zip(expected) {
            let attributes: Vec<_> = attributes.iter().map(ToString::to_string).collect();
            let revision = i64::try_from(number + 1).unwrap();
            let (request, operation) = (request.to_owned(), operation.to_owned());
            assert_eq!(told, (Some(revision), "token-7".to_owned(), request, operation, object.clone(), attributes));
        }
    })
    .await;
}
