//! The schemas served here: RFC 7643's User, enterprise User and Group, and the two extensions of this product.
//!
//! Where the RFC leaves freedom: `roles.value` is case-exact since a label's role part is; `type` carries canonical
//! values everywhere because Microsoft's validator reads them to choose what it sends; a group's `displayName` is
//! required and unique because providers match groups by it; `$ref` is the server's, derived from `value`.

use super::{Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness};

/// URN of the core User schema.
pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core Group schema.
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise extension of User.
pub const ENTERPRISE_USER_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the extension that tells what became of a user in Fluent.
pub const FLUENT_USER_URN: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:User";
/// URN of the extension that gives labels to a group.
pub const FLUENT_GROUP_URN: &str = "urn:ietf:params:scim:schemas:extension:fluent:2.0:Group";

pub(super) const fn attr(name: &'static str, kind: Type, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        multi_valued: false,
        description,
        required: false,
        case_exact: !matches!(kind, Type::String),
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        canonical_values: &[],
        reference_types: &[],
        sub_attributes: &[],
    }
}

pub(super) const fn text(name: &'static str, description: &'static str) -> Attribute {
    attr(name, Type::String, description)
}

const fn complex(name: &'static str, description: &'static str, sub_attributes: &'static [Attribute]) -> Attribute {
    Attribute { sub_attributes, case_exact: false, ..attr(name, Type::Complex, description) }
}

const fn reference(name: &'static str, description: &'static str, types: &'static [&'static str]) -> Attribute {
    Attribute { reference_types: types, ..attr(name, Type::Reference, description) }
}

impl Attribute {
    const fn multi(self) -> Self {
        Self { multi_valued: true, ..self }
    }
    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }
    pub(super) const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }
    const fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }
    pub(super) const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }
    const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }
    const fn write_only(self) -> Self {
        Self { mutability: Mutability::WriteOnly, returned: Returned::Never, ..self }
    }
    const fn returned(self, returned: Returned) -> Self {
        Self { returned, ..self }
    }
    const fn canonical(self, values: &'static [&'static str]) -> Self {
        Self { canonical_values: values, ..self }
    }
}

const DISPLAY: Attribute = text("display", "A name for the value, for people.");
const PRIMARY: Attribute = attr("primary", Type::Boolean, "Whether this is the preferred value; at most one value is.");
pub(super) const fn kind(values: &'static [&'static str]) -> Attribute {
    text("type", "What the value is used for.").canonical(values)
}
const PLACES: &[&str] = &["work", "home", "other"];

/// The attributes every resource has (RFC 7643 section 3.1).
pub static COMMON: &[Attribute] = &[
    reference("schemas", "The URNs of the schemas the resource uses; the server works them out.", &["uri"])
        .multi()
        .returned(Returned::Always),
    text("id", "The server's identifier of the resource.")
        .required()
        .exact()
        .unique()
        .read_only()
        .returned(Returned::Always),
    text("externalId", "The client's identifier of the resource.").exact(),
    complex(
        "meta",
        "When and how the resource was made and changed.",
        &[
            text("resourceType", "The name of the resource type.").exact().read_only(),
            attr("created", Type::DateTime, "When the resource was made.").read_only(),
            attr("lastModified", Type::DateTime, "When the resource last changed.").read_only(),
            reference("location", "The URI of the resource.", &["uri"]).read_only(),
            text("version", "The entity tag of the resource.").exact().read_only(),
        ],
    )
    .read_only(),
];

/// The core User (RFC 7643 section 4.1).
pub static USER: Schema = Schema {
    id: USER_URN,
    name: "User",
    description: "User Account",
    attributes: &[
        text("userName", "The name the user signs in with; compared without regard to case.").required().unique(),
        complex(
            "name",
            "The parts of the user's name.",
            &[
                text("formatted", "The whole name, as it is shown."),
                text("familyName", "The family name."),
                text("givenName", "The given name."),
                text("middleName", "The middle names."),
                text("honorificPrefix", "Titles before the name."),
                text("honorificSuffix", "Titles after the name."),
            ],
        ),
        text("displayName", "The name shown to other people."),
        text("nickName", "The casual way to address the user."),
        reference("profileUrl", "A page about the user.", &["external"]),
        text("title", "The user's position, such as \"Vice President\"."),
        text("userType", "The user's relation to the organisation, such as \"Contractor\"."),
        text("preferredLanguage", "The language the user prefers."),
        text("locale", "The user's default location, for formats of numbers and dates."),
        text("timezone", "The user's time zone."),
        attr("active", Type::Boolean, "Whether the user may work; one who is not loses all access in Fluent."),
        text("password", "Accepted and thrown away: nothing here signs in with it.").exact().write_only(),
        complex(
            "emails",
            "E-mail addresses of the user.",
            &[text("value", "The e-mail address."), DISPLAY, kind(PLACES), PRIMARY],
        )
        .multi(),
        complex(
            "phoneNumbers",
            "Telephone numbers of the user.",
            &[
                text("value", "The telephone number."),
                DISPLAY,
                kind(&["work", "home", "mobile", "fax", "pager", "other"]),
                PRIMARY,
            ],
        )
        .multi(),
        complex(
            "ims",
            "Instant messaging addresses of the user.",
            &[
                text("value", "The address."),
                DISPLAY,
                kind(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo", "other"]),
                PRIMARY,
            ],
        )
        .multi(),
        complex(
            "photos",
            "Pictures of the user.",
            &[
                reference("value", "The URL of the picture.", &["external"]),
                DISPLAY,
                kind(&["photo", "thumbnail", "other"]),
                PRIMARY,
            ],
        )
        .multi(),
        complex(
            "addresses",
            "Postal addresses of the user.",
            &[
                text("formatted", "The whole address, as it is shown."),
                text("streetAddress", "Street, house number and what belongs to them."),
                text("locality", "The city."),
                text("region", "The state or region."),
                text("postalCode", "The postal code."),
                text("country", "The country."),
                kind(PLACES),
                PRIMARY,
            ],
        )
        .multi(),
        complex(
            "groups",
            "The groups the user is in; changed through the groups.",
            &[
                text("value", "The id of the group.").exact().read_only(),
                reference("$ref", "The URI of the group.", &["Group"]).read_only(),
                text("display", "The name of the group.").read_only(),
                text("type", "Whether the membership is direct.").canonical(&["direct", "indirect"]).read_only(),
            ],
        )
        .multi()
        .read_only(),
        complex(
            "entitlements",
            "Things the user has a right to; kept, but they give nothing in Fluent.",
            &[text("value", "The entitlement.").exact(), DISPLAY, kind(PLACES), PRIMARY],
        )
        .multi(),
        complex(
            "roles",
            "Role labels, [CONTEXT_TYPE]_[CONTEXT_ID]_[ROLE]: what the user may do in Fluent.",
            &[
                text("value", "The role label.").exact(),
                DISPLAY,
                kind(&["WindowsAzureActiveDirectoryRole", "work", "other"]),
                PRIMARY,
            ],
        )
        .multi(),
        complex(
            "x509Certificates",
            "Certificates of the user.",
            &[attr("value", Type::Binary, "The certificate, DER in base64."), DISPLAY, kind(PLACES), PRIMARY],
        )
        .multi(),
    ],
};

/// The enterprise extension of User (RFC 7643 section 4.3).
pub static ENTERPRISE_USER: Schema = Schema {
    id: ENTERPRISE_USER_URN,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attributes: &[
        text("employeeNumber", "The number the organisation gave the user."),
        text("costCenter", "The cost centre."),
        text("organization", "The organisation."),
        text("division", "The division."),
        text("department", "The department."),
        complex(
            "manager",
            "The user's manager.",
            &[
                text("value", "The id of the manager's user.").exact(),
                reference("$ref", "The URI of the manager's user.", &["User"]).read_only(),
                text("displayName", "The manager's name.").read_only(),
            ],
        ),
    ],
};

/// What became of the user in Fluent; written by the server alone.
pub static FLUENT_USER: Schema = Schema {
    id: FLUENT_USER_URN,
    name: "FluentUser",
    description: "The user's account in Fluent",
    attributes: &[
        text("state", "Where the user stands: what Fluent holds, or why it does not.")
            .exact()
            .read_only()
            .canonical(&["pending", "provisioned", "inactive", "held", "failed"]),
        text("reasons", "Why the user is held, or why the last push failed.").multi().read_only(),
        text("fluentUserId", "The id of the account in Fluent.").exact().read_only(),
        attr("pushedAt", Type::DateTime, "When Fluent last confirmed the account.").read_only(),
        complex(
            "effectiveRoles",
            "The grants the user's labels amount to.",
            &[
                text("value", "The Fluent role.").exact().read_only(),
                text("contextType", "Where the role holds.")
                    .exact()
                    .read_only()
                    .canonical(&["ACCOUNT", "RETAILER", "AGENT"]),
                text("contextId", "The id of the retailer or location; 0 for the account.").exact().read_only(),
                text("display", "The label or labels it came from.").read_only(),
            ],
        )
        .multi()
        .read_only()
        .returned(Returned::Request),
    ],
};

/// The core Group (RFC 7643 section 4.2).
pub static GROUP: Schema = Schema {
    id: GROUP_URN,
    name: "Group",
    description: "Group",
    attributes: &[
        text("displayName", "The name of the group; compared without regard to case.").required().unique(),
        complex(
            "members",
            "The users and groups in the group.",
            &[
                text("value", "The id of the member.").exact().immutable(),
                reference("$ref", "The URI of the member; only its value says who it is.", &["User", "Group"])
                    .immutable(),
                text("display", "The member's name.").read_only(),
                text("type", "What the member is.").canonical(&["User", "Group"]).immutable(),
            ],
        )
        .multi(),
    ],
};

/// The labels a group gives to its members.
pub static FLUENT_GROUP: Schema = Schema {
    id: FLUENT_GROUP_URN,
    name: "FluentGroup",
    description: "What the group's members may do in Fluent",
    attributes: &[complex(
        "roles",
        "Role labels, [CONTEXT_TYPE]_[CONTEXT_ID]_[ROLE], which every member gets.",
        &[
            text("value", "The role label.").exact(),
            DISPLAY,
            kind(&["WindowsAzureActiveDirectoryRole", "work", "other"]),
            PRIMARY,
        ],
    )
    .multi()],
};

/// The resource type of users.
pub static USERS: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "User Account",
    schema: &USER,
    extensions: &[&ENTERPRISE_USER, &FLUENT_USER],
};

/// The resource type of groups.
pub static GROUPS: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "Group",
    schema: &GROUP,
    extensions: &[&FLUENT_GROUP],
};
