"""The promotion gate: may a candidate answer instead of the incumbent, and whose requests?

`paired` tests a candidate against the incumbent on the same items, `cohorts` says which cohorts it may have and which
stay with the incumbent, `references` how much of it rests on people's labels, `label_groups` groups labels by how
often training saw them. All of it is pure; `pipeline/decide` feeds it from evaluations and writes what it says.
"""
