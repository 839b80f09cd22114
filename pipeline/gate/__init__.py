"""The promotion gate: may a candidate replace the incumbent, and for which requests?

`paired`: non-inferiority test on the same items. `cohorts`: which cohorts are promoted. `references`: how far the test
rests on people's labels. `label_groups`: labels grouped by frequency in training. All pure; `pipeline/decide` runs it.
"""
