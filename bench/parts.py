"""What ``make bench`` runs: one line a part. A part is given the folders and gives its measurements."""

from typing import Final

from bench import frozen_job, growth, head_training, job_overhead, whole_model
from bench.performing import Part
from bench.serving import hundred, measuring

PARTS: Final[dict[str, Part]] = {
    "serving": measuring.measure,
    "hundred-models": hundred.measure,
    "frozen": frozen_job.measure,
    "whole-model": whole_model.measure,
    "head-training": head_training.measure,
    "job-overhead": job_overhead.measure,
    "growth": growth.measure,
}
"""In the order in which they run and are shown."""
