"""From settings to the bucket that a journal lives in."""

from typing import cast

from shared.settings import StoreSettings
from shared.storage.s3 import CreateCondition, S3Address


def store_address(settings: StoreSettings) -> S3Address:
    """The journal's bucket."""
    return S3Address(
        bucket=settings.store_bucket,
        endpoint_url=settings.store_endpoint or None,
        region=settings.store_region,
        access_key=settings.store_access_key or None,
        secret_key=settings.store_secret_key or None,
        condition=cast(CreateCondition, settings.store_profile),
        ca_file=settings.store_ca_file,
    )
