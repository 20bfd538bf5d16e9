"""Whether the service lives and is ready; open to probes without a token."""

import os

from litestar import Controller, get

from planner import __version__
from planner.api.parts import InWorkshop
from planner.contract.answers import Health


class HealthController(Controller):
    """`/health`."""

    path = "/health"
    tags = ("health",)

    @get("/live", operation_id="CheckLive", sync_to_thread=False)
    def check_live(self) -> Health:
        """The process answers."""
        return Health(status="live", version=__version__, pid=os.getpid())

    @get("/ready", operation_id="CheckReady", sync_to_thread=True)
    def check_ready(self, workshop: InWorkshop) -> Health:
        """The database answers."""
        workshop.decisions.list_decisions(1)
        return Health(status="ready", version=__version__, pid=os.getpid())
