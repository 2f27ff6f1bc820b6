"""Kinds of store: what each has of what provisioning would set, as tried or as its makers say.

AWS's own was never tried from here. On Ceph RGW 16, blocking public access refuses every upload,
and encryption is the cluster's; SeaweedFS takes a bucket's encryption and then refuses uploads
unless it was started with keys. Buckets there are closed to the public as they are made.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from shared.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of store. `principal` is how it calls the user of a `{program}`; AWS's has an account
    in it, so it has to be given.

    `conditional`: its policies can ask that a PUT be a create. `partition`: of its ARNs.
    `prefix_condition`: how a listing is held to its prefix (`policies.py` says why).
    """

    name: str
    principal: str | None = None
    closes_public: bool = False
    encrypts: bool = False
    conditional: bool = False
    partition: str = "aws"
    prefix_condition: str = "StringLikeIfExists"


AWS = Kind("aws", closes_public=True, encrypts=True, conditional=True)
CEPH = Kind("ceph", "arn:aws:iam:::user/gansu-{program}")
SEAWEEDFS = Kind(
    "seaweedfs",
    "arn:aws:iam::000000000000:user/gansu-{program}",
    # It does not know the other, nor asks about listing where a key is missing.
    prefix_condition="StringLike",
)
OTHER = Kind("other")

KINDS = {kind.name: kind for kind in (AWS, CEPH, SEAWEEDFS, OTHER)}


def kind_of(settings: StoreSettings, named: str | None) -> Kind:
    """The kind that is `named`; without a name AWS where the address is AWS's, else `other`."""
    host = urlsplit(settings.store_endpoint).hostname or "amazonaws.com"
    own = host.endswith(("amazonaws.com", "amazonaws.com.cn"))
    kind = KINDS[named or ("aws" if own else "other")]
    if kind.name == "aws" and settings.store_region.startswith("cn-"):
        return replace(kind, partition="aws-cn")
    return kind
