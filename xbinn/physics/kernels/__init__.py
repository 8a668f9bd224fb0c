"""The solve, the monthly means and the assembly as compiled loops over columns.

An option: this package needs numba, and nothing imports it but `xbinn.physics.fused` and, for a
GPU, `xbinn.physics.paths`. Each kernel is a twin of operations in torch that stand in
`xbinn.physics`, with the same equations in the same order, and gives the same numbers but for the
last digits.
"""
