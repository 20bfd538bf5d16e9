"""Hosts: registered and heard of by their executors, listed for whoever plans."""

from typing import Any

from litestar import Controller, get, post
from litestar.params import FromPath, JSONBody

from planner.api.parts import InWorkshop
from planner.contract.answers import DeviceList, HostList, HostRecord
from planner.contract.requests import HostReport
from planner.usecases.keep_host import hear_host, list_hosts, register_host

EXECUTOR: dict[str, Any] = {"scope": "execute"}


class HostController(Controller):
    """`/v1/hosts` and `/v1/inventory`."""

    path = "/v1"
    tags = ("hosts",)
    opt = {"scope": "plan"}  # noqa: RUF012 - Litestar's way to say it

    @post("/hosts", operation_id="RegisterHost", status_code=201, sync_to_thread=True, opt=EXECUTOR)
    def register(self, data: JSONBody[HostReport], workshop: InWorkshop) -> HostRecord:
        """A host is there, new or again."""
        told = data.model_dump(exclude={"is_leaving"})
        return HostRecord.model_validate(register_host(workshop, told.pop("snapshot"), **told))

    @post(
        "/hosts/{name:str}/heartbeat",
        operation_id="HearHost",
        status_code=200,
        sync_to_thread=True,
        opt=EXECUTOR,
    )
    def hear(self, name: FromPath[str], data: JSONBody[HostReport], workshop: InWorkshop) -> HostRecord:
        """What a registered host has now, or that it leaves."""
        told = data.model_dump()
        return HostRecord.model_validate(hear_host(workshop, name, told.pop("snapshot"), **told))

    @get("/hosts", operation_id="ListHosts", sync_to_thread=True)
    def list_hosts(self, workshop: InWorkshop) -> HostList:
        """Every host that ever registered, by name, with its age and its last snapshot."""
        return HostList(hosts=[HostRecord.model_validate(row) for row in list_hosts(workshop)])

    @get("/inventory", operation_id="ListDevices", sync_to_thread=True)
    def list_devices(self, workshop: InWorkshop) -> DeviceList:
        """The cards of every host that is not gone, each with its host and the age of what is known."""
        rows = [
            {"host": row["name"], "host_state": row["state"], "age_seconds": row["age_seconds"], **device}
            for row in list_hosts(workshop)
            if row["state"] != "gone"
            for device in row["snapshot"]["devices"]
        ]
        return DeviceList(devices=rows)
