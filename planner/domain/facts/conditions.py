"""Every condition that a row of `data/engine_rules.csv` may name: about groups, methods, placement and models.

A condition is None when it holds and a finding when it does not. What a device can run is in
`device_conditions.py`, what a rank holds in `shape_conditions.py`.
"""

from collections.abc import Mapping

from planner.domain.facts.device_conditions import (
    architecture_has,
    kv_min_sm,
    min_sm,
    sm_in,
    vendor_in,
    vendor_not_in,
)
from planner.domain.facts.kernels import OTHER_KERNEL, Check, Finding, Load
from planner.domain.facts.shape_conditions import (
    block_within_rank,
    expert_columns_multiple,
    experts_divide_ep,
    group_divides_columns,
    group_within_rank,
    heads_divide_tp,
    hidden_multiple,
    kv_heads_fit_tp,
    linear_heads_divide_tp,
    pp_within_layers,
    rank_columns_multiple,
    rank_rows_multiple,
    row_multiple,
    state_space_divides_tp,
)


def group_in(load: Load, argument: str) -> Finding | None:
    """`-1|32|64|128`: the group size is one of these; -1 is one scale a row."""
    allowed = argument.split("|")
    group = "-1" if load.group_size is None else str(load.group_size)
    if group in allowed:
        return None
    sizes = [size for size in allowed if size != "-1"]
    return Finding(
        code="shape.group_size_unsupported",
        message=f"{load.engine} takes group sizes {', '.join(sizes)} for {load.scheme.name}, not {group}",
        numbers={"group_size": load.group_size},
        way_out=tuple(f"group {size}" for size in sizes),
    )


def group_multiple(load: Load, argument: str) -> Finding | None:
    """`32`: the group size is a multiple of it, or one scale a row."""
    group, multiple = load.group_size, int(argument)
    if group is None or group % multiple == 0:
        return None
    return Finding(
        code="shape.group_size_unsupported",
        message=f"{load.engine} takes groups that are a multiple of {multiple}: "
        f"{group} / {multiple} = {group / multiple:g}",
        numbers={"group_size": group, "multiple": multiple},
        way_out=(f"group {max(multiple, group // multiple * multiple)}",),
    )


def has_groups(load: Load, argument: str) -> Finding | None:
    """The kernel takes groups only, no scale for a whole row."""
    del argument
    if load.group_size is not None:
        return None
    return Finding(
        code="shape.group_size_unsupported",
        message=f"this kernel of {load.engine} takes groups, not one scale a row",
        numbers={"group_size": None},
        way_out=("group 128", "group 64", "group 32"),
    )


def is_dense(load: Load, argument: str) -> Finding | None:
    """The row speaks of models without experts."""
    del argument
    if not load.model.num_experts:
        return None
    return Finding(
        code=OTHER_KERNEL,
        message=f"this kernel is for dense layers, {load.model.model_id} has {load.model.num_experts} experts",
    )


def is_mixture(load: Load, argument: str) -> Finding | None:
    """The row speaks of mixtures of experts."""
    del argument
    if load.model.num_experts:
        return None
    return Finding(code=OTHER_KERNEL, message="this kernel is for mixtures of experts")


def architecture_in(load: Load, argument: str) -> Finding | None:
    """`DeepseekV3ForCausalLM|…`: the row speaks of these architectures."""
    if load.model.architecture in argument.split("|"):
        return None
    return Finding(code=OTHER_KERNEL, message=f"this row is about {argument}")


def is_symmetric(load: Load, argument: str) -> Finding | None:
    """Integers around zero: the kernel has no zero points."""
    del argument
    if load.symmetric:
        return None
    return Finding(
        code="scheme.asymmetric",
        message=f"{load.engine} loads {load.scheme.name} ({load.scheme.format}) without zero points only",
        way_out=("quantize symmetrically (sym true)", "the AWQ format, which has zero points"),
    )


def no_act_order(load: Load, argument: str) -> Finding | None:
    """Columns stand in their own order (`desc_act` false)."""
    del argument
    if not load.act_order:
        return None
    return Finding(
        code="scheme.act_order",
        message=f"this kernel of {load.engine} takes no act-order (desc_act true)",
        way_out=("quantize without act-order (desc_act false)",),
    )


def act_order_is_on(load: Load, argument: str) -> Finding | None:
    """The row speaks of act-order with groups."""
    del argument
    if load.act_order and load.group_size is not None:
        return None
    return Finding(code=OTHER_KERNEL, message="this row is about act-order with groups")


def no_grouped_act_order(load: Load, argument: str) -> Finding | None:
    """Act-order (`desc_act`) only where one scale covers a row, which makes it nothing."""
    del argument
    if not load.act_order or load.group_size is None:
        return None
    return Finding(
        code="scheme.act_order",
        message=f"{load.engine} takes no act-order (desc_act true) with groups of {load.group_size}",
        numbers={"group_size": load.group_size},
        way_out=("quantize without act-order (desc_act false)", "one scale a row (group -1)"),
    )


def no_act_order_over_ranks(load: Load, argument: str) -> Finding | None:
    """Act-order with groups is not split by columns: a rank would need the scales of every group."""
    del argument
    tp = load.placement.tp
    if not load.act_order or load.group_size is None or tp == 1:
        return None
    return Finding(
        code="scheme.act_order_over_ranks",
        message=f"act-order spreads a group's columns over the ranks: with groups of {load.group_size} and "
        f"tensor parallel {tp} each rank would need the scales of all groups, which this kernel does not keep",
        numbers={"group_size": load.group_size, "tp": tp},
        way_out=("quantize without act-order (desc_act false)", f"pipeline parallel {tp}", "one scale a row"),
    )


def kv_dtype_in(load: Load, argument: str) -> Finding | None:
    """`auto|f16|fp8`: the KV cache has one of these types."""
    known = argument.split("|")
    if load.kv_dtype in known:
        return None
    return Finding(
        code="kv.unsupported",
        message=f"{load.engine} keeps no KV cache in {load.kv_dtype}",
        numbers={"kv_dtype": load.kv_dtype},
        way_out=tuple(f"KV cache in {name}" for name in known if name != "auto"),
    )


def is_latent(load: Load, argument: str) -> Finding | None:
    """Keys and values are kept as one latent (MLA)."""
    del argument
    if load.model.kv_lora_rank:
        return None
    return Finding(code=OTHER_KERNEL, message="this row is about latent attention")


def tp_is_one(load: Load, argument: str) -> Finding | None:
    """No layer is split over ranks."""
    del argument
    if load.placement.tp == 1:
        return None
    return Finding(
        code="engine.no_tensor_parallel",
        message=f"{load.engine} does not split {load.scheme.name} by tensor here: "
        f"tensor parallel {load.placement.tp} does not apply",
        numbers={"tp": load.placement.tp},
        way_out=(f"split by layer over {load.placement.devices} devices",),
    )


def tp_is_split(load: Load, argument: str) -> Finding | None:
    """The row speaks of layers that are split over ranks."""
    del argument
    if load.placement.tp > 1:
        return None
    return Finding(code=OTHER_KERNEL, message="this row is about tensor parallelism")


def pp_is_one(load: Load, argument: str) -> Finding | None:
    """Layers are not dealt out over devices."""
    del argument
    if load.placement.pp == 1:
        return None
    return Finding(
        code="engine.no_pipeline_parallel",
        message=f"{load.engine} does not split {load.scheme.name} by layer here: "
        f"pipeline parallel {load.placement.pp} does not apply",
        numbers={"pp": load.placement.pp},
        way_out=("one device a replica",),
    )


def pp_architecture_in(load: Load, argument: str) -> Finding | None:
    """`LlamaForCausalLM|…`: only these architectures are dealt out over stages."""
    if load.placement.pp == 1 or load.model.architecture in argument.split("|"):
        return None
    return Finding(
        code="engine.no_pipeline_parallel",
        message=f"{load.engine} splits {load.model.architecture} by no layer in this version: "
        f"pipeline parallel {load.placement.pp} does not apply",
        numbers={"pp": load.placement.pp},
        way_out=("tensor parallel or replicas",),
    )


PREDICATES: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        act_order_is_on,
        architecture_has,
        architecture_in,
        block_within_rank,
        expert_columns_multiple,
        experts_divide_ep,
        group_divides_columns,
        group_in,
        group_multiple,
        group_within_rank,
        has_groups,
        heads_divide_tp,
        hidden_multiple,
        is_dense,
        is_latent,
        is_mixture,
        is_symmetric,
        kv_dtype_in,
        kv_heads_fit_tp,
        kv_min_sm,
        linear_heads_divide_tp,
        min_sm,
        no_act_order,
        no_act_order_over_ranks,
        no_grouped_act_order,
        pp_architecture_in,
        pp_is_one,
        pp_within_layers,
        rank_columns_multiple,
        rank_rows_multiple,
        row_multiple,
        sm_in,
        state_space_divides_tp,
        tp_is_one,
        tp_is_split,
        vendor_in,
        vendor_not_in,
    )
}
"""By the name that rows use."""
