"""Conditions about the device: whose it is, and what its compute capability can run."""

from planner.domain.facts.kernels import OTHER_VENDOR, Finding, Load


def vendor_in(load: Load, argument: str) -> Finding | None:
    """`nvidia|amd`: the kernel runs on devices of these makers (`cpu` and `apple` count as makers)."""
    vendors = argument.split("|")
    if load.device.vendor in vendors:
        return None
    return Finding(
        code=OTHER_VENDOR,
        message=f"this kernel runs on {' or '.join(vendors)} devices, {load.device.label} is {load.device.vendor}",
        numbers={"vendor": load.device.vendor},
    )


def vendor_not_in(load: Load, argument: str) -> Finding | None:
    """`apple|cpu`: the engine has nothing for devices of these makers."""
    if load.device.vendor not in argument.split("|"):
        return None
    return Finding(
        code="capability.other_device",
        message=f"{load.engine} has no kernel for {load.scheme.name} on {load.device.vendor} devices "
        f"such as {load.device.label}",
        numbers={"vendor": load.device.vendor},
        way_out=("llama.cpp with a GGUF scheme", "an NVIDIA card"),
    )


def architecture_has(load: Load, argument: str) -> Finding | None:
    """`RDNA`: the device's architecture is named so, whatever its generation."""
    if argument.lower() in load.device.architecture.lower():
        return None
    return Finding(
        code=OTHER_VENDOR,
        message=f"this kernel runs on {argument} devices, {load.device.label} is {load.device.architecture}",
        numbers={"architecture": load.device.architecture},
    )


def min_sm(load: Load, argument: str) -> Finding | None:
    """`75`: at least this compute capability, times ten; other makers' devices have none, and it holds."""
    needed = int(argument)
    have = load.device.sm
    if load.device.vendor != "nvidia":
        return None
    if have is None:
        return _unknown_capability(load, f"{needed / 10:.1f}")
    if have >= needed:
        return None
    return Finding(
        code="capability.too_old",
        message=f"{load.scheme.name} in {load.engine} needs compute capability {needed / 10:.1f}, "
        f"{load.device.label} has {have / 10:.1f}",
        numbers={"needed": needed / 10, "has": have / 10},
        way_out=("a scheme that this card's kernels take", "a newer card"),
    )


def sm_in(load: Load, argument: str) -> Finding | None:
    """`90` or `89-90|100-103`: one of these compute capabilities, times ten."""
    have = load.device.sm
    words = " or ".join(_write_range(part) for part in argument.split("|"))
    if have is None:
        return _unknown_capability(load, words)
    for part in argument.split("|"):
        low, _, high = part.partition("-")
        if int(low) <= have <= int(high or low):
            return None
    lowest = min(int(part.partition("-")[0]) for part in argument.split("|"))
    return Finding(
        code="capability.too_old" if have < lowest else "capability.other_card",
        message=f"{load.scheme.name} in {load.engine} has a kernel for compute capability {words}, "
        f"{load.device.label} has {have / 10:.1f}",
        numbers={"needed": words, "has": have / 10},
        way_out=("a scheme that this card's kernels take",),
    )


def kv_min_sm(load: Load, argument: str) -> Finding | None:
    """`fp8:80`: a KV cache whose type starts so needs this compute capability, times ten."""
    kind, _, needed = argument.partition(":")
    if not load.kv_dtype.startswith(kind) or load.device.vendor != "nvidia":
        return None
    have = load.device.sm
    if have is not None and have >= int(needed):
        return None
    return Finding(
        code="kv.too_old",
        message=f"{load.engine} keeps its KV cache in {load.kv_dtype} from compute capability "
        f"{int(needed) / 10:.1f}, {load.device.label} has {'an unknown one' if have is None else f'{have / 10:.1f}'}",
        numbers={"needed": int(needed) / 10, "has": None if have is None else have / 10},
        way_out=("KV cache in 16 bits (auto)",),
    )


def _write_range(part: str) -> str:
    low, _, high = part.partition("-")
    return f"{int(low) / 10:.1f}" + (f" to {int(high) / 10:.1f}" if high else "")


def _unknown_capability(load: Load, words: str) -> Finding:
    return Finding(
        code="unknown.capability",
        message=f"{load.scheme.name} in {load.engine} needs compute capability {words}, "
        f"what {load.device.label} has is not known",
        numbers={"needed": words},
    )
