"""The data that the authors of BINN and PRODA publish, in the layout of their files."""
