"""The time of day, for records."""

from datetime import UTC, datetime


class SystemClock:
    """The system's clock."""

    def now(self) -> str:
        """ISO 8601 in UTC, to the millisecond."""
        return datetime.now(UTC).isoformat(timespec="milliseconds")
