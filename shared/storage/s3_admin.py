"""What provisioning asks of S3 and the running engine never does: a bucket's own settings.

Needs credentials that services do not have. What is read is a value; what is set may be set again.
A store that has no such setting answers Missing where it is read, and an error of `objects` where
it is set.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.storage.objects import Misconfigured, Uncertain
from shared.storage.s3 import S3Address, client, translated

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        LifecycleRuleOutputTypeDef,
        PublicAccessBlockConfigurationTypeDef,
    )

_REMOVING = ("Expiration", "NoncurrentVersionExpiration", "Transitions")

_ABSENT = {
    "NoSuchLifecycleConfiguration",
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
}
_UNKNOWN = {"NotImplemented", "MethodNotAllowed"}

_PUBLIC_ACCESS: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

Mode = Literal["GOVERNANCE", "COMPLIANCE"]


class Missing(Exception):  # noqa: N818 - an answer
    """The store has no such setting at all."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A bucket's Object Lock: what every new object gets. With no days, none does."""

    mode: Mode = "GOVERNANCE"
    days: int = 0

    def covers(self, other: "Lock") -> bool:
        """Whether this one keeps objects at least as long and as strictly."""
        stricter = self.mode in ("COMPLIANCE", other.mode)
        return stricter and self.days >= other.days


class S3Admin:
    """One bucket, seen by who sets it up."""

    def __init__(self, address: S3Address) -> None:
        self._address = address
        self._client = client(address)

    # The bucket

    def exists(self) -> bool:
        """Whether the bucket is there and may be seen. Raises Denied where it may not."""
        bucket = self._address.bucket
        with translated(f"bucket {bucket}"):
            try:
                self._client.head_bucket(Bucket=bucket)
            except self._client.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True

    def ensure_bucket(self, *, locked: bool = False) -> bool:
        """Make the bucket unless it is there; whether it was made. Never turns versioning on,
        except by `locked`, for Object Lock, which a bucket has from its making or not at all.

        Raises Misconfigured where the name belongs to somebody else.
        """
        if self.exists():
            return False
        try:
            self._create(locked=locked)
        except (Misconfigured, Uncertain):
            # Somebody else made it in between, or this request did and its answer was lost.
            if not self.exists():
                raise
            return False
        return True

    def _create(self, *, locked: bool) -> None:
        bucket, region = self._address.bucket, self._address.region
        more: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if locked else {}
        if region != "us-east-1":  # the one region that must not be named
            more["CreateBucketConfiguration"] = {"LocationConstraint": region}
        with translated(f"create bucket {bucket}"):
            self._client.create_bucket(Bucket=bucket, **more)

    # What is removed, and when

    def removal_rules(self, prefix: str) -> list[str]:
        """Lifecycle rules that would remove or move keys under `prefix`, by id.

        Under a journal's prefix there may be none: a key that could be created again would let a
        stopped writer fork history.
        """
        return [
            rule.get("ID", "(without id)")
            for rule in self._rules()
            if rule["Status"] == "Enabled"
            and any(action in rule for action in _REMOVING)
            and _touches(_rule_prefix(rule), prefix)
        ]

    def _rules(self) -> "list[LifecycleRuleOutputTypeDef]":
        answer = self._asked("lifecycle", self._client.get_bucket_lifecycle_configuration)
        rules: list[LifecycleRuleOutputTypeDef] = answer.get("Rules", [])
        return rules

    # Object Lock

    def lock(self) -> Lock | None:
        """The bucket's Object Lock; None where it has none. Raises Missing."""
        answer = self._asked("object lock", self._client.get_object_lock_configuration)
        found = answer.get("ObjectLockConfiguration", {})
        if found.get("ObjectLockEnabled") != "Enabled":
            return None
        rule = found.get("Rule", {}).get("DefaultRetention", {})
        days = rule.get("Days", 0) + 365 * rule.get("Years", 0)
        return Lock(rule.get("Mode", "GOVERNANCE"), days)

    def set_lock(self, lock: Lock) -> None:
        """Lock every object that comes from now on, in a bucket that was made so."""
        with translated("object lock"):
            self._client.put_object_lock_configuration(
                Bucket=self._address.bucket,
                ObjectLockConfiguration={
                    "ObjectLockEnabled": "Enabled",
                    "Rule": {"DefaultRetention": {"Mode": lock.mode, "Days": lock.days}},
                },
            )

    # Encryption, public access

    def encryption(self) -> str:
        """How objects are encrypted by default: "AES256", "aws:kms" or "". Raises Missing."""
        answer = self._asked("encryption", self._client.get_bucket_encryption)
        rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
        return next((kind["SSEAlgorithm"] for kind in kinds if "SSEAlgorithm" in kind), "")

    def set_encryption(self, algorithm: Literal["AES256"] = "AES256") -> None:
        """Encrypt what comes from now on, under the store's own keys."""
        with translated("encryption"):
            self._client.put_bucket_encryption(
                Bucket=self._address.bucket,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
                },
            )

    def is_closed_to_public(self) -> bool:
        """Whether no access list and no policy can open it to everybody. Raises Missing."""
        answer = self._asked("public access", self._client.get_public_access_block)
        found = answer.get("PublicAccessBlockConfiguration", {})
        return all(found.get(name) for name in _PUBLIC_ACCESS)

    def close_to_public(self) -> None:
        """Make it so."""
        with translated("public access"):
            self._client.put_public_access_block(
                Bucket=self._address.bucket, PublicAccessBlockConfiguration=_PUBLIC_ACCESS
            )

    # Its policy

    def policy(self) -> Any:
        """The bucket's policy as a document, None where it has none. Raises Missing."""
        answer = self._asked("policy", self._client.get_bucket_policy)
        return json.loads(answer["Policy"]) if answer.get("Policy") else None

    def set_policy(self, document: Any) -> None:
        """Put a policy in place of what there is."""
        self.send_policy(json.dumps(document, separators=(",", ":")))

    def send_policy(self, text: str) -> None:
        """The same of any text: one that is no policy is refused, and by which error tells who may
        set one.
        """
        with translated("policy"):
            self._client.put_bucket_policy(Bucket=self._address.bucket, Policy=text)

    def _asked(self, what: str, ask: Callable[..., Any]) -> Any:
        """An answer; an empty one where the bucket has none. Raises Missing."""
        with translated(what):
            try:
                return ask(Bucket=self._address.bucket)
            except self._client.exceptions.ClientError as error:
                code = error.response["Error"].get("Code", "")
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code in _ABSENT:
                    return {}
                if code in _UNKNOWN or status in (405, 501):
                    raise Missing(what) from error
                raise


def _rule_prefix(rule: "LifecycleRuleOutputTypeDef") -> str:
    chosen = rule.get("Filter", {})
    return chosen.get("And", {}).get("Prefix") or chosen.get("Prefix") or rule.get("Prefix") or ""


def _touches(rule_prefix: str, prefix: str) -> bool:
    return rule_prefix.startswith(prefix) or prefix.startswith(rule_prefix)
