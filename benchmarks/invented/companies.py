"""The invented companies."""

from benchmarks.invented import (
    airline,
    archive,
    bakery,
    clinic,
    council,
    fleet,
    harbour,
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
    utility,
)

_MODULES = (
    airline, archive, bakery, clinic, council, fleet, harbour, housing, insurer, lender, mall, museum,
    newsroom, ops, recruiter, school, studio, utility,
)  # fmt: skip

COMPANIES = {module.COMPANY.name: module.COMPANY for module in _MODULES}
