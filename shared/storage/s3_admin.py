"""What provisioning asks of S3 and the running engine never does: making and checking a bucket.

Needs credentials that services do not have. Raises the errors of `objects`.
"""

from typing import TYPE_CHECKING

from shared.storage.s3 import S3Address, client, translated

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

_REMOVING = ("Expiration", "NoncurrentVersionExpiration", "Transitions")


class S3Admin:
    """One bucket, seen by who sets it up."""

    def __init__(self, address: S3Address) -> None:
        self._address = address
        self._client = client(address)

    def ensure_bucket(self) -> bool:
        """Make the bucket unless it is there; whether it was made. Never turns versioning on.

        Raises Misconfigured where the name belongs to somebody else.
        """
        if self._exists():
            return False
        bucket, region = self._address.bucket, self._address.region
        with translated(f"create bucket {bucket}"):
            if region == "us-east-1":  # the one region that must not be named
                self._client.create_bucket(Bucket=bucket)
            else:
                self._client.create_bucket(
                    Bucket=bucket,
                    CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
                )
        return True

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

    def _exists(self) -> bool:
        bucket = self._address.bucket
        with translated(f"bucket {bucket}"):
            try:
                self._client.head_bucket(Bucket=bucket)
            except self._client.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True

    def _rules(self) -> "list[LifecycleRuleOutputTypeDef]":
        with translated("lifecycle"):
            try:
                answer = self._client.get_bucket_lifecycle_configuration(
                    Bucket=self._address.bucket
                )
            except self._client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
                    return []
                raise
        return answer["Rules"]


def _rule_prefix(rule: "LifecycleRuleOutputTypeDef") -> str:
    chosen = rule.get("Filter", {})
    return chosen.get("And", {}).get("Prefix") or chosen.get("Prefix") or rule.get("Prefix") or ""


def _touches(rule_prefix: str, prefix: str) -> bool:
    return rule_prefix.startswith(prefix) or prefix.startswith(rule_prefix)
