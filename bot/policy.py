"""Who may press what. The one who asks is not the one who approves a costly run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.failures import Refused
from bot.ids import JobValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Slack user ids and what counts as costly."""

    runners: frozenset[str] = frozenset()
    """Who may start jobs; everyone where it is empty."""
    approvers: tuple[str, ...] = ()
    """Who may approve costly jobs; everyone but who asked where it is empty."""
    approval_minutes: float = 30.0
    """Jobs that may take longer, by the high end of what is predicted, need approval; 0 asks it of every job."""

    def needs_approval(self, candidate: Mapping[str, Any]) -> bool:
        """Whether a second person has to agree before this is made."""
        _, high = candidate["job"]["intervals"]["minutes"]
        return bool(self.approval_minutes == 0 or high > self.approval_minutes)

    def check_run(self, user: str) -> None:
        """Refuse a press on Run.

        Raises:
            Refused: `policy.not_a_runner`.
        """
        if self.runners and user not in self.runners:
            names = _name(sorted(self.runners))
            raise Refused("policy.not_a_runner", f"You are not among those who may start jobs: {names}.")

    def check_approval(self, user: str, value: JobValue) -> None:
        """Refuse a press on Approve.

        Raises:
            Refused: `policy.own_run`, `policy.not_an_approver`.
        """
        others = [approver for approver in self.approvers if approver not in {value.asker, value.runner}]
        if user in {value.asker, value.runner}:
            whom = f"Ask {_name(others)}." if others else "Ask someone else here."
            raise Refused("policy.own_run", f"Who asks for a run does not approve it. {whom}")
        if self.approvers and user not in self.approvers:
            raise Refused(
                "policy.not_an_approver", f"You are not among those who may approve: {_name(others)}."
            )

    def check_cancel(self, user: str, value: JobValue) -> None:
        """Refuse a press on Cancel.

        Raises:
            Refused: `policy.not_yours`.
        """
        if user not in {value.asker, value.runner, *self.approvers}:
            whose = _name([value.runner, *self.approvers])
            raise Refused("policy.not_yours", f"This job can be cancelled by {whose}.")


def _name(users: list[str]) -> str:
    return ", ".join(f"<@{user}>" for user in users[:8]) + (" …" if len(users) > 8 else "")
