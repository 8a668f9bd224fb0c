"""Choices and defaults of the public functions: one place, free of heavy imports."""

from typing import Final, Literal, get_args

Bedrock = Literal["closed", "published"]
EncoderName = Literal["mlp", "linear", "spline", "constant"]
Constraint = Literal["sigmoid", "hard_sigmoid"]
Observation = Literal["layer_mean", "node"]
LossName = Literal["log_smooth_l1", "smooth_l1", "relative", "relative_robust"]
Validation = Literal["spatial_blocks", "random"]
Split = Literal[
    "spatial_blocks", "random", "latitude_bands", "leave_region_out", "leave_source_out"
]
Baseline = Literal["without_physics", "global_parameters", "clm5_defaults", "mean_profile"]
OutputGroup = Literal["parameters", "processes", "soc"]
Dtype = Literal["float32", "float64"]
Kernels = Literal["auto", "eager", "numba"]

HIDDEN: Final = (128, 128)
DROPOUT: Final = 0.2
REGULARIZATION: Final = 1e-4
BLOCK_SIZE: Final = 2.0
MEMBERS: Final = 1
EPOCHS: Final = 50
PATIENCE: Final = 15
BATCH_SIZE: Final = 256
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.3
BASELINES: Final[tuple[Baseline, ...]] = get_args(Baseline)
FOLDS: Final = 5
PERMUTATIONS: Final = 10
QUANTILES: Final = (0.05, 0.5, 0.95)
