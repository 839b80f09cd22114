"""The promotion gate: may a candidate replace the incumbent, and for which requests?

`paired`: non-inferiority test on the same items. `cohorts`: which cohorts are promoted. `references`: share of the test
that is based on human labels. `label_groups`: labels grouped by frequency in training. All pure; called by
`pipeline/decide`.
"""
