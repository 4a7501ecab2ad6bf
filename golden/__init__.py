"""The right answer: number formats, exact sums and requantization, from their definitions, with numpy.

Nothing here knows of hardware: no beats, no pipelines, no amaranth, no cocotb.
"""
