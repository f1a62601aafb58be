"""Both sides of a comparison held to one instruction set, and checked that they are.

"avx2" is what a processor without AVX-512 would run: our rows by --cpu-mask, PyTorch's own kernels by ATEN_CPU_CAPABILITY,
oneDNN's by ONEDNN_MAX_CPU_ISA (DNNL_… in older ones), those of a BLAS by what OpenBLAS and MKL read.
"""
import os
import sys

ISAS = ["best", "avx2"]
MASKS = {"best": "255", "avx2": "3"}  # bits of base/cpu.h
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def add_option(parser):
    parser.add_argument("--isa", choices=ISAS, default="best", help="avx2: neither side may use more, on any processor")


def ours(isa):
    """Options of our programs."""
    return ["--cpu-mask", MASKS[isa]]


def peers(isa):
    """The environment of PyTorch."""
    return {**os.environ, **(AVX2 if isa == "avx2" else {})}


def check(isa, kernels, capability):
    """kernels: the row that we chose; capability: what PyTorch says of its own kernels."""
    if isa == "avx2" and (kernels, capability) != ("avx2", "AVX2"):
        sys.exit(f"the two sides run {kernels} and {capability}, not AVX2")
