"""Policies that say what the table of rights says, in the words of IAM.

Two forms of the same: a policy for one program, to be attached to its user or role (AWS), and one
for a bucket, which names all programs (Ceph, SeaweedFS, AWS).

What is behind the wording, seen on Ceph RGW and so on AWS by its documentation:

- A key that is missing is 404 only for who may list the bucket; otherwise it is 403, which is never
  absence, and no journal could be followed. And a GET carries no `s3:prefix`, so the condition on
  it has to hold where there is none: `StringLikeIfExists`. The price: who lists without a prefix
  sees the names of all keys of that bucket, and no object.
- Who uploads an object may change its access list, also without being given that: denied by name.
  And on Ceph it is theirs, and no other's to read, the operator's among them, unless a policy says.
- To delete in a journal is denied by name too, to everybody in a bucket's policy: whoever restores
  a backup takes the policy off first.
"""

from collections.abc import Iterable
from typing import Any

from infra.kinds import Kind
from infra.rights import Folder, folders_of, programs
from shared.settings import StoreSettings
from shared.storage.location import CLASSES, Protection, bucket_of

Document = dict[str, Any]
Statement = dict[str, Any]

_ACTIONS = {"read": "s3:GetObject", "create": "s3:PutObject", "delete": "s3:DeleteObject"}
_DELETING = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
_READING = ["s3:GetObject", "s3:GetObjectVersion"]
_SHARING = ["s3:PutObjectAcl", "s3:PutObjectVersionAcl"]


class Policies:
    """The policies of one installation on one kind of store."""

    def __init__(self, settings: StoreSettings, kind: Kind) -> None:
        self._kind = kind
        self._prefix = settings.store_prefix
        named = [(protection, bucket_of(settings, protection)) for protection in CLASSES]
        self._buckets = [(protection, bucket) for protection, bucket in named if bucket]
        self._state = bucket_of(settings, "state")

    def of_program(self, program: str) -> Document:
        """What one program may do, in all buckets. Raises KeyError where there is none such."""
        statements: list[Statement] = []
        for protection, bucket in self._buckets:
            if folders := _folders(program, protection):
                statements += [*self._allowed(bucket, folders), self._versioning(bucket)]
        statements += self._denied_in_journals()
        statements.append(self._denied_sharing(bucket for _, bucket in self._buckets))
        return _document(statements)

    def of_bucket(self, bucket: str, principal: str, operator: str = "") -> Document:
        """What all programs may do in one bucket; `principal` has `{program}` in it. An `operator`,
        if named so, may read everything.
        """
        statements: list[Statement] = []
        users: list[str] = []
        for protection in (each for each, name in self._buckets if name == bucket):
            for program in programs():
                if folders := _folders(program, protection):
                    users.append(program)
                    allowed = self._allowed(bucket, folders)
                    who = _who(principal, [program])
                    statements += [{**each, "Principal": who} for each in allowed]
        everyone = _who(principal, dict.fromkeys(users))
        statements.append({**self._versioning(bucket), "Principal": everyone})
        if operator:
            reading = _statement("Allow", _READING, [self._arn(bucket, "*")])
            statements.append({**reading, "Principal": {"AWS": [operator]}})
        sharing = self._denied_sharing([bucket])
        statements.append({**sharing, "Principal": _who(principal, programs())})
        if bucket == self._state:
            statements += [{**each, "Principal": "*"} for each in self._denied_in_journals()]
        return _document(statements)

    def _allowed(self, bucket: str, folders: list[Folder]) -> list[Statement]:
        actions: dict[tuple[str, ...], list[str]] = {}
        for right, action in _ACTIONS.items():
            paths = [row.path for row in folders if right in row.rights]
            actions.setdefault(tuple(self._keys(bucket, paths)), []).append(action)
        allowed = [_statement("Allow", found, [*keys]) for keys, found in actions.items() if keys]
        # Folders that are never listed count as well: their missing keys have to be 404.
        asked = [f"{self._prefix}{path}*" for path in _outermost([row.path for row in folders])]
        listing = _statement("Allow", ["s3:ListBucket"], [self._arn(bucket)])
        listing["Condition"] = {self._kind.prefix_condition: {"s3:prefix": asked}}
        return [*allowed, listing]

    def _versioning(self, bucket: str) -> Statement:
        """What the start-up probe asks."""
        return _statement("Allow", ["s3:GetBucketVersioning"], [self._arn(bucket)])

    def _denied_in_journals(self) -> list[Statement]:
        journals = [self._arn(self._state, f"{self._prefix}*/journal/*")]
        denied = [_statement("Deny", _DELETING, journals)]
        if self._kind.conditional:
            replacing = _statement("Deny", ["s3:PutObject"], journals)
            denied.append({**replacing, "Condition": {"Null": {"s3:if-none-match": "true"}}})
        return denied

    def _denied_sharing(self, buckets: Iterable[str]) -> Statement:
        everything = sorted({self._arn(bucket, "*") for bucket in buckets})
        return _statement("Deny", _SHARING, everything)

    def _keys(self, bucket: str, paths: list[str]) -> list[str]:
        return [self._arn(bucket, f"{self._prefix}{path}*") for path in _outermost(paths)]

    def _arn(self, bucket: str, key: str = "") -> str:
        whole = f"{bucket}/{key}" if key else bucket
        return f"arn:{self._kind.partition}:s3:::{whole}"


def _folders(program: str, protection: Protection) -> list[Folder]:
    return [row for row in folders_of(program) if row.protection == protection]


def _outermost(paths: list[str]) -> list[str]:
    """Without those that lie in another."""
    return [
        path
        for path in paths
        if not any(path != other and path.startswith(other) for other in paths)
    ]


def _statement(effect: str, actions: list[str], resources: list[str]) -> Statement:
    return {"Effect": effect, "Action": actions, "Resource": resources}


def _who(principal: str, names: Iterable[str]) -> dict[str, list[str]]:
    return {"AWS": [principal.format(program=name) for name in names]}


def _document(statements: list[Statement]) -> Document:
    """Each statement once: classes that share a bucket say some of them twice."""
    found: list[Statement] = []
    for each in statements:
        if each not in found:
            found.append(each)
    return {"Version": "2012-10-17", "Statement": found}


def same(found: Document | None, wanted: Document) -> bool:
    """Whether a store's policy says what is wanted. Stores order and wrap things anew."""
    return found is not None and _plain(found) == _plain(wanted)


def _plain(document: Document) -> list[str]:
    return sorted(repr(_sorted(each)) for each in document["Statement"])


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _sorted(each)) for key, each in value.items() if key != "Sid")
    if isinstance(value, list):
        each = sorted((_sorted(one) for one in value), key=repr)
        return each[0] if len(each) == 1 else each
    return value
