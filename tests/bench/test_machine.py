"""The machine is told from what Linux says of its processor."""

from bench import machine

_INFO = """processor\t: 0
model name\t: Some CPU 9000
flags\t\t: fpu avx2 avx512_bf16
"""


def test_the_processor_has_its_name() -> None:
    assert machine.cpu(_INFO) == "Some CPU 9000"


def test_it_is_told_which_bfloat16_instructions_there_are() -> None:
    assert machine.instructions(_INFO) == "AVX512-BF16 yes, AMX-BF16 no"


def test_versions_are_told_of_every_library_that_decides() -> None:
    told = " ".join(machine.told())
    assert all(name in told for name in machine.LIBRARIES)
