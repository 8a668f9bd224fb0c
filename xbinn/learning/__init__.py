"""Learning: a network proposes parameters, a process model answers, observations correct.

Tensors only. The process model is any object that fits `xbinn.learning.model.ProcessModel`.
"""
