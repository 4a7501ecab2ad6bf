"""The platforms by name: one row says everything about how a platform requantizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """A complete rule for integer matrix products.

    effective: how the three scales become one: `f32_chain`, float32 after each step; `f32_product`, a float32 product
        divided in float64; `f64`; `product`, the quotient is never formed; None, the model brings the numbers along.
        `effective_per_channel` where it differs for w_scale [N].
    scaling: a rule of golden.scale, `float32`, `float64`, `float32_division` (golden.float_scale), `thresholds`,
        `shift_add` or `rndnu` (golden.fixed_point). Fixed-point rules take multipliers of 31 bits, `mult16` of 16.
        `scaling_per_channel` where it differs for w_scale [N].
    halves_int32: whether `mult16` keeps its quotient in 32 bits, and wraps, before it rounds by halving.
    rounding: of the floating-point scalings; the others have their own.
    zero_point: added `after` or `before` rounding.
    accumulator: `int32` wraps, `required32` and `required48` must not overflow, `int64` is exact, `pairs16` saturates
        pairs of products.
    activations: whether relu and its kind are part of the operation, as bounds on the output code.
    pool, add, rescale: rules of golden.pooling, golden.addition and golden.rescaling.
    softmax, logistic: formats of the codes for which it has the functions of golden.softmax.
    source: repository and file, or document.
    """

    name: str
    source: str
    effective: str | None
    scaling: str | None
    effective_per_channel: str | None = None
    scaling_per_channel: str | None = None
    halves_int32: bool = False
    rounding: str = ""
    zero_point: str = "after"
    accumulator: str = "int32"
    activations: bool = False
    pool: str | None = None
    add: str | None = None
    rescale: str | None = None
    softmax: str | None = None
    logistic: str | None = None

    @property
    def is_tosa(self):
        """Whether the TOSA specification's limits on shifts and values hold."""
        return self.accumulator.startswith("required")


_ROWS = (
    Platform(
        name="tflite-micro",
        source="tensorflow/tflite-micro: kernels/kernel_util.cc, kernels/internal/common.cc; dense layers by experiment"
        " on the wheel of 2026-10-23 (sources of 2025 form the product of its scales in float32, as under cmsis-nn)",
        effective="f64",
        scaling="tflite",
        activations=True,
        pool="codes",
        add="tflite",
        rescale="tflite",
        softmax="int8",
        logistic="int8",
    ),
    Platform(
        name="tflite-micro-int16",
        source="tensorflow/tflite-micro: as tflite-micro, int16 activations and 64-bit sums",
        effective="f64",
        scaling="mult16",
        accumulator="int64",
        activations=True,
        pool="codes",
        add="tflite",
        rescale="tflite",
        softmax="int16",
    ),
    Platform(
        name="litert-reference",
        source="ai-edge-litert 2.3.0, BUILTIN_REF, FULLY_CONNECTED (by experiment)",
        effective="f64",
        scaling="float64",
        rounding="half_away",
        activations=True,
        pool="codes",
        add="tflite",
        rescale="tflite",
        softmax="int8",
    ),
    Platform(
        name="litert-reference-int16",
        source="ai-edge-litert 2.3.0, BUILTIN_REF, FULLY_CONNECTED of int16 with 64-bit sums (by experiment)",
        effective="f64",
        scaling="float64",
        rounding="half_away",
        accumulator="int64",
        activations=True,
        pool="codes",
    ),
    Platform(
        name="litert-reference-conv",
        source="ai-edge-litert 2.3.0, BUILTIN_REF, CONV_2D; google-ai-edge/LiteRT: kernels/internal/common.cc",
        effective="f64",
        scaling="tflite",
        activations=True,
        pool="codes",
        add="tflite",
        rescale="tflite",
    ),
    Platform(
        name="litert-ruy-x86",
        source="google/ruy: ruy/kernel_avx512.cc, kernel_avx2_fma.cc; ai-edge-litert 2.3.0 without default"
        " delegates (convolutions take the per-channel scale)",
        effective="f32_product",
        effective_per_channel="f64",
        scaling="double_half_up",
        activations=True,
        pool="codes",
        add="ruy",
        rescale="double_half_up",
        softmax="int8",
    ),
    Platform(
        name="litert-xnnpack",
        source="google/XNNPACK on x86: src/qs8-gemm, fp32 requantization; ai-edge-litert 2.3.0 as it comes",
        effective="f32_chain",
        scaling="float32",
        rounding="half_even",
        activations=True,
        pool="codes",
        add="xnnpack",
        rescale="xnnpack",
        softmax="int8",
    ),
    Platform(
        name="litert-xnnpack-arm",
        source="google/XNNPACK on Arm: src/microparams-init.c, xnn_init_qu8_conv_minmax_rndnu_neon_params, in older"
        " versions for qs8 too (read, not run)",
        effective="f32_chain",
        scaling="rndnu",
        scaling_per_channel="float32",
        rounding="half_even",
        activations=True,
    ),
    Platform(
        name="onnxruntime",
        source="microsoft/onnxruntime: mlas/lib/quantize.cpp, cpu/quantization/quantize_linear_matmul.cc",
        effective="f32_chain",
        scaling="float32",
        rounding="half_even",
        pool="float32",
        add="onnxruntime",
    ),
    Platform(
        name="onnxruntime-avx2-saturating",
        source="microsoft/onnxruntime: docs, quantization.md, U8S8 on AVX2 and AVX512 without VNNI (VPMADDUBSW)",
        effective="f32_chain",
        scaling="float32",
        rounding="half_even",
        accumulator="pairs16",
        pool="float32",
        add="onnxruntime",
    ),
    Platform(
        name="onnx-reference",
        source="onnx/onnx: onnx/reference/ops/op_qlinear_matmul.py, op_qlinear_conv.py",
        effective="f32_chain",
        scaling="float64",
        rounding="half_even",
        zero_point="before",
    ),
    Platform(
        name="tosa",
        source="TOSA specification 1.1, RESCALE, SINGLE_ROUND; tensorflow/tensorflow: mlir/tosa legalize_utils.cc",
        effective="f64",
        scaling="tflite_single",
        accumulator="required32",
        pool="values",
        add="tosa",
        rescale="tosa",
    ),
    Platform(
        name="tosa-double",
        source="TOSA specification 1.1, RESCALE, DOUBLE_ROUND",
        effective="f64",
        scaling="tflite",
        accumulator="required32",
        pool="values",
        add="tosa",
        rescale="tosa",
    ),
    Platform(
        name="tosa-int16",
        source="TOSA specification 1.1, RESCALE with scale32 false, as for sums of int16 with 48 bits;"
        " tensorflow/tensorflow: mlir/tosa legalize_utils.cc; llvm/llvm-project: Dialect/Tosa/Utils/QuantUtils.cpp",
        effective="f64",
        scaling="mult16",
        accumulator="required48",
        rescale="tosa",
    ),
    Platform(
        name="cmsis-nn",
        source="ARM-software/CMSIS-NN: Include/arm_nnsupportfunctions.h, arm_nn_requantize; scale from"
        " tensorflow/tflite-micro: kernels/kernel_util.cc, GetQuantizedConvolutionMultipler",
        effective="f32_product",
        effective_per_channel="f64",
        scaling="tflite",
        activations=True,
        pool="codes",
        add="tflite",
        softmax="int8",
    ),
    Platform(
        name="cmsis-nn-int16",
        source="ARM-software/CMSIS-NN: Include/arm_nnsupportfunctions.h, arm_nn_requantize_s64",
        effective="f32_product",
        effective_per_channel="f64",
        scaling="mult16",
        halves_int32=True,
        accumulator="int64",
        activations=True,
        pool="codes",
        add="tflite",
        softmax="int16",
    ),
    Platform(
        name="qonnx",
        source="fastmachinelearning/qonnx: custom_op/general/quant.py, after a Mul by the scale of the sums",
        effective="product",
        scaling="float32_division",
        rounding="half_even",
        zero_point="before",
        accumulator="int64",
        pool="shift",
    ),
    Platform(
        name="brevitas",
        source="Xilinx/brevitas: core/quant/int_base.py (IntQuant, ROUND); equal to qonnx",
        effective="product",
        scaling="float32_division",
        rounding="half_even",
        zero_point="before",
        accumulator="int64",
    ),
    Platform(
        name="finn",
        source="Xilinx/finn: transformation/qonnx/qonnx_activation_handlers.py, streamline/absorb.py",
        effective="product",
        scaling="thresholds",
        accumulator="int64",
    ),
    Platform(
        name="deeploy",
        source="pulp-platform/Deeploy: TargetLibraries/Generic/src/RQDiv_s8.c, RequantShift_s8.c",
        effective=None,
        scaling="shift_add",
    ),
    Platform(
        name="tensorrt",
        source="NVIDIA TensorRT documentation, quantized types: clip(x / s), ties to even; the rest is unpublished",
        effective=None,
        scaling=None,
    ),
)

PLATFORMS = {row.name: row for row in _ROWS}
