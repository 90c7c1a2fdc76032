//! `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`.

use super::Face;

#[tokio::test]
async fn the_config_states_what_is_served() {
    let face = Face::new();
    let config = face.get("/ServiceProviderConfig").await;
    assert_eq!(config.status, 200);
    assert_eq!(config.body["patch"]["supported"], true);
    assert_eq!(config.body["etag"]["supported"], true);
    assert_eq!(config.body["bulk"]["supported"], false);
    assert_eq!(config.body["meta"]["location"], "http://scim.test/scim/v2/ServiceProviderConfig");
}

#[tokio::test]
async fn every_resource_type_and_schema_that_is_listed_can_be_read() {
    let face = Face::new();
    for list in ["/ResourceTypes", "/Schemas?filter=id+eq+%22x%22"] {
        let listed = face.get(list).await;
        let all = listed.body["Resources"].as_array().unwrap().clone();
        assert_eq!(listed.body["totalResults"], all.len());
        for one in all {
            let path = one["meta"]["location"].as_str().unwrap().split_once("/scim/v2").unwrap().1.to_owned();
            assert_eq!(face.get(&path).await.body, one);
        }
    }
    face.get("/ResourceTypes/Robot").await.is_error(404, None);
    face.get("/Schemas/urn:nobody").await.is_error(404, None);
}

#[tokio::test]
async fn the_public_url_wins_over_the_host_of_the_request() {
    let face = Face::with(&crate::Config { public_url: "https://idm.example.com/".into(), ..crate::Config::default() });
    let config = face.get("/ServiceProviderConfig").await;
    assert_eq!(config.body["meta"]["location"], "https://idm.example.com/scim/v2/ServiceProviderConfig");
}
