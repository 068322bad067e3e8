"""S-parameters of components with lumped ports, against what is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.constants import c, epsilon_0, mu_0
from scipy.special import ellipk

from simcampaign import solver
from simcampaign.errors import ConfigError
from simcampaign.solver import Box, Dielectric, LumpedPort, TerminalComponentModeler, TerminalWalls
from tests.simcampaign.solver.support import result, solve

MM = 1e-3
LENGTH, WIDTH, HEIGHT = 20 * MM, 2 * MM, 1 * MM
PLATES = TerminalWalls(
    **{f"{axis}_{end}": "magnetic" for axis in "xy" for end in ("min", "max")}, z_min="electric", z_max="electric"
)
CLOSED = TerminalWalls(**{f"{axis}_{end}": "electric" for axis in "xyz" for end in ("min", "max")})


def plates(cell: float, impedances: tuple[float, ...] = (50, 50), **other: Any) -> TerminalComponentModeler:
    """Return a parallel-plate line between two ports: metal above and below, magnetic walls at its sides."""
    ports = [
        LumpedPort(name=name, x=(x, x), y=(0, WIDTH), z=(0, HEIGHT), direction="+z", impedance=impedance)
        for name, x, impedance in zip("ab", (0, LENGTH), impedances, strict=False)
    ]
    fields = {"background": Dielectric(permittivity=4), "walls": PLATES, "frequencies": np.linspace(1e9, 8e9, 15)}
    space = {"x": (0, LENGTH), "y": (0, WIDTH), "z": (0, HEIGHT)}
    return TerminalComponentModeler(**space, cell=cell, ports=ports, shutoff=1e-9, **{**fields, **other})


def line_of(s: NDArray[np.complex128], reference: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return characteristic impedance and electrical length in radians of a symmetric line (Pozar, table 4.2)."""
    s11, s21 = s[0, 0], s[1, 0]
    a = (1 - s11**2 + s21**2) / (2 * s21)
    b = reference * ((1 + s11) ** 2 - s21**2) / (2 * s21)
    over_c = ((1 - s11) ** 2 - s21**2) / (2 * s21) / reference
    impedance = np.sqrt(b / over_c)
    return impedance.real, np.unwrap(-np.angle(a - b / impedance))


def test_a_parallel_plate_line_has_its_impedance_and_delay() -> None:
    data = result(plates(0.5 * MM))
    impedance, phase = line_of(data.smatrix(), 50)
    expected = np.sqrt(mu_0 / (4 * epsilon_0)) * HEIGHT / WIDTH
    assert impedance == pytest.approx(np.full(15, expected), rel=0.02)
    delay = np.diff(phase) / (2 * np.pi * np.diff(data.frequencies))
    assert delay == pytest.approx(np.full(14, 2 * LENGTH / c), rel=0.02)


def test_errors_fall_with_the_square_of_the_cell() -> None:
    def error(cell: float) -> float:
        impedance, _ = line_of(result(plates(cell, frequencies=[6e9])).smatrix(), 50)
        return float(impedance[0] / (np.sqrt(mu_0 / (4 * epsilon_0)) / 2) - 1)

    order = np.log2(error(1 * MM) / error(0.5 * MM))
    assert 1.7 < order < 2.3


def test_a_line_of_loss_attenuates_as_it_should() -> None:
    conductivity = 0.02
    background = Dielectric(permittivity=4, conductivity=conductivity)
    expected = np.sqrt(mu_0 / (4 * epsilon_0)) * HEIGHT / WIDTH
    data = result(plates(0.5 * MM, (expected, expected), background=background, frequencies=[5e9, 8e9]))
    alpha = conductivity / 2 * np.sqrt(mu_0 / (4 * epsilon_0))
    assert np.abs(data.smatrix()[1, 0]) == pytest.approx(np.full(2, np.exp(-alpha * LENGTH)), rel=0.02)


def test_ports_of_different_impedance_are_reciprocal_and_lose_nothing_without_loss() -> None:
    s = result(plates(1 * MM, (30, 75))).smatrix()
    assert s.shape == (2, 2, 15)
    assert np.abs(s[0, 1] - s[1, 0]).max() < 1e-3
    power = (np.abs(s) ** 2).sum(axis=0)
    assert np.abs(power - 1).max() < 1e-3
    assert np.abs(np.abs(s[0, 0]) - np.abs(s[1, 1])).max() < 1e-3


def test_s_is_out_times_in_and_time_goes_as_plus_j_omega_t() -> None:
    """A matched line delays: the phase of what goes through falls."""
    expected = float(np.sqrt(mu_0 / (4 * epsilon_0)) * HEIGHT / WIDTH)
    data = result(plates(0.5 * MM, (expected, expected), frequencies=[1e9]))
    assert data.ports == ("a", "b")
    assert np.angle(data.smatrix()[1, 0, 0]) == pytest.approx(-2 * np.pi * 1e9 * 2 * LENGTH / c, rel=0.02)


def test_a_port_turned_around_changes_the_sign_of_what_goes_through() -> None:
    straight = plates(1 * MM, frequencies=[3e9])
    first, second = straight.ports
    fields = {**second.model_dump(), "direction": "-z"}
    turned = TerminalComponentModeler(**{**straight.model_dump(), "ports": [first.model_dump(), fields]})
    one, other = result(straight).smatrix(), result(turned).smatrix()
    assert other[1, 0] == pytest.approx(-one[1, 0], abs=1e-5)
    assert other[0, 0] == pytest.approx(one[0, 0], abs=1e-5)


@pytest.mark.parametrize("mode", [(1, 1, 0), (2, 1, 0), (1, 0, 1)])
def test_a_cavity_resonates_where_it_should(mode: tuple[int, int, int]) -> None:
    size = np.array([30, 20, 15]) * MM
    expected = c / 2 * np.sqrt(((np.array(mode) / size) ** 2).sum())
    frequencies = expected * np.linspace(0.95, 1.05, 401)
    axis = mode.index(0)
    probe = [(value, value) for value in size * np.array([0.2, 0.3, 0.4])]
    probe[axis] = (float(size[axis]) / 3 - 1e-4, float(size[axis]) / 3 + 1.5 * MM)
    x, y, z = probe
    port = LumpedPort(name="probe", x=x, y=y, z=z, direction=f"+{'xyz'[axis]}", impedance=3e4)
    data = result(
        TerminalComponentModeler(
            x=(0, size[0]), y=(0, size[1]), z=(0, size[2]),
            cell=1.5 * MM, walls=CLOSED, ports=[port], frequencies=frequencies, run_time=30 / expected * 10,
        )
    )  # fmt: skip
    seen = frequencies[np.argmax(np.abs(1 + data.smatrix()[0, 0]))]
    assert seen == pytest.approx(expected, rel=0.01)


def test_absorbing_walls_swallow_what_comes() -> None:
    """A line that ends in an absorber is as one that never ends: a matched port sees nothing come back."""
    expected = float(np.sqrt(mu_0 / (4 * epsilon_0)) * HEIGHT / WIDTH)
    walls = TerminalWalls(**{**PLATES.model_dump(), "x_max": "absorbing"})
    solved = solve(plates(0.5 * MM, (expected,), walls=walls, frequencies=np.linspace(2e9, 8e9, 7)))
    assert np.abs(solved.result.smatrix()).max() < 3e-3
    assert solved.result.field_decay[0] < 1e-7


def test_a_dipole_in_the_open_radiates_and_its_field_decays() -> None:
    arms = [Box(x=(0, 0), y=(0, 0), z=z, material="perfect conductor") for z in ((-10 * MM, -MM), (MM, 10 * MM))]
    port = LumpedPort(name="feed", x=(0, 0), y=(0, 0), z=(-MM, MM), direction="+z", impedance=73)
    space = {"x": (-4 * MM, 4 * MM), "y": (-4 * MM, 4 * MM), "z": (-14 * MM, 14 * MM)}
    solved = solve(
        TerminalComponentModeler(
            **space, cell=2 * MM, boxes=arms, ports=[port], absorber_cells=8, frequencies=np.linspace(4e9, 9e9, 51)
        )
    )
    reflected = np.abs(solved.result.smatrix()[0, 0])
    assert reflected.min() < 0.3
    assert reflected.max() < 1
    half_wave = c / (20 * MM) / 2
    assert 0.7 < solved.result.frequencies[np.argmin(reflected)] / half_wave < 1
    assert solved.result.field_decay[0] < 1e-7
    assert solved.steps < solver.type_of(solved.result.simulation).estimate(solved.result.simulation).steps


BOXES = st.lists(
    st.tuples(
        *(st.tuples(st.integers(0, 5), st.integers(1, 3)) for _ in range(3)),
        st.one_of(
            st.just("perfect conductor"),
            st.builds(Dielectric, permittivity=st.floats(1, 10), conductivity=st.sampled_from([0, 0.1, 5, 1e4])),
        ),
    ),
    max_size=4,
)


@settings(max_examples=6)
@given(boxes=BOXES, wall=st.sampled_from(["absorbing", "electric", "magnetic"]), turned=st.booleans())
@example(
    # A cavity that rings: cut off after 1e-8 s, it would seem to give out 0.7 % more than it takes in.
    boxes=[((1, 1), (0, 3), (1, 1), "perfect conductor"), ((1, 1), (3, 3), (2, 1), "perfect conductor")],
    wall="electric",
    turned=False,
)
def test_any_structure_is_reciprocal_and_passive_once_its_fields_are_gone(
    boxes: list[Any], wall: str, turned: bool
) -> None:
    made = [
        Box(**{axis: (at * MM, (at + by) * MM) for axis, (at, by) in zip("xyz", place, strict=True)}, material=material)
        for *place, material in boxes
    ]
    ports = [
        LumpedPort(name="a", x=(0, 0), y=(2 * MM, 4 * MM), z=(0, 2 * MM), direction="+z", impedance=50),
        LumpedPort(
            name="b",
            x=(6 * MM, 6 * MM),
            y=(3 * MM, 3 * MM),
            z=(0, 1 * MM),
            direction="-z" if turned else "+z",
            impedance=80,
        ),
        LumpedPort(name="c", x=(2 * MM, 4 * MM), y=(5 * MM, 5 * MM), z=(3 * MM, 3 * MM), direction="+x", impedance=120),
    ]
    walls = TerminalWalls(
        x_min=wall, x_max="magnetic", y_min="magnetic", y_max=wall, z_min="electric", z_max="magnetic"
    )
    solved = result(
        TerminalComponentModeler(
            x=(0, 6 * MM), y=(0, 6 * MM), z=(0, 4 * MM), cell=MM, boxes=made, ports=ports, walls=walls,
            frequencies=np.linspace(4e9, 12e9, 5), run_time=1e-7, shutoff=1e-9, absorber_cells=6,
        )
    )  # fmt: skip
    assume(np.max(solved.field_decay) < 1e-5)
    s = solved.smatrix()
    assert np.abs(s - s.transpose(1, 0, 2)).max() < 1e-3
    assert np.linalg.svd(np.moveaxis(s, 2, 0), compute_uv=False).max() < 1 + 1e-3


def test_what_the_shutoff_saves_is_not_paid() -> None:
    short = plates(1 * MM, frequencies=[4e9])
    quoted, solved = solver.type_of(short).estimate(short), solve(short)
    assert solved.cells == quoted.cells == 20 * 2 * 1
    assert solved.steps < quoted.steps
    assert quoted.credits == pytest.approx(quoted.cells * quoted.steps * solver.RATE)
    assert solved.credits == pytest.approx(solved.cells * solved.steps * solver.RATE)


def test_progress_goes_from_0_to_100_while_the_field_decays() -> None:
    heard: list[tuple[float, float]] = []
    solver.types()["TerminalComponentModeler"].solve(plates(1 * MM), lambda *each: heard.append(each))
    percents = [percent for percent, _ in heard]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 100)
    assert heard[-1][1] < 1e-9


def test_a_run_that_is_cut_off_says_so() -> None:
    solved = solve(plates(1 * MM, run_time=1e-10))
    assert "make run_time longer" in solved.log


def test_grids_and_ports_that_cannot_be_are_refused() -> None:
    kind = solver.types()["TerminalComponentModeler"]
    with pytest.raises(ConfigError, match=r"gives .* cells; at most"):
        kind.estimate(plates(1e-6))
    with pytest.raises(ConfigError, match="the names of ports must differ"):
        TerminalComponentModeler(**{**plates(MM).model_dump(), "ports": [plates(MM).ports[0].model_dump()] * 2})
    with pytest.raises(ConfigError, match=r"port a: x = .* must lie within"):
        TerminalComponentModeler(**{**plates(MM).model_dump(), "x": (MM, LENGTH)})
    with pytest.raises(ConfigError, match="must not be flat along its direction z"):
        TerminalComponentModeler(
            **{
                **plates(MM).model_dump(),
                "ports": [{"name": "a", "x": (0, 0), "y": (0, 0), "z": (0, 0), "direction": "+z"}],
            }
        )
    with pytest.raises(ConfigError, match="a dielectric must not be flat along z"):
        plates(MM, boxes=[{"x": (0, 1), "y": (0, 1), "z": (0, 0), "material": {"permittivity": 2}}])


def test_lines_of_the_grid_lie_on_faces_wherever_these_are() -> None:
    """A thin dielectric between the plates adds its capacitance, although it is thinner than a cell."""
    filled = [Box(x=(0, LENGTH), y=(0, WIDTH), z=(0, 0.13 * MM), material=Dielectric(permittivity=10))]
    data = result(plates(0.5 * MM, background=Dielectric(), boxes=filled, frequencies=[2e9]))
    capacitance = epsilon_0 * WIDTH / (0.13 * MM / 10 + 0.87 * MM)
    inductance = mu_0 * HEIGHT / WIDTH
    impedance, phase = line_of(data.smatrix(), 50)
    assert impedance[0] == pytest.approx(np.sqrt(inductance / capacitance), rel=0.02)
    assert phase[0] == pytest.approx(2 * np.pi * 2e9 * LENGTH * np.sqrt(inductance * capacitance), rel=0.02)


def strip_line(length: float) -> TerminalComponentModeler:
    """Return a quarter of a strip line: a strip of 1.5 mm halfway between plates 2 mm apart, with two ports."""
    ports = [
        LumpedPort(name=name, x=(x, x), y=(0, 0.75 * MM), z=(0, MM), direction="+z", impedance=200)
        for name, x in (("a", 0), ("b", length))
    ]
    strip = Box(x=(0, length), y=(0, 0.75 * MM), z=(MM, MM), material="perfect conductor")
    return TerminalComponentModeler(
        x=(0, length), y=(0, 3 * MM), z=(0, MM), cell=(0.5 * MM, 0.075 * MM, 0.075 * MM), boxes=[strip], ports=ports,
        walls=TerminalWalls(**{**PLATES.model_dump(), "z_max": "magnetic"}), background=Dielectric(permittivity=2.2),
        frequencies=[2e9, 6e9], shutoff=1e-9,
    )  # fmt: skip


def test_a_strip_line_has_its_impedance_and_delay() -> None:
    """Cohn's formula for a strip without thickness (Pozar, section 3.7); what the ends add is in both lengths."""
    lines = [line_of(result(strip_line(length)).smatrix(), 200) for length in (5 * MM, 10 * MM)]
    modulus = np.tanh(np.pi * 1.5 / (2 * 2))
    expected = 30 * np.pi / np.sqrt(2.2) * ellipk(1 - modulus**2) / ellipk(modulus**2)
    # A quarter of the line has four times its impedance.
    assert lines[0][0][0] / 4 == pytest.approx(expected, rel=0.02)
    delay = (lines[1][1] - lines[0][1]) / (2 * np.pi * np.array([2e9, 6e9]))
    assert delay == pytest.approx(np.full(2, 5 * MM * np.sqrt(2.2) / c), rel=0.02)
