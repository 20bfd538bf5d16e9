"""Values of a config by the first of several names that it uses."""

from collections.abc import Mapping, Sequence
from typing import Any

PER_LAYER = frozenset(
    {
        *(
            "intermediate_size",
            "moe_intermediate_size",
            "num_experts",
            "moe_num_experts",
            "num_experts_per_tok",
        ),
        *("moe_topk", "num_shared_expert", "share_expert_dims"),
    }
)
"""Names under which some families list a count for each layer."""


def first_of(configs: Sequence[Mapping[str, Any]], *names: str, default: Any = None) -> Any:
    """The value of the first name that any of the configs states."""
    for config in configs:
        for name in names:
            if config.get(name) is not None:
                return config[name]
    return default


def count_of(config: Mapping[str, Any], *names: str) -> int:
    """The first stated count; 0 where none is. Of a list with one for each layer the first.

    Raises:
        ValueError: what stands there is no whole number.
    """
    for name in names:
        value = config.get(name)
        if isinstance(value, list) and value and name in PER_LAYER:
            value = value[0]
        if value is None or value is False:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is {config[name]!r}, a positive whole number is needed")
        if value:
            return value
    return 0


def positive_of(config: Mapping[str, Any], *names: str) -> int:
    """A count that must be stated.

    Raises:
        ValueError: it is not.
    """
    found = count_of(config, *names)
    if not found:
        raise ValueError(f"{names[0]} is {config.get(names[0])!r}, a positive whole number is needed")
    return found
