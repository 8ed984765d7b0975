"""A row says by what the model was served."""

import pytest

from bench.serving.ours import served_by


@pytest.mark.parametrize(
    ("bf16", "precision", "told"),
    [
        ({"passed": True}, "auto", "openvino bf16"),
        ({"passed": False}, "auto", "openvino f32, bf16 did not pass"),
        (None, "auto", "openvino f32, no bf16 here"),
        ({"passed": True}, "f32", "openvino f32"),
    ],
)
def test_the_precision_is_what_the_certificate_allows(bf16: dict[str, bool] | None, precision: str, told: str) -> None:
    certificate = {"engine": "openvino", **({"bf16": bf16} if bf16 else {})}
    assert served_by(certificate, precision) == told
