//! The catalogue of the development account: two retailers, their places, and the roles people have there.

use crate::model::{Id, Location, Retailer, Role};

/// The id of the first retailer.
pub(crate) const FIRST_RETAILER: Id = Id(134);
const SECOND_RETAILER: Id = Id(271);

/// Everything an API user may be allowed to do with what the schema shows.
const ALL_PERMISSIONS: &[&str] = &[
    "LOCATION_VIEW",
    "PERMISSION_VIEW",
    "RETAILER_VIEW",
    "ROLEPERMISSION_UPDATE",
    "ROLE_CREATE",
    "ROLE_UPDATE",
    "ROLE_VIEW",
    "SETTING_CREATE",
    "SETTING_UPDATE",
    "SETTING_VIEW",
    "USER_CREATE",
    "USER_UPDATE",
    "USER_VIEW",
];

pub(crate) fn roles() -> Vec<Role> {
    let roles: &[(&str, &[&str])] = &[
        ("ADMIN", ALL_PERMISSIONS),
        ("CUSTOMER_COLLECTION_MANAGER", &["LOCATION_VIEW", "ORDER_UPDATE", "ORDER_VIEW"]),
        ("CUSTOMER_SERVICE", &["CUSTOMER_VIEW", "ORDER_UPDATE", "ORDER_VIEW"]),
        ("Fulfillment_Associate", &["FULFILMENT_UPDATE", "FULFILMENT_VIEW", "LOCATION_VIEW"]),
        ("GRAPHQL", &["USER_VIEW"]),
        ("Inventory_Viewer", &["INVENTORY_VIEW", "LOCATION_VIEW"]),
        ("Payroll_Read_Only", &["USER_VIEW"]),
        ("RETURNS_MANAGER", &["RETURN_CREATE", "RETURN_UPDATE", "RETURN_VIEW"]),
        ("ROLE_MANAGER", &["PERMISSION_VIEW", "ROLEPERMISSION_UPDATE", "ROLE_CREATE", "ROLE_UPDATE", "ROLE_VIEW"]),
        ("STORE", &["LOCATION_VIEW", "ORDER_VIEW"]),
        ("STORE_ASSISTANT", &["LOCATION_VIEW"]),
        ("STORE_MANAGER", &["LOCATION_UPDATE", "LOCATION_VIEW", "ORDER_UPDATE", "ORDER_VIEW", "USER_VIEW"]),
        ("USER_MANAGER", &["ROLE_VIEW", "USER_CREATE", "USER_UPDATE", "USER_VIEW"]),
        ("WAREHOUSE_ASSOCIATE", &["FULFILMENT_UPDATE", "FULFILMENT_VIEW", "INVENTORY_VIEW"]),
        ("WAREHOUSE_SHIFT_LEAD", &["FULFILMENT_UPDATE", "FULFILMENT_VIEW", "INVENTORY_UPDATE", "INVENTORY_VIEW"]),
    ];
    (1..)
        .zip(roles)
        .map(|(id, (name, permissions))| Role {
            id: Id(id),
            name: (*name).to_owned(),
            permissions: permissions.iter().map(|&permission| permission.to_owned()).collect(),
        })
        .collect()
}

pub(crate) fn retailers() -> Vec<Retailer> {
    [(FIRST_RETAILER, "LAKESIDE", "Lakeside Outfitters"), (SECOND_RETAILER, "HARBOUR_HOME", "Harbour & Home")]
        .into_iter()
        .map(|(id, reference, name)| Retailer {
            id,
            reference: reference.to_owned(),
            status: Some("ACTIVE".to_owned()),
            trading_name: Some(name.to_owned()),
        })
        .collect()
}

pub(crate) fn locations() -> Vec<Location> {
    [
        (1_023_434, "CHIC-01", "WAREHOUSE", "Chicago warehouse", FIRST_RETAILER),
        (1_023_435, "CHIC-02", "STORE", "Chicago, State Street", FIRST_RETAILER),
        (1_023_436, "NYC-05", "STORE", "New York, SoHo", FIRST_RETAILER),
        (1_023_437, "DENVER_9", "STORE", "Denver, Union Station", FIRST_RETAILER),
        (5_000_236, "5000299_SYD", "STORE", "Sydney, Pitt Street", SECOND_RETAILER),
        (5_000_237, "5000300_MEL", "STORE", "Melbourne, Bourke Street", SECOND_RETAILER),
        (5_000_238, "WH_SYD_WEST", "WAREHOUSE", "Western Sydney warehouse", SECOND_RETAILER),
    ]
    .into_iter()
    .map(|(id, reference, kind, name, retailer)| Location {
        id: Id(id),
        reference: Some(reference.to_owned()),
        kind: Some(kind.to_owned()),
        status: Some("ACTIVE".to_owned()),
        name: Some(name.to_owned()),
        retailer: Some(retailer),
    })
    .collect()
}
