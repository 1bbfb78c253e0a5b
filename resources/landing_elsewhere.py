"""How a task on another machine opens the landing: by its address alone, with credentials of that machine."""

from dataclasses import dataclass

from resources.landing import Landing, LocalLanding, S3Landing


@dataclass(frozen=True)
class LandingAddress:
    """Where a landing is.

    Attributes:
        root: Its folder, or its prefix in the bucket.
        bucket: The bucket; none for a folder.
        endpoint_url: Of S3, where it is not Amazon's.
    """

    root: str
    bucket: str | None = None
    endpoint_url: str | None = None

    def open(self) -> Landing:
        """The landing, as this machine reaches it."""
        if self.bucket is None:
            return LocalLanding(root=self.root)
        from dagster_aws.s3 import S3Resource

        return S3Landing(bucket=self.bucket, prefix=self.root, s3=S3Resource(endpoint_url=self.endpoint_url))


def address_of(landing: Landing) -> LandingAddress:
    """Where a landing is, without the credentials that this machine reaches it with.

    Raises:
        TypeError: It is of a kind that has no address.
    """
    if isinstance(landing, LocalLanding):
        return LandingAddress(landing.root)
    if isinstance(landing, S3Landing):
        return LandingAddress(landing.prefix, landing.bucket, landing.s3.endpoint_url)
    raise TypeError(f"{type(landing).__name__} cannot be opened elsewhere")
