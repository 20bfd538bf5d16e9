"""Conditions about shapes: what a rank holds of each layer against groups, tiles, blocks and heads.

Arguments are whole numbers of elements. Layers that a checkpoint leaves in 16 bits are not looked at.
"""

from collections.abc import Sequence

from planner.domain.facts.kernels import Finding, Load
from planner.domain.facts.shards import Shard, linear_shards

SMALLER_GROUPS = (64, 32)
"""Group sizes that quantizers offer below 128, largest first."""
NOT_TENSOR_PARALLEL = ("pipeline parallel or replicas instead of tensor parallel",)


def group_within_rank(load: Load, argument: str) -> Finding | None:
    """No quantization group straddles two ranks: a rank's columns are whole groups."""
    del argument
    group, tp = load.group_size, load.placement.tp
    if group is None or tp == 1:
        return None
    split = [shard for shard in quantized_shards(load) if shard.by_columns]
    for shard in split:
        if shard.columns % group == 0:
            continue
        return Finding(
            code="shape.group_not_divisible",
            message=f"{shard.name} {shard.whole} / {tp} = {shard.columns:g} columns a rank is "
            f"{shard.columns / group:g} groups of {group}: a group would straddle the ranks, "
            f"and {load.engine} does not load that",
            numbers={
                "columns": shard.whole,
                "tp": tp,
                "columns_per_rank": shard.columns,
                "group_size": group,
                "groups_per_rank": shard.columns / group,
                "padded": round_up(shard.whole, group * tp),
            },
            way_out=_ways_to_align(split, group, tp),
        )
    return None


def group_divides_columns(load: Load, argument: str) -> Finding | None:
    """Every row is whole groups, before any split."""
    del argument
    group = load.group_size
    if group is None:
        return None
    shards = quantized_shards(load)
    for shard in shards:
        columns = shard.full_columns
        if columns % group == 0:
            continue
        smaller = [
            size
            for size in SMALLER_GROUPS
            if size < group and all(s.full_columns % size == 0 for s in shards)
        ]
        name = shard.name if shard.by_columns else "hidden size"
        return Finding(
            code="shape.group_not_divisible",
            message=f"{name} {columns} is {columns / group:g} groups of {group}: "
            "a row does not divide into whole groups",
            numbers={"columns": columns, "group_size": group, "groups": columns / group},
            way_out=(
                "group " + " or ".join(map(str, smaller)) if smaller else "a per-channel scheme",
                f"{shard.layer} left in 16 bits",
            ),
        )
    return None


def rank_columns_multiple(load: Load, argument: str) -> Finding | None:
    """`128`: inputs of every layer's part on a rank are a multiple of it."""
    return _not_multiple(load, int(argument), 1)


def rank_rows_multiple(load: Load, argument: str) -> Finding | None:
    """`64`: outputs of every layer's part on a rank are a multiple of it, fused matrices together."""
    return _not_multiple(load, 1, int(argument))


def row_multiple(load: Load, argument: str) -> Finding | None:
    """`32`: every matrix's rows are whole blocks of it, before any split."""
    multiple = int(argument)
    for shard in quantized_shards(load):
        columns = shard.full_columns
        if columns % multiple:
            name = shard.name if shard.by_columns else "hidden size"
            return Finding(
                code="shape.not_multiple",
                message=f"{name} {columns} / {multiple} = {columns / multiple:g}: rows of {shard.layer} are not "
                f"whole blocks of {multiple}",
                numbers={"columns": columns, "multiple": multiple},
                way_out=(f"{shard.layer} left in 16 bits", "a scheme with smaller blocks"),
            )
    return None


def hidden_multiple(load: Load, argument: str) -> Finding | None:
    """`128`: the hidden size is a multiple of it."""
    hidden, multiple = load.model.hidden_size, int(argument)
    if hidden % multiple == 0:
        return None
    return Finding(
        code="shape.not_multiple",
        message=f"hidden size {hidden} / {multiple} = {hidden / multiple:g}: no multiple of {multiple}",
        numbers={"hidden_size": hidden, "multiple": multiple},
    )


def expert_columns_multiple(load: Load, argument: str) -> Finding | None:
    """`64`: an expert's inner width on a rank is a multiple of it."""
    multiple = int(argument)
    for shard in quantized_shards(load):
        if shard.is_expert and shard.by_columns and shard.columns % multiple:
            return _multiple_finding(load, shard, shard.columns, multiple, "columns")
    return None


def block_within_rank(load: Load, argument: str) -> Finding | None:
    """`128`: no square block of weights that share a scale straddles two ranks or two fused matrices."""
    block, tp = int(argument), load.placement.tp
    for shard in quantized_shards(load):
        split = tp > 1 and shard.is_split
        widths = (shard.columns,) if shard.by_columns else shard.parts if split else shard.parts[:-1]
        for width in widths:
            if width % block == 0 or (shard.by_columns and tp == 1):
                continue
            whole = f"{shard.name} {shard.whole} / {tp} = {width:g}"
            if not shard.by_columns and width != shard.whole / tp:
                whole = f"{shard.layer}: {width:g} outputs a rank"
            return Finding(
                code="shape.block_not_divisible",
                message=f"{whole} is {width / block:g} blocks of {block}: a block of weights that share a scale "
                f"would straddle the ranks, and {load.engine} does not load that",
                numbers={"width": shard.whole, "tp": tp, "width_per_rank": width, "block": block},
                way_out=_ways_around_blocks(load, shard, block),
            )
    return None


def heads_divide_tp(load: Load, argument: str) -> Finding | None:
    """Attention heads divide over the ranks."""
    del argument
    heads, tp = load.model.num_heads, load.placement.tp
    if heads % tp == 0:
        return None
    return Finding(
        code="shape.heads_not_divisible",
        message=f"{heads} attention heads do not divide over tensor parallel {tp} "
        f"({heads} / {tp} = {heads / tp:g})",
        numbers={"num_heads": heads, "tp": tp},
        way_out=(*NOT_TENSOR_PARALLEL, _divisors(heads, tp)),
    )


def kv_heads_fit_tp(load: Load, argument: str) -> Finding | None:
    """KV heads divide over the ranks, or ranks over KV heads, which are then copied."""
    del argument
    heads, tp = load.model.num_kv_heads, load.placement.tp
    if load.model.attention == "mla" or heads % tp == 0 or tp % heads == 0:
        return None
    return Finding(
        code="shape.kv_heads_not_divisible",
        message=f"{heads} KV heads neither divide nor are divided by tensor parallel {tp} "
        f"({heads} / {tp} = {heads / tp:g}, {tp} / {heads} = {tp / heads:g})",
        numbers={"num_kv_heads": heads, "tp": tp},
        way_out=(*NOT_TENSOR_PARALLEL, _divisors(heads, tp)),
    )


def linear_heads_divide_tp(load: Load, argument: str) -> Finding | None:
    """Key and value heads of linear-attention layers divide over the ranks."""
    del argument
    tp = load.placement.tp
    for kind, heads in (("key", load.model.linear_key_heads), ("value", load.model.linear_value_heads)):
        if heads % tp:
            return Finding(
                code="shape.heads_not_divisible",
                message=f"{heads} {kind} heads of linear attention do not divide over tensor parallel {tp} "
                f"({heads} / {tp} = {heads / tp:g})",
                numbers={"heads": heads, "tp": tp},
                way_out=(*NOT_TENSOR_PARALLEL, _divisors(heads, tp)),
            )
    return None


def state_space_divides_tp(load: Load, argument: str) -> Finding | None:
    """Heads of Mamba layers divide over the ranks, and their groups as well unless there is one."""
    del argument
    space, tp = load.model.state_space, load.placement.tp
    if space is None:
        return None
    for kind, count in (("heads", space.heads), ("groups", space.groups)):
        if count % tp and not (kind == "groups" and count == 1):
            return Finding(
                code="shape.heads_not_divisible",
                message=f"{count} {kind} of state-space layers do not divide over tensor parallel {tp} "
                f"({count} / {tp} = {count / tp:g})",
                numbers={kind: count, "tp": tp},
                way_out=(*NOT_TENSOR_PARALLEL, _divisors(count, tp)),
            )
    return None


def experts_divide_ep(load: Load, argument: str) -> Finding | None:
    """Whole experts divide over the ranks that share them."""
    del argument
    experts, ep = load.model.num_experts, load.placement.ep
    if ep == 1 or experts % ep == 0:
        return None
    fewer = [size for size in range(1, ep) if experts % size == 0]
    return Finding(
        code="shape.experts_not_divisible",
        message=f"{experts} experts do not divide over expert parallel {ep} ({experts} / {ep} = {experts / ep:g})",
        numbers={"num_experts": experts, "ep": ep},
        way_out=(
            f"expert parallel {fewer[-1]}",
            f"{round_up(experts, ep) - experts} redundant experts",
            "tensor parallel alone",
        ),
    )


def pp_within_layers(load: Load, argument: str) -> Finding | None:
    """Every pipeline stage has a layer."""
    del argument
    layers, pp = load.model.num_layers, load.placement.pp
    if pp <= layers:
        return None
    return Finding(
        code="shape.more_stages_than_layers",
        message=f"{layers} layers do not fill {pp} pipeline stages",
        numbers={"num_layers": layers, "pp": pp},
        way_out=("replicas, or fewer devices",),
    )


def quantized_shards(load: Load) -> Sequence[Shard]:
    """Layers' parts on a rank, without those that stay in 16 bits."""
    at = load.placement
    shards = linear_shards(load.model, load.intermediate_size, at.tp, ep=at.ep)
    return [shard for shard in shards if shard.layer not in load.in_16_bits] if load.in_16_bits else shards


def round_up(width: int, multiple: int) -> int:
    """The least multiple that is not below a width."""
    return -(-width // multiple) * multiple


def _not_multiple(load: Load, columns: int, rows: int) -> Finding | None:
    for shard in quantized_shards(load):
        if shard.columns % columns:
            return _multiple_finding(load, shard, shard.columns, columns, "columns")
        if shard.rows % rows:
            return _multiple_finding(load, shard, shard.rows, rows, "rows")
    return None


def _multiple_finding(load: Load, shard: Shard, width: float, multiple: int, side: str) -> Finding:
    tp = load.placement.tp
    is_split = shard.by_columns or side == "rows"
    what = f"{shard.name} {shard.whole} / {tp}" if is_split and width == shard.whole / tp else shard.layer
    ways = NOT_TENSOR_PARALLEL if tp > 1 else ()
    padded = (f"a checkpoint padded to {shard.name} {round_up(shard.whole, multiple * tp)}",)
    rest = f"{width:g} {side} on a rank / {multiple} = {width / multiple:g}, no multiple of {multiple}"
    if width % 1:
        rest = f"{width:g} {side} on a rank, no whole number"
    return Finding(
        code="shape.not_multiple",
        message=f"{what}: {rest}",
        numbers={"width": shard.whole, "tp": tp, f"{side}_per_rank": width, "multiple": multiple},
        way_out=(*ways, *(padded if is_split else ()), f"{shard.layer} left in 16 bits"),
    )


def _ways_to_align(split: Sequence[Shard], group: int, tp: int) -> tuple[str, ...]:
    smaller = [
        size
        for size in SMALLER_GROUPS
        if size < group and all(shard.whole % (size * tp) == 0 for shard in split)
    ]
    straddling = [shard for shard in split if shard.columns % group]
    layers = " and ".join(shard.layer for shard in straddling)
    padded = " and ".join(f"{shard.name} {round_up(shard.whole, group * tp)}" for shard in straddling)
    return (
        *(["group " + " or ".join(map(str, smaller))] if smaller else []),
        f"{tp} replicas at tensor parallel 1",
        f"pipeline parallel {tp}",
        f"{layers} left in 16 bits",
        f"a checkpoint padded to {padded}",
    )


def _ways_around_blocks(load: Load, shard: Shard, block: int) -> tuple[str, ...]:
    tp, whole = load.placement.tp, shard.whole
    fewer = [size for size in range(tp - 1, 0, -1) if tp % size == 0 and whole % (size * block) == 0]
    return (
        *([f"tensor parallel {fewer[0]} × pipeline parallel {tp // fewer[0]}"] if fewer else []),
        *(["expert parallel"] if shard.is_expert and load.placement.ep == 1 else []),
        "a scheme with one scale a row (FP8_DYNAMIC) or 16-bit weights",
    )


def _divisors(heads: int, tp: int) -> str:
    fitting = [size for size in range(1, tp) if heads % size == 0]
    return f"tensor parallel {fitting[-1]}"
