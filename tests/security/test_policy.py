import pytest

from lepton_ai.security import OWNER, Permission, Principal, allows

READER = Principal("reader", frozenset({Permission.READ}))


@pytest.mark.parametrize("permission", Permission)
def test_nobody_may_only_what_is_public(permission: Permission) -> None:
    assert allows(None, permission) is (permission is Permission.PUBLIC)
    assert allows(Principal("new"), permission) is (permission is Permission.PUBLIC)
    assert allows(OWNER, permission)


def test_a_permission_implies_no_other() -> None:
    granted = {permission for permission in Permission if allows(READER, permission)}
    assert granted == {Permission.PUBLIC, Permission.READ}
