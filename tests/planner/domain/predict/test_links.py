"""What ranks spend on talking, by hand, and what stands for uneven devices."""

import pytest

from planner.domain.facts.kernels import Placement
from planner.domain.predict.links import Exchange, pace_of, predict_exchange


@pytest.fixture
def exchange(a_device, a_model, tables):
    def build(name="NVIDIA RTX A6000", link=None, tp=2, sequences=1):
        devices = (a_device(name),) * tp
        model = a_model(layers=80, hidden_size=8192)
        return predict_exchange(model, Placement(tp=tp), devices, link, sequences, tables.links)

    return build


def test_one_rank_talks_to_nobody(exchange):
    assert exchange(tp=1) == Exchange()


def test_pcie_costs_more_than_nvlink(exchange):
    pcie, nvlink = exchange(link="pcie"), exchange(link="nvlink")
    # 2 x 80 all-reduces: of 100 and 30 microseconds, and 8192 x 2 bytes x 2 x 1/2 over 6.6 and 0.7 x 56.25 GB/s.
    assert pcie.step_likely == pytest.approx(160 * (100e-6 + 16_384 / 6.6e9))
    assert nvlink.step_likely == pytest.approx(160 * (30e-6 + 16_384 / (0.7 * 56.25e9)))
    assert pcie.prompt_token == pytest.approx(160 * 16_384 / 6.6e9)
    assert pcie.step_low < pcie.step_likely < pcie.step_high


def test_where_nobody_said_boards_talk_as_by_nvlink(exchange):
    board = "NVIDIA H100 80GB SXM5"
    assert exchange(board) == exchange(board, link="nvlink")
    assert exchange() == exchange(link="pcie")


def test_more_users_move_more(exchange):
    assert exchange(link="pcie", sequences=16).step_likely > exchange(link="pcie").step_likely


def test_layers_split_by_memory_run_at_the_mean_of_their_cards(a_device):
    slow = a_device(gib=48, bandwidth_bytes_per_s=500e9)
    fast = a_device(gib=24, bandwidth_bytes_per_s=1000e9)
    # Two thirds of the bytes at 500 and one third at 1000 GB/s: 72 / (48/500 + 24/1000) = 600.
    assert pace_of((slow, fast), is_by_layer=True).bandwidth_bytes_per_s == pytest.approx(600e9)
    assert pace_of((slow, fast), is_by_layer=False).bandwidth_bytes_per_s == pytest.approx(500e9)
