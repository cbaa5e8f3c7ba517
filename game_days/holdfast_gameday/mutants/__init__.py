"""Deliberate defects of the decision core, put in one at a time, to learn whether anything would notice.

A defect is data: an exact text of one module and what stands there instead. It is applied to a copy, never to the tree.
"""
