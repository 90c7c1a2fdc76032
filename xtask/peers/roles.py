"""Calls every method of role-resolver as a client that knows nothing of it but its address and a token.

What there is to call, and every message, it learns by reflection. Each method answers what it should and refuses what it
must; a method that is reflected and not called here is a failure.
"""

import json
import os
import urllib.request

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SCIM, TOKEN, ADDRESS = os.environ["SCIM"], os.environ["TOKEN"], os.environ["GRPC"]
LABEL = "AGENT_CHIC-01_WAREHOUSE_ASSOCIATE"
NOBODY = "00000000-0000-0000-0000-000000000000"
# Seconds that anything may take.
PATIENCE = 30

channel = grpc.insecure_channel(ADDRESS)
database = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(database)
METHODS = {
    f"{service}/{method.name}": method
    for service in database.get_services()
    if not service.startswith("grpc.reflection.")
    for method in pool.FindServiceByName(service).methods
}
called = set()


def call(path, request=None, token=TOKEN):
    """The answer, or the answers as they come."""
    called.add(path)
    method = METHODS[path]
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    stub = kind(f"/{path}", asked.SerializeToString, answered.FromString)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    return stub(asked(**(request or {})), metadata=metadata, timeout=PATIENCE)


def refused(code, reason, path, request=None, token=TOKEN):
    """That a call ends with this code, and with this reason in its details."""
    try:
        answer = call(path, request, token)
        list(answer) if METHODS[path].server_streaming else answer
    except grpc.RpcError as error:
        assert error.code() == code, f"{path}: {error.code()}, not {code}: {error.details()}"
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        assert reason.encode() in details, f"{path}: {details}, not {reason}"
    else:
        raise AssertionError(f"{path} answers what it must refuse")


def scim(method, path, body=None):
    """A SCIM request; the answer's body and revision token."""
    request = urllib.request.Request(f"{SCIM}{path}", method=method, data=body and json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Content-Type", "application/scim+json")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read() or "null"), answer.headers["Rolecall-Revision"]


def patch(path, *operations):
    """A SCIM PATCH; its revision token."""
    schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    return scim("PATCH", path, {"schemas": [schema], "Operations": list(operations)})[1]


def questions(user, grant, known):
    """One user, asked about in every way."""
    roles, named = "rolecall.roles.v1.RoleService", {"user": {"id": user["id"]}, "consistency": known}
    other, nobody = {"tenant": "other"}, {"user": {"id": NOBODY}}
    wrong_tenant = (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")

    answer = call(f"{roles}/GetEffectiveRoles", named)
    assert answer.effective.user_id == user["id"] and answer.effective.active and not answer.effective.held
    assert [list(given.labels) for given in answer.effective.grants] == [[LABEL]]
    refused(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", f"{roles}/GetEffectiveRoles", nobody)
    refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID", f"{roles}/GetEffectiveRoles", named, token="nonsense")

    both = {"users": [named["user"], {"user_name": "NO.SUCH@example.com"}], "consistency": known}
    answer = call(f"{roles}/BatchGetEffectiveRoles", both)
    assert [result.HasField("effective") for result in answer.results] == [True, False]
    refused(*wrong_tenant, f"{roles}/BatchGetEffectiveRoles", both | other)

    answer = call(f"{roles}/CheckRole", named | {"grant": grant})
    assert answer.allowed and not answer.held and answer.revision_token
    assert not call(f"{roles}/CheckRole", named | {"grant": grant | {"role": "STORE"}}).allowed
    refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MISSING", f"{roles}/CheckRole", named)

    checks = {"checks": [{"user": {"external_id": "ext-py"}, "grant": grant}, nobody | {"grant": grant}]}
    answer = call(f"{roles}/BatchCheckRole", checks | {"consistency": known})
    assert [(result.found, result.allowed) for result in answer.results] == [(True, True), (False, False)]
    refused(*wrong_tenant, f"{roles}/BatchCheckRole", checks | other)

    answer = call(f"{roles}/ExplainRoles", named)
    assert [cause.label for given in answer.grants for cause in given.causes] == [LABEL]
    assert answer.grants[0].causes[0].ways.direct
    refused(grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND", f"{roles}/ExplainRoles", nobody)

    pages = list(call(f"{roles}/ListRoleHolders", {"grant": grant, "consistency": known}))
    assert user["id"] in [holder.user_id for page in pages for holder in page.holders]
    bad = {"grant": grant, "after_user_id": "x"}
    refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", f"{roles}/ListRoleHolders", bad)

    # Only the gateway may call these.
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PEER_REQUIRED")
    refused(*denied, "rolecall.roles.v1.LabelService/MatchLabels", {"labels": [LABEL]})
    refused(*denied, "rolecall.roles.v1.LabelService/ListLabels")


def preview(user):
    """What a group's labels would do, before they do it."""
    path = "rolecall.roles.v1.RoleService/PreviewChange"
    group, _ = scim(
        "POST",
        "/Groups",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": "Foreign callers",
            "members": [{"value": user["id"]}],
        },
    )
    change = {"labels_of_group": {"group_id": group["id"], "labels": ["AGENT_CHIC-01_STORE"]}}
    (gains,) = [found for page in call(path, change) for found in page.users]
    assert gains.user_id == user["id"] and [given.role for given in gains.gained] == ["STORE"] and not gains.lost
    assert [found for page in call(path, {"rules": '{"rules": []}'}) for found in page.users] == []
    refused(grpc.StatusCode.INVALID_ARGUMENT, "RULES_MALFORMED", path, {"rules": '{"rules": 1}'})
    refused(grpc.StatusCode.NOT_FOUND, "GROUP_NOT_FOUND", path, {"labels_of_group": {"group_id": NOBODY}})
    scim("DELETE", f"/Groups/{group['id']}")


def watch(user):
    """Changes as they happen, a break, and the rest of them."""
    path = "rolecall.roles.v1.RoleService/WatchRoles"
    changes = call(path)
    begun = next(changes).revision_token
    patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    told = next(found for message in changes for found in message.users if found.user_id == user["id"])
    assert told.HasField("effective") and not told.effective.active and not told.effective.grants
    changes.cancel()
    scim("DELETE", f"/Users/{user['id']}")
    again = call(path, {"after": begun})
    assert next(again).revision_token == begun
    gone = next(found for message in again for found in message.users if found.user_id == user["id"])
    assert not gone.HasField("effective"), "what happened meanwhile is told as one"
    again.cancel()
    refused(grpc.StatusCode.INVALID_ARGUMENT, "REVISION_TOKEN_INVALID", path, {"after": "nonsense"})


def health():
    """As a load balancer asks."""
    assert call("grpc.health.v1.Health/Check", {"service": "rolecall.roles.v1.RoleService"}).status == 1
    statuses = call("grpc.health.v1.Health/Watch", {"service": ""})
    assert next(statuses).status == 1
    statuses.cancel()


def main():
    user, token = scim(
        "POST",
        "/Users",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "py@example.com",
            "externalId": "ext-py",
            "active": True,
            "roles": [{"value": LABEL}],
        },
    )
    known = {"at_least_as_fresh": token}
    grant = {"role": "WAREHOUSE_ASSOCIATE", "context_type": "CONTEXT_TYPE_AGENT", "context_id": "1023434"}
    questions(user, grant, known)
    preview(user)
    watch(user)
    health()
    assert METHODS.keys() == called, f"not called: {METHODS.keys() - called}"
    print(f"{len(called)} methods answer what they should and refuse what they must")


if __name__ == "__main__":
    main()
