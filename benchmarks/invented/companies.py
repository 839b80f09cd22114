"""The invented companies."""

from benchmarks.invented import (
    airline,
    archive,
    bakery,
    clinic,
    council,
    flea,
    fleet,
    harbour,
    helpdesk,
    housing,
    insurer,
    lender,
    mall,
    museum,
    newsroom,
    ops,
    recruiter,
    school,
    studio,
    trials,
    utility,
)

_MODULES = (
    airline, archive, bakery, clinic, council, flea, fleet, harbour, helpdesk, housing, insurer, lender, mall,
    museum, newsroom, ops, recruiter, school, studio, trials, utility,
)  # fmt: skip

COMPANIES = {module.COMPANY.name: module.COMPANY for module in _MODULES}
