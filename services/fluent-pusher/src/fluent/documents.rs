//! The GraphQL documents, as files. What varies travels in variables alone: no document is ever built from text.

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document {
    /// Its name: the `operationName` of the request, and what it is called in metrics.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
    /// Whether it may change something, so that a lost answer leaves a doubt.
    pub(crate) writes: bool,
}

macro_rules! document {
    ($name:literal, $file:literal $(, $fragment:literal)?) => {
        Document {
            name: $name,
            text: concat!(include_str!(concat!("documents/", $file)) $(, include_str!(concat!("documents/", $fragment)))?),
            writes: false,
        }
    };
}

const fn writing(document: Document) -> Document {
    Document { writes: true, ..document }
}

pub(crate) const USER: Document = document!("User", "user.graphql", "account.graphql");
pub(crate) const USER_BY_ID: Document = document!("UserById", "user_by_id.graphql", "account.graphql");
pub(crate) const CREATE_USER: Document = writing(document!("CreateUser", "create_user.graphql", "account.graphql"));
pub(crate) const UPDATE_USER: Document = writing(document!("UpdateUser", "update_user.graphql", "account.graphql"));
pub(crate) const REMOVE_ROLES: Document = writing(document!("RemoveRoles", "remove_roles.graphql"));
pub(crate) const ROLES: Document = document!("Roles", "roles.graphql");
pub(crate) const RETAILERS: Document = document!("Retailers", "retailers.graphql");
pub(crate) const LOCATIONS: Document = document!("Locations", "locations.graphql");
pub(crate) const ROLE: Document = document!("Role", "role.graphql");
pub(crate) const RETAILER_BY_ID: Document = document!("RetailerById", "retailer_by_id.graphql");
pub(crate) const LOCATION_BY_ID: Document = document!("LocationById", "location_by_id.graphql");
pub(crate) const SETTINGS: Document = document!("Settings", "settings.graphql");
pub(crate) const SETTING_BY_ID: Document = document!("SettingById", "setting_by_id.graphql");

#[cfg(test)]
mod tests {
    use apollo_compiler::{ExecutableDocument, Schema};

    use super::*;

    const ALL: [Document; 13] = [
        USER,
        USER_BY_ID,
        CREATE_USER,
        UPDATE_USER,
        REMOVE_ROLES,
        ROLES,
        RETAILERS,
        LOCATIONS,
        ROLE,
        RETAILER_BY_ID,
        LOCATION_BY_ID,
        SETTINGS,
        SETTING_BY_ID,
    ];

    #[test]
    fn every_document_is_one_operation_that_fluents_schema_knows() {
        let schema = include_str!("../../../fluent-sim/schema.graphql");
        let schema = Schema::parse_and_validate(schema, "schema.graphql").expect("the schema is sound");
        for document in ALL {
            let parsed = ExecutableDocument::parse_and_validate(&schema, document.text, document.name)
                .unwrap_or_else(|error| panic!("{}: {}", document.name, error.errors));
            assert_eq!(parsed.operations.len(), 1, "{}", document.name);
            let operation = parsed.operations.get(Some(document.name)).expect("it bears its name");
            assert_eq!(operation.is_mutation(), document.writes, "{}", document.name);
        }
    }
}
