"""Formats of blocks by name: elements of one format that share a scale of another.

Sources: OCP Microscaling Formats (MX) Specification 1.0; for nvfp4 the NVIDIA Transformer Engine documentation.
"""

from dataclasses import dataclass

from .formats import Format
from .microscaling import BLOCK, BLOCK_FORMATS
from .minifloat import MINIFLOATS
from .scale_formats import PowerScale


@dataclass(frozen=True)
class NamedBlock:
    """`block` codes of the format `element` and one code of the format `scale`; value = scale * element.

    The tensor scale of nvfp4, one float32 beside all that, is left to whoever reads the outputs.
    """

    name: str
    element: Format
    block: int
    scale: Format

    @property
    def bits(self):
        """Bits per element, its share of the scale counted."""
        return self.element.width + self.scale.width / self.block


NAMED_BLOCKS = {
    **{name: NamedBlock(name, fmt.element, BLOCK, PowerScale()) for name, fmt in BLOCK_FORMATS.items()},
    "nvfp4": NamedBlock("nvfp4", MINIFLOATS["float4_e2m1fn"], 16, MINIFLOATS["float8_e4m3fn"]),
}
